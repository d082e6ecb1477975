"""``ccari recordings export``: gives out stored recordings as they are kept, each with its tag."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer

from ccari.cli.context import Json, Why, note_recording, with_store
from ccari.cli.drafts import writing
from ccari.cli.output import as_json, telling, watched
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError, RecordingError, why
from ccari.ports.accesses import Looked
from ccari.ports.recordings import InPlace
from ccari.recordings.reading import below, faults
from ccari.recordings.tags import ENCRYPTED, beside, sidecar
from ccari.store.opened import Store


def export(
    context: typer.Context,
    recordings: Annotated[
        list[UUID], typer.Argument(metavar="RECORDING...", help="The ids, as recordings list shows them.")
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where to put the files; made if it is missing.")
    ],
    why: Why = "",
    json: Json = False,
) -> None:
    """Copy recordings as they are kept, encrypted, each with its tag beside it. Whoever has a key opens them with age, without ccari.

    Nothing is overwritten, and no other user can read the copies. The journal of each call records who made one.
    """
    wanted = list(dict.fromkeys(recordings))
    given: list[tuple[InPlace, Path]] = []

    async def work(settings: Settings, store: Store) -> None:
        _make(out)
        with watched("exporting", len(wanted)) as progress:
            for each in wanted:
                try:
                    recording = await store.recordings.in_place(each)
                    given.append(
                        (recording, await _give(settings.recordings_dir, store, recording, out, why))
                    )
                except CcariError as error:
                    before = f"; {counted(len(given), 'recording')} before it in {out}" if given else ""
                    raise CcariError(f"{error}{before}") from None
                progress(len(given))

    with_store(context, work)
    with telling(f"{counted(len(given), 'recording')} exported to {out}"):
        if json:
            as_json([
                {"recording": each.tag.recording_id, "call": each.tag.call_id, "file": file, "tag": beside(file)}
                for each, file in given
            ])  # fmt: skip
        else:
            for _, file in given:
                typer.echo(file)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CcariError(f"cannot make {folder}: {why(error)}") from None


async def _give(folder: Path, store: Store, recording: InPlace, out: Path, reason: str) -> Path:
    """Copy one recording, unless it differs from what was stored; return the copy's path.

    Raises
    ------
    RecordingError
        If file, tag, row and the call's journal do not agree.
    CcariError
        If it cannot be copied, or the database fails.
    """
    tag = recording.tag
    if wrong := await asyncio.to_thread(faults, folder, recording):
        raise RecordingError(f"recording {tag.recording_id}: {'; '.join(wrong)}")
    source = below(folder, recording.kept.file)
    copy = out / source.name
    # plain audio needs no key to be heard
    looked = Looked.RECORDING_FETCHED if source.suffix == ENCRYPTED else Looked.RECORDING_PLAYED
    with writing(copy, new="recording") as file, writing(beside(copy), new="tag") as told:
        # recorded before there is anything to read: if copying fails, the record says too much rather than too little
        await note_recording(store, looked, tag, reason)
        await asyncio.to_thread(_copy, source, file)
        told.write(sidecar(tag, recording.kept))
    return copy


def _copy(source: Path, to: BinaryIO) -> None:
    try:
        file = source.open("rb")
    except OSError as error:
        raise RecordingError(f"{source} cannot be read: {why(error)}") from None
    with file:
        shutil.copyfileobj(file, to)
    # on the disk before its tag gets its name: of a full one, the last write may be the first to tell
    to.flush()
    os.fsync(to.fileno())
