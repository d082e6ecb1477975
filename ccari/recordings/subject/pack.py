"""Writes the ZIP that a person receives: their data as JSON and as a page to read, and their recordings as plain audio.

Only its owner can read it, and it is written whole or not at all.
"""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from pyrage.x25519 import Identity

from ccari.errors import CcariError, OtherAudioError, RecordingError, why
from ccari.keyring import files
from ccari.policy.recording import RecordingState
from ccari.ports.subjects import Holdings
from ccari.recordings.reading import open_checked
from ccari.recordings.subject.account import Asked, account
from ccari.recordings.subject.page import page


@dataclass(frozen=True, slots=True)
class Packed:
    """A finished draft. ``calls``, ``recordings``: how many it lists. ``left_out``: by recording id, why its audio is not in it."""

    draft: Path
    sha256: str
    calls: int
    recordings: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def refuse_taken(out: Path, what: str = "export") -> None:
    """Raise CcariError if ``out`` already exists, or its folder does not. ``what`` names the file to be written."""
    files.refuse_taken(out, what)
    if not out.parent.is_dir():
        raise CcariError(f"there is no folder {out.parent} to write in")


@contextlib.contextmanager
def packing(
    asked: Asked, holdings: Holdings, folder: Path, out: Path, zone: ZoneInfo,
    keys: Sequence[Identity],
) -> Iterator[Packed]:  # fmt: skip
    """Write the whole export to a draft beside ``out``, removed afterwards: see :func:`place`. ``folder``: the recordings'.

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
    """Move a finished export to ``out``. Raises CcariError if that exists by now, and OSError."""
    files.put_in_place(packed.draft, out, "export")


def _write(
    file: Any, asked: Asked, holdings: Holdings, keys: Sequence[Identity],
    folder: Path, zone: ZoneInfo,
) -> tuple[dict[str, Any], dict[str, str]]:  # fmt: skip
    # the recordings that the account lists: not all, on portability
    listed = {str(each["id"]): each["state"] for each in account(asked, holdings, {})["recordings"]}
    stored = [each for each in holdings.recordings if listed.get(str(each["id"])) == RecordingState.STORED]
    audio: dict[str, str] = {}
    left_out: dict[str, str] = {}
    # whether the keys have opened any recording, even one whose audio was changed
    keys_fit = False
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in stored:
            recording_id, path = str(each["id"]), f"recordings/{each['id']}.{each['format']}"
            try:
                # the hash is checked because anybody can encrypt to a recipient: the file could be somebody else's call
                plain = open_checked(folder, each["file"], bytes.fromhex(each["sha256"]), keys)
            except RecordingError as error:
                left_out[recording_id] = str(error)
                keys_fit |= isinstance(error, OtherAudioError)
            else:
                archive.writestr(path, plain, zipfile.ZIP_STORED)
                audio[recording_id], keys_fit = path, True
        if keys and stored and not keys_fit:
            raise RecordingError(f"no recording could be opened: {next(iter(left_out.values()))}")
        told = account(asked, holdings, audio)
        archive.writestr("data.json", orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2))
        archive.writestr("index.html", page(told, asked.language, zone))
    return told, left_out
