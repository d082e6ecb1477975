"""Which module has which command. A module is imported when its command is used: importing all would double the start-up time."""

import contextlib
import errno
import os
import re
from collections import UserDict
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from ccari.errors import CcariError

#: Modules of this package; ``command`` in one is the command itself, ``app`` a group of them.
MODULES = {
    "serve": "serve", "gate": "gate", "demo": "demo", "doctor": "doctor", "audit": "audit", "calls": "calls",
    "consents": "consents", "contacts": "contacts", "controllers": "controllers", "db": "db", "evidence": "evidence", "keys": "keys",
    "policy": "policies", "recordings": "recordings", "registers": "registers", "requests": "requests", "sounds": "sounds",
    "subject": "subject", "suppress": "suppressions", "token": "tokens", "webhooks": "webhooks",
}  # fmt: skip
#: Help and wrong usage without boxes: there typer tells of a switch as if it took a value (``--yes <bool>``), breaks lines where the
#: source does, and wraps what somebody searches with grep.
UNBOXED: Final = None
#: Characters of a command's first sentence in the help of its group.
_LONGEST_SENTENCE = 1000
#: What pydantic, by which typer parses, says of a wrong value, and our words for it. They do not quote the value, which may be a number.
_PLAIN = {
    r"(?:Value error, )?'.*' is not one of (.*?)\.?": r"it must be one of \1",
    r"Input should be a valid UUID.*": "it must be an id such as 1baaa86c-9531-43e7-8ac7-00f82ccfbb45",
    r"Input should be a valid integer.*": "it must be a whole number",
}


class Group(TyperGroup):
    """Commands with the whole first sentence of each in the help, where typer would cut it off at the end of the line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([
                (name, self.commands[name].get_short_help_str(_LONGEST_SENTENCE)) for name in self.list_commands(ctx)
            ])  # fmt: skip


class OnDemand(Group):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(MODULES)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _plainly():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _plainly():
            return super().invoke(ctx)


class _Commands(UserDict[str, Any]):
    """By name: the command or, until it is used, the name of its module."""

    def __getitem__(self, name: str) -> Any:
        command = super().__getitem__(name)
        if isinstance(command, str):
            command = self[name] = _loaded(name, command)
        return command


def _loaded(name: str, module: str) -> Any:
    imported, holder = import_module(f"ccari.cli.{module}"), typer.Typer(rich_markup_mode=UNBOXED)
    if hasattr(imported, "app"):
        holder.add_typer(imported.app, name=name, cls=Group, no_args_is_help=True)
    else:
        holder.command(name)(imported.command)
    return get_group(holder).commands[name]


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """Put typer's faults into our words. A file that may not be read is no wrong usage: one that is missing, or a folder, is none."""
    try:
        yield
    except typer.BadParameter as error:
        if unread := re.fullmatch(r"\w+ '(.*)' is not readable\.", error.message):
            raise CcariError(f"cannot read {unread[1]}: {os.strerror(errno.EACCES)}") from None
        error.message = _plain(error.message)
        raise


def _plain(message: str) -> str:
    for theirs, ours in _PLAIN.items():
        if found := re.fullmatch(theirs, message, re.DOTALL):
            return found.expand(ours)
    return message
