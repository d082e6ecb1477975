"""``ccari recordings play-to`` and ``verify``: decrypts a stored recording, and checks stored recordings."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pyrage import x25519

from ccari.cli.context import Json, Why, note, note_recording, with_store
from ccari.cli.drafts import writing
from ccari.cli.output import as_json, watched
from ccari.cli.plain import printable
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError, UnknownError
from ccari.ports.accesses import Looked
from ccari.ports.recordings import InPlace
from ccari.recordings.leftover import Look
from ccari.recordings.reading import faults, identities_of, open_recorded
from ccari.store.opened import Store

Identity = Annotated[
    Path | None, typer.Option(metavar="KEYFILE", help="An age identity file, such as keys init makes.")
]

_UNFOUND = "not every file could be matched with a recording"


def play_to(
    context: typer.Context,
    recording: Annotated[UUID, typer.Argument(help="The id, as recordings list shows it.")],
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    *,
    identity: Identity = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """Write a recording's audio to a file that only its owner can read. The call's journal records who did it."""
    identities = identities_of(identity) if identity is not None else ()

    async def work(settings: Settings, store: Store) -> InPlace:
        stored = await store.recordings.in_place(recording)
        await _tell_of_restriction(store, recording)
        with writing(file, new="recording") as out:
            audio = await asyncio.to_thread(open_recorded, settings.recordings_dir, stored, identities)
            # recorded before anybody can listen: if writing fails, the record says too much rather than too little
            await note_recording(store, Looked.RECORDING_PLAYED, stored.tag, why)
            await asyncio.to_thread(out.write, audio)
        return stored

    stored = with_store(context, work)
    if json:
        as_json({"recording": recording, "call": stored.tag.call_id, "file": file, "format": stored.kept.format,
                 "duration_ms": stored.kept.duration_ms})  # fmt: skip
    else:
        typer.echo(f"{file}: {stored.kept.duration_ms / 1000:.1f} s of {stored.kept.format}")


async def _tell_of_restriction(store: Store, recording: UUID) -> None:
    """Say on the standard error that the recording may only be stored, and what restricts it; nothing, if nothing does."""
    kept = (await store.deletions.stored([recording])).get(recording)
    if kept and (by := [each.words for each in kept.held if each.restricts]):
        typer.echo(
            printable(
                f"restricted by {', '.join(by)}: it may only be stored, and heard only with the person's consent, for legal claims, to protect"
                " another person's rights, or for an important public interest (Art 18(2)); say which by --why"
            ),
            err=True,
        )


def verify(
    context: typer.Context,
    recording: Annotated[
        UUID | None, typer.Argument(help="This recording; default: all that are stored.")
    ] = None,
    *,
    identity: Identity = None,
    json: Json = False,
) -> None:
    """Check stored recordings: the file, its hash, the tag beside it, and what the call's journal says. Also report files that belong to no
    recording, such as those that came back with a backup, or raw ones in this node's spool that an older database does not know.

    With --identity, check the audio inside too. Exit status 1 if something does not match or could not be
    checked.
    """
    identities = identities_of(identity) if identity is not None else ()

    async def work(settings: Settings, store: Store) -> _Verified:
        checked, wrong = await _check(settings, store, recording, identities)
        if recording is None:
            otherwise = await _told_otherwise(store)
            checked, wrong = checked + len(otherwise), wrong + otherwise
        # an unreadable folder is reported at the end, to keep what was found so far
        look = Look()
        left_over = []
        if recording is None:
            left_over = await _left_over(store, settings.recordings_dir, look)
            left_over += await _raw_left_over(store, settings, look)
        return _Verified(checked, wrong, left_over, look.fault)

    verified = with_store(context, work)
    if json:
        as_json({"checked": verified.checked, "wrong": verified.wrong, "left_over": verified.left_over,
                 "fault": verified.fault})  # fmt: skip
    else:
        _print(verified)
    _raise_fault(verified)


@dataclass(frozen=True, slots=True)
class _Verified:
    """The result. ``wrong``: what is wrong with which recordings. ``left_over``: files that belong to no stored recording; raw ones with
    their whole path. ``fault``: why the search for those was incomplete.
    """

    checked: int
    wrong: list[dict[str, Any]]
    left_over: list[str]
    fault: str | None


async def _check(
    settings: Settings, store: Store, recording: UUID | None, identities: Sequence[x25519.Identity]
) -> tuple[int, list[dict[str, Any]]]:
    """How many recordings were checked, and the faults found."""
    total = 1 if recording is not None else await store.recordings.count_in_place()
    wrong, done = [], 0
    if identities:
        # recorded, since it decrypts the recordings, as playing them would
        await note(
            store, Looked.RECORDINGS_VERIFIED, {"recording": str(recording or "all"), "count": str(total)}
        )
    with watched("verifying", total) as progress:
        async with contextlib.aclosing(_recordings(store, recording)) as recordings:
            async for stored in recordings:
                done += 1
                words = await asyncio.to_thread(faults, settings.recordings_dir, stored, identities)
                if words and await _is_in_place(store, stored.tag.recording_id):
                    wrong.append(
                        {"recording": stored.tag.recording_id, "file": stored.kept.file, "faults": words}
                    )
                progress(done)
    return done, wrong


async def _told_otherwise(store: Store) -> list[dict[str, Any]]:
    """The faults of recordings without a file in place that, by the journals of their calls, should have one, or should have had one."""
    async with contextlib.aclosing(store.recordings.told_otherwise()) as batches:
        return [
            {"recording": each.id, "file": each.file or "", "faults": [each.fault]}
            async for batch in batches
            for each in batch
        ]


def _print(verified: _Verified) -> None:
    for each in verified.wrong:
        typer.echo(printable(f"{each['recording']} {each['file']}: {'; '.join(each['faults'])}"))
    for file in verified.left_over:
        typer.echo(f"{printable(file)}: this file belongs to no recording that is kept")
    typer.echo(f"{counted(verified.checked, 'recording')} checked, {len(verified.wrong)} faulty")
    if verified.fault:
        typer.echo(f"{_UNFOUND}: {verified.fault}")


def _raise_fault(verified: _Verified) -> None:
    """Raise CcariError if there is a fault, or something could not be checked."""
    wrong, left = verified.wrong, verified.left_over
    if wrong:
        raise CcariError(
            f"of {counted(verified.checked, 'recording')}, {counted(len(wrong), 'is', 'are')} faulty; the first is {wrong[0]['recording']}"
        )
    if left:
        raise CcariError(
            f"{counted(len(left), 'file belongs', 'files belong')} to no recording that is kept: remove those that were erased and came back with a backup; those made "
            "after the dump of this database have their tag beside them; raw ones, named with their whole path, are not encrypted: remove them too, unless "
            f"another application left them in Asterisk's spool. The first is {left[0]}"
        )
    if verified.fault:
        raise CcariError(f"{_UNFOUND}: {verified.fault}")


async def _recordings(store: Store, recording: UUID | None) -> AsyncGenerator[InPlace, None]:
    if recording is not None:
        yield await store.recordings.in_place(recording)
        return
    async with contextlib.aclosing(store.recordings.all_in_place()) as batches:
        async for batch in batches:
            for each in batch:
                yield each


async def _left_over(store: Store, folder: Path, look: Look) -> list[str]:
    """The files that belong to no stored recording, one day's folder at a time."""
    left: list[str] = []
    for day in await asyncio.to_thread(look.days, folder):
        lying = await asyncio.to_thread(look.lying, day)
        kept = await store.recordings.kept(list(lying))
        # path.exists(): a recording may have been deleted after the folder was listed
        left += [
            str(path.relative_to(folder))
            for recording, paths in lying.items()
            if recording not in kept
            for path in paths
            if path.exists()
        ]
    return left


async def _raw_left_over(store: Store, settings: Settings, look: Look) -> list[str]:
    """Raw files on this node of which the database knows nothing, so that the service neither stores nor removes them."""
    places = [(settings.data_dir / "incoming", ""), (settings.data_dir / "encoding", "")]
    if not settings.asterisk.is_off and not settings.asterisk.is_spool_remote:
        # other applications keep files there too
        places.append((settings.asterisk.spool, ".wav"))
    left: list[str] = []
    for place in places:
        lying = await asyncio.to_thread(look.raw, *place)
        # asked after the look: a recording's row is there before its file
        known = {*await store.recordings.kept(list(lying)), *await store.recordings.settled(list(lying))}
        left += [str(path) for recording, paths in lying.items() if recording not in known for path in paths]
    return left


async def _is_in_place(store: Store, recording: UUID) -> bool:
    """False if it was deleted after it was listed."""
    try:
        await store.recordings.in_place(recording)
    except UnknownError:
        return False
    return True
