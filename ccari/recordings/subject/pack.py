"""The file that a person gets: JSON, a page to read, and the recordings as plain audio; its owner's only, whole or not there."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from pyrage.x25519 import Identity

from ccari.errors import CcariError, OtherAudioError, RecordingError, why
from ccari.keyring import files
from ccari.ports.subjects import Holdings
from ccari.recordings.reading import open_checked
from ccari.recordings.subject.account import Asked, account
from ccari.recordings.subject.page import page


@dataclass(frozen=True, slots=True)
class Packed:
    """A draft that is whole. ``left_out``: why the audio of recordings is not in it, by their ids."""

    draft: Path
    sha256: str
    calls: int
    recordings: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def refuse_taken(out: Path, what: str = "export") -> None:
    """Raise CcariError if ``out`` is taken already, or its folder is not there. ``what`` names the file to be written."""
    files.refuse_taken(out, what)
    if not out.parent.is_dir():
        raise CcariError(f"there is no folder {out.parent} to write in")


@contextlib.contextmanager
def packing(
    asked: Asked, holdings: Holdings, folder: Path, out: Path, zone: ZoneInfo,
    keys: Sequence[Identity],
) -> Iterator[Packed]:  # fmt: skip
    """Write the whole export to a draft beside ``out``, which is removed afterwards: see :func:`place`. ``folder``: the recordings'.

    Raises
    ------
    CcariError
        If it cannot be written.
    RecordingError
        If there are keys, and none of them opens any of the recordings.
    """
    try:
        with files.open_draft(out) as (draft, file):
            told, left_out = _write(file, asked, holdings, keys, folder, zone)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.close()
            yield Packed(draft, sha256, len(told["calls"]), len(told["recordings"]), left_out)
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None


def place(packed: Packed, out: Path) -> None:
    """Move a finished export to ``out``. Raises CcariError if something is there by now, and OSError."""
    files.put_in_place(packed.draft, out, "export")


def _write(
    file: Any, asked: Asked, holdings: Holdings, keys: Sequence[Identity],
    folder: Path, zone: ZoneInfo,
) -> tuple[dict[str, Any], dict[str, str]]:  # fmt: skip
    # which recordings are asked for, and listed
    listed = {str(each["id"]): each["state"] for each in account(asked, holdings, {})["recordings"]}
    stored = [each for each in holdings.recordings if listed.get(str(each["id"])) == "stored"]
    audio: dict[str, str] = {}
    left_out: dict[str, str] = {}
    # whether the keys have opened any, be it one that was changed
    fitted = False
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in stored:
            name, place_ = str(each["id"]), f"recordings/{each['id']}.{each['format']}"
            try:
                # age says who can open a file and not who made it: what lies there may be somebody else's talk
                within, sha256 = _within(folder, each["file"]), bytes.fromhex(each["sha256"])
                plain = open_checked(folder, within, sha256, keys)
            except RecordingError as error:
                left_out[name] = str(error)
                fitted |= isinstance(error, OtherAudioError)
            else:
                archive.writestr(place_, plain, zipfile.ZIP_STORED)
                audio[name], fitted = place_, True
        if keys and stored and not fitted:
            raise RecordingError(f"no recording could be opened: {next(iter(left_out.values()))}")
        told = account(asked, holdings, audio)
        archive.writestr("data.json", orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2))
        archive.writestr("index.html", page(told, asked.mandate.language, zone))
    return told, left_out


def _within(folder: Path, file: str) -> str:
    """The path, unless the row was tampered with: what lies elsewhere is not the person's."""
    if ".." in PurePosixPath(file).parts or not (folder / file).is_relative_to(folder):
        raise RecordingError("it is not below the recordings folder")
    return file
