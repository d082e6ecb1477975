"""Which module has which command. Each is loaded when it is asked for: all of them take as long as everything else."""

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

#: Modules of this package; ``command`` in one is the command itself, ``app`` a group of them.
_MODULES = {
    "serve": "serve", "gate": "gate", "demo": "demo", "doctor": "doctor", "audit": "audit", "calls": "calls",
    "consents": "consents", "contacts": "contacts", "db": "db", "evidence": "evidence", "keys": "keys",
    "policy": "policies", "recordings": "recordings", "registers": "registers", "requests": "requests", "sounds": "sounds",
    "subject": "subject", "suppress": "suppressions", "token": "tokens", "webhooks": "webhooks",
}  # fmt: skip


class OnDemand(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(_MODULES)


class _Commands(UserDict[str, Any]):
    """By name: the command, or its module's name while nobody has asked for it."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self[name] = _loaded(name, found)
        return found


def _loaded(name: str, module: str) -> Any:
    there, holder = import_module(f"ccari.cli.{module}"), typer.Typer()
    if hasattr(there, "app"):
        holder.add_typer(there.app, name=name, no_args_is_help=True)
    else:
        holder.command(name)(there.command)
    return get_group(holder).commands[name]
