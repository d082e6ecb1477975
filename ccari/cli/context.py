"""What commands share: the settings, the open store, the policy in force, common options, and who runs the command."""

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
from ccari.keyring.secrets import SecretStore
from ccari.office import claimants
from ccari.office.claimants import Claimant
from ccari.office.naming import the_controller
from ccari.policy.blocks import WHY
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block
from ccari.ports.accesses import Access, Looked
from ccari.ports.keying import Digests
from ccari.ports.recordings import RecordingTag
from ccari.store.opened import Store, open_store
from ccari.store.policies import Applied, Book

_T = TypeVar("_T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
#: The largest values of the database's types for counts (integer) and ids (bigint).
MOST, LAST_ID = 2**31 - 1, 2**63 - 1
NumberText = Annotated[str, typer.Argument(help="The person's number, in any usual notation.")]
Limit = Annotated[int, typer.Option(min=1, max=MOST, help="Print at most this many rows.")]
ControllerId = Annotated[
    str | None, typer.Option("--controller", help="The controller; may be left out if there is only one.")
]
#: The same for a list, which covers all controllers if none is named.
OfController = Annotated[str | None, typer.Option("--controller", help="Only this controller; default: all.")]
RevisionNumber = Annotated[
    int | None, typer.Argument(min=1, max=MOST, help="The revision's number; default: the one in force.")
]
#: Options parsed only while the command runs; an error in one still counts as wrong usage (exit status 2).
_PARSED_LATE = frozenset({"until", "received", "note", "obtained", "valid_until"})


@dataclass(slots=True)
class State:
    config_path: Path | None
    _settings: Settings | None = None

    def settings(self) -> Settings:
        """The settings, read once: reading removes the secrets from the environment, so that child processes do not get them."""
        if self._settings is None:
            self._settings = config.load(self.config_path)
            config.forget_secrets()
        return self._settings


def with_store(context: typer.Context, work: Callable[[Settings, Store], Awaitable[_T]]) -> _T:
    """Run ``work`` on the open store. Libraries log to standard error, so that standard output has only the result.

    Raises typer.BadParameter for an option that ``work`` cannot parse.
    """
    settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)

    async def run() -> _T:
        try:
            async with open_store(settings) as store:
                return await work(settings, store)
        except (asyncio.CancelledError, KeyboardInterrupt) as end:
            # if Ctrl-C is ignored, asyncio handles no signals, and ``ending`` raises in whatever runs at that moment
            raised_by_signal = isinstance(end, KeyboardInterrupt)
            if raised_by_signal or ((task := asyncio.current_task()) and task.cancelling()):
                # everything is closed, but a thread that reads from a pipe would block the loop for ever
                os._exit(ending.status())
            raise

    try:
        return asyncio.run(run())
    except InputError as error:
        if error.field not in _PARSED_LATE:
            raise
        raise typer.BadParameter(str(error), param_hint=f"--{error.field.replace('_', '-')}") from None


async def rows_of_declared(
    store: Store, controller: str | None, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """``rows``. If there are none, raise CcariError unless the policy declares the controller: an empty list for a mistyped name would
    look like good news.
    """
    if not rows and controller is not None:
        the_controller(await current_policy(store), controller)
    return rows


NO_POLICY = WHY[Block.NO_POLICY]


async def current_policy(store: Store) -> Policy:
    revision = await store.policies.newest()
    if revision is None:
        raise CcariError(NO_POLICY)
    return revision.policy


async def applied_revision(store: Store, number: int | None) -> Applied:
    """The revision of the policy with that number; None: the one in force. Raises CcariError if there is none."""
    applied = await store.policies.applied(number)
    if applied is None:
        raise CcariError(NO_POLICY if number is None else f"there is no revision {number}: ccari policy list")
    return applied


async def policy_book(store: Store) -> Book:
    """The policy in force, which follows new revisions. Raises CcariError if there is none."""
    book = Book(store.policies)
    await book.reload()
    if book.policy is None:
        raise CcariError(NO_POLICY)
    return book


async def vouched(settings: Settings, store: Store) -> SecretStore:
    """The secrets. They refuse to work if a secret is lost that something is stored under: otherwise it would silently not be found."""
    return await store.key_versions.vouch(SecretStore(settings.keys_dir))


Why = Annotated[
    str,
    typer.Option(
        "--why", callback=unnumbered, help="The reason; kept in the record of accesses, without numbers."
    ),
]


def stated(why: str, option: str) -> str:
    """The reason given by an option, which must not be blank. Raises typer.BadParameter."""
    if not why.strip():
        raise typer.BadParameter("say why", param_hint=option)
    return why.strip()


async def note(store: Store, looked: Looked, target: Mapping[str, str], why: str = "") -> None:
    """Record what is about to be shown, and to whom, in the record of accesses."""
    await store.accesses.note(Access(looked, actor(), target, why))


async def note_recording(store: Store, looked: Looked, tag: RecordingTag, why: str) -> None:
    """Record in the record of accesses, and in the call's journal, that a recording is about to be given out."""
    await note(store, looked, tag.access_target, why)
    given = {"recording": str(tag.recording_id), "by": actor()}
    await store.calls.append(tag.call_id, looked.value, given)


async def looked_up(
    settings: Settings, store: Store, number: str, controller: str | None, why: str
) -> Claimant:
    """The holder of that number, by the policy in force. The look-up goes into the record of accesses."""
    secrets, policy = await vouched(settings, store), await current_policy(store)
    whose = claimants.known_to(policy, secrets, number, controller)
    await note(store, Looked.NUMBER_CHECKED, whose.access_target, why)
    return whose


async def looked_up_in(
    settings: Settings, store: Store, number: str, controller: str | None, looked_in: str, why: str
) -> Mapping[str, Digests]:
    """Like :func:`ccari.office.claimants.known_as`, by the policy in force. The look-up goes into the record of accesses, for each
    controller.
    """
    secrets, policy = await vouched(settings, store), await current_policy(store)
    known_as = claimants.known_as(policy, secrets, number, controller)
    for whose, digests in known_as.items():
        await note(store, Looked.NUMBER_CHECKED, claimants.access_target(whose, digests, looked_in), why)
    return known_as


#: The kernel's login uid of a process without a login.
_NOBODY_SIGNED_IN = 2**32 - 1


def actor() -> str:
    """Who runs this command, as recorded with what they do: ``cli:``, and the name of :func:`who`."""
    return f"cli:{who()}"


def who() -> str:
    """The name of the user who runs this command: the one who signed in, even if they now use sudo or su.

    It does not come from the environment, which anybody can set.
    """
    try:
        return pwd.getpwuid(_signed_in()).pw_name
    except KeyError:
        return f"uid {_signed_in()}"


def _signed_in() -> int:
    """The login uid, which the kernel keeps through later changes of user; if there is none, the process's uid."""
    try:
        login_uid = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if login_uid == _NOBODY_SIGNED_IN else login_uid
