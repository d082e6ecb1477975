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

#: Modules of this package; ``command`` in a module is the command itself, ``app`` a group of commands.
MODULES = {
    "serve": "serve", "gate": "gate", "demo": "demo", "doctor": "doctor", "audit": "audit", "calls": "calls",
    "consents": "consents", "contacts": "contacts", "controllers": "controllers", "db": "db", "evidence": "evidence", "keys": "keys",
    "policy": "policies", "recordings": "recordings", "registers": "registers", "requests": "requests", "sounds": "sounds",
    "subject": "subject", "suppress": "suppressions", "token": "tokens", "webhooks": "webhooks",
}  # fmt: skip
#: Plain help and usage errors: typer's boxes show a switch as if it took a value (``--yes <bool>``), break lines where the source does,
#: and wrap text that people search with grep.
UNBOXED: Final = None
#: The most characters of a command's first sentence in the help of its group.
_LONGEST_SENTENCE = 1000
#: Messages of pydantic, which typer parses with, about a wrong value, and our words for them. They do not quote the value, which may be a
#: number.
_PLAIN = {
    r"(?:Value error, )?'.*' is not one of (.*?)\.?": r"it must be one of \1",
    r"Input should be a valid UUID.*": "it must be an id such as 1baaa86c-9531-43e7-8ac7-00f82ccfbb45",
    r"Input should be a valid integer.*": "it must be a whole number",
}


class Group(TyperGroup):
    """A group whose help has the whole first sentence of each command, where typer would cut it off at the end of the line."""

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
    """By name: the command or, until it is used, its module's name."""

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
    """Put typer's errors into our words. An unreadable file is not wrong usage; a missing file, or a folder in its place, is."""
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
