"""``ccari requests spooled`` and ``replay``: rights in this node's local journal that wait to be registered in the database."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, with_store
from ccari.cli.output import as_json, as_list
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError, ConfigError, why
from ccari.office.subjects import refuse_unregistered
from ccari.ports.keying import Digests
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store
from ccari.store.pressed import AnotherKeyError, UnreadableError
from ccari.store.replaying import Replayed, Replayer

_COLUMNS = {
    "state": "STATE", "received_at": "PRESSED", "right": "RIGHT", "controller": "CONTROLLER", "number": "NUMBER",
    "call_id": "CALL", "record": "RECORD", "fault": "FAULT",
}  # fmt: skip


def listing(context: typer.Context, *, json: Json = False) -> None:
    """List rights that were pressed while the database was away, or an older copy: those that wait, and those that were put aside.

    Needs no database. Numbers are masked.
    """
    rows = list(_rows(LocalJournalFiles.of(context.obj.settings())))
    as_list(rows, _COLUMNS, json=json, none="no rights wait on this node")


def replay(
    context: typer.Context,
    *,
    aside: Annotated[
        bool,
        typer.Option("--aside", help="Also those that were put aside because they could not be registered."),
    ] = False,
    json: Json = False,
) -> None:
    """Register now the rights that wait on this node. `ccari serve` does this by itself."""

    async def work(settings: Settings, store: Store) -> tuple[list[Replayed], int]:
        journal = LocalJournalFiles.of(settings)
        if aside:
            _take_back(journal)
        done = await Replayer(journal, store.calls, asyncio.Event()).round()
        return done, len(journal.names())

    done, left = with_store(context, work)
    registered = [each.reference for each in done if each.reference is not None]
    put_aside = [each.name for each in done if each.reference is None]
    if json:
        as_json({"registered": registered, "aside": put_aside, "waiting": left})
    else:
        typer.echo(
            f"registered: {', '.join(registered) or 'none'}; put aside: {len(put_aside)}; waiting: {left}"
        )
    if put_aside or left:
        raise CcariError("not all could be registered: ccari requests spooled")


def refuse_while_spooled(settings: Settings, controller: str, digests: Digests) -> None:
    """Raise RequestError while a right pressed by this person is in this node's local journal, waiting or put aside.

    Registered after an erasure, it would bring the person's data back; and an export or a dossier would lack it.
    """
    refuse_unregistered(LocalJournalFiles.of(settings).of_person(controller, digests))


def refuse_while_spooled_under(settings: Settings, controller: str, version: int) -> None:
    """Raise CcariError while this node's local journal has a right that was, or may have been, pressed under this version of the
    controller's secret: once the version is retired, the right's suppression would bar nobody.
    """
    journal, under = LocalJournalFiles.of(settings), 0
    for name, folder in _files(journal):
        try:
            call = journal.read(name, folder).call
        except (UnreadableError, FileNotFoundError):
            # it can never be registered, and a person who enters it by hand does so under the newest version; or it was just registered
            continue
        except (ConfigError, OSError):
            under += 1
        else:
            under += (
                call.controller == controller and call.keyed is not None and call.keyed.key_version == version
            )
    if under:
        raise CcariError(
            f"{counted(under, 'right')} that may have been pressed under version {version} {'waits' if under == 1 else 'wait'} on this node, and would bar nobody after it is "
            "retired: register them by ccari requests replay --aside, then run this again"
        )


@dataclass(slots=True)
class Waiting:
    """How many rights wait in this node's local journal, ``of`` each controller. For the others nobody can tell whose they are:
    ``unread`` ones, readable once the key or the disk is back, and ``torn`` ones, which never will be.
    """

    of: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    torn: int = 0


def waiting(settings: Settings) -> Waiting:
    journal, found = LocalJournalFiles.of(settings), Waiting()
    for name, folder in _files(journal):
        try:
            found.of[journal.read(name, folder).call.controller] += 1
        except FileNotFoundError:
            # it was just registered
            continue
        except UnreadableError:
            found.torn += 1
        except (ConfigError, OSError):
            found.unread += 1
    return found


def _files(journal: LocalJournalFiles) -> Iterator[tuple[str, Path]]:
    yield from ((name, journal.waiting) for name in journal.names())
    yield from ((name, journal.aside) for name in journal.put_by())


def _take_back(journal: LocalJournalFiles) -> None:
    for name in journal.put_by():
        try:
            # a torn record stays aside, since it will never be whole; so does a record of another key; neither keeps the others there
            journal.read(name, journal.aside)
            journal.take_back(name)
        except (UnreadableError, AnotherKeyError):
            continue
        except OSError as error:
            raise CcariError(f"cannot move {name} in {journal.folder}: {why(error)}") from None


def _rows(journal: LocalJournalFiles) -> Iterator[dict[str, Any]]:
    for name, folder in _files(journal):
        state = "aside" if folder == journal.aside else "waiting"
        yield {"state": state, "record": name} | _fields(journal, name, folder)


def _fields(journal: LocalJournalFiles, name: str, folder: Path) -> dict[str, Any]:
    """What a record says, or the ``fault`` that makes it unreadable."""
    fields: dict[str, Any] = dict.fromkeys(
        ("received_at", "right", "controller", "number", "call_id", "fault")
    )
    try:
        pressed = journal.read(name, folder)
    except (UnreadableError, ConfigError) as error:
        return fields | {"fault": str(error)}
    except OSError as error:
        return fields | {"fault": why(error)}
    call, exercise = pressed.call, pressed.exercise
    return fields | {
        "received_at": exercise.received_at, "right": exercise.right.value, "controller": call.controller,
        "number": call.number_masked, "call_id": str(call.id),
    }  # fmt: skip
