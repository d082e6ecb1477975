"""What the commands share: the settings, the store, and which controller is meant."""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ccari import config, log
from ccari.cli.ending import ending
from ccari.config import Settings
from ccari.errors import CcariError, InputError
from ccari.gating.labels import unnumbered
from ccari.gating.naming import the_controller
from ccari.policy.declaration import Policy
from ccari.ports.accesses import Access, Looked
from ccari.store.opened import Store, open_store
from ccari.store.policies import Book
from ccari.store.secrets import SecretStore

_T = TypeVar("_T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
#: What the database counts rows and days with, and what it numbers them with.
MOST, LAST_ID = 2**31 - 1, 2**63 - 1
Limit = Annotated[int, typer.Option(min=1, max=MOST, help="Print at most this many rows.")]
ControllerId = Annotated[
    str | None, typer.Option("--controller", help="The controller; may be left out if there is only one.")
]
#: Of a list, which is of every controller's where none is named.
OfController = Annotated[str | None, typer.Option("--controller", help="Only this controller; default: all.")]
#: Options whose form is checked with the work: what is wrong in them is wrong usage.
_OPTIONS = frozenset({"until", "received", "note", "obtained", "valid_until"})


@dataclass(slots=True)
class State:
    config_path: Path | None
    _settings: Settings | None = None

    def settings(self) -> Settings:
        """Read once: what is secret in the environment is not there any more, nor in that of what we start."""
        if self._settings is None:
            self._settings = config.load(self.config_path)
            config.forget_secrets()
        return self._settings


def with_store(context: typer.Context, work: Callable[[Settings, Store], Awaitable[_T]]) -> _T:
    """Run ``work`` on the open store; what libraries log goes to standard error, so that output stays clean."""
    settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)

    async def run() -> _T:
        try:
            async with open_store(settings) as store:
                return await work(settings, store)
        except (asyncio.CancelledError, KeyboardInterrupt) as end:
            # where Ctrl-C is ignored, asyncio has no part in it, and the signal comes to whatever runs just then
            of_ours = isinstance(end, KeyboardInterrupt)
            if of_ours or ((task := asyncio.current_task()) and task.cancelling()):
                # all is tidied; a thread that waits for its next line from a pipe would keep the loop, and us, for ever
                os._exit(ending.status())
            raise

    try:
        return asyncio.run(run())
    except InputError as error:
        if error.field not in _OPTIONS:
            raise
        raise typer.BadParameter(str(error), param_hint=f"--{error.field.replace('_', '-')}") from None


async def told_of(store: Store, controller: str | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``rows``; but an empty list of a controller that nobody has declared would pass a slip of the pen for good news."""
    if not rows and controller is not None:
        the_controller(await current_policy(store), controller)
    return rows


_NO_POLICY = "no policy has been applied: ccari policy apply FILE"


async def current_policy(store: Store) -> Policy:
    revision = await store.policies.newest()
    if revision is None:
        raise CcariError(_NO_POLICY)
    return revision.policy


async def policy_book(store: Store) -> Book:
    """The policy in force, and what is applied meanwhile."""
    book = Book(store.policies)
    await book.reload()
    if book.policy is None:
        raise CcariError(_NO_POLICY)
    return book


async def vouched(settings: Settings, store: Store) -> SecretStore:
    """The secrets, which refuse where one is lost that something is kept under: it would not be found, in silence."""
    return await store.key_versions.vouch(SecretStore(settings.keys_dir))


Why = Annotated[
    str,
    typer.Option(
        "--why", callback=unnumbered, help="The reason; kept in the record of accesses, without numbers."
    ),
]


async def note(store: Store, looked: Looked, at_what: Mapping[str, str], why: str = "") -> None:
    """Put on record what is about to be shown, and to whom."""
    await store.accesses.note(Access(looked, f"cli:{who()}", at_what, why))


#: What the kernel says where a process comes from no sign-in.
_NOBODY_SIGNED_IN = 2**32 - 1


def who() -> str:
    """The person at the keyboard, for what is kept of who did something: whoever signed in, though by sudo or su now.

    Not what the environment says, which anybody may set.
    """
    try:
        return pwd.getpwuid(_signed_in()).pw_name
    except KeyError:
        return f"uid {_signed_in()}"


def _signed_in() -> int:
    """The kernel's audit of the sign-in, which no later change of user changes; without one, the user of the process."""
    try:
        signed_in = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if signed_in == _NOBODY_SIGNED_IN else signed_in
