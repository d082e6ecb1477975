"""Stored recordings, for those who hold a key to them; and whether they lie there as they were put."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyrage
from pyrage.x25519 import Identity

from ccari.errors import ConfigError, OtherAudioError, RecordingError, why
from ccari.keyring.files import read_private
from ccari.ports.recordings import InPlace
from ccari.recordings.encryption import decrypt
from ccari.recordings.tags import beside, told

_ENCRYPTED = ".age"


def identities_of(path: Path) -> tuple[Identity, ...]:
    """Those of an age identity file: ``AGE-SECRET-KEY-1…``, one a line, and comments from ``#``.

    Raises
    ------
    ConfigError
        If there is none in it, or others can read it.
    """
    try:
        text = read_private(path).decode(errors="replace")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    return identities_in(text, str(path))


def identities_in(text: str, named: str) -> tuple[Identity, ...]:
    """Those of the text of such a file, which a message calls ``named``. Raises ConfigError as :func:`identities_of`."""
    said = [line.strip() for line in text.splitlines()]
    try:
        found = tuple(Identity.from_str(each) for each in said if each and not each.startswith("#"))
    except pyrage.IdentityError:
        found = ()
    if not found:
        raise ConfigError(f"{named} holds no age identity (AGE-SECRET-KEY-1…), or something else too")
    return found


def open_checked(folder: Path, file: str, sha256: bytes, identities: Sequence[Identity]) -> bytes:
    """As :func:`open_plain`; OtherAudioError if it is not the audio that was put there, which had this ``sha256``."""
    audio = open_plain(folder, file, identities)
    if hashlib.sha256(audio).digest() != sha256:
        raise OtherAudioError(f"{file} is not what was recorded: its audio was changed")
    return audio


def open_plain(folder: Path, file: str, identities: Sequence[Identity]) -> bytes:
    """The audio of a stored recording; ``file`` is its path below the recordings folder.

    Raises
    ------
    RecordingError
        If it is not there, cannot be read, or none of the identities opens it.
    """
    path = below(folder, file)
    try:
        if path.suffix != _ENCRYPTED:
            return path.read_bytes()
        if not identities:
            raise RecordingError(f"{file} is encrypted: say --identity KEYFILE")
        return decrypt(path, identities)
    except FileNotFoundError:
        raise RecordingError(f"there is no file {file}") from None
    except OSError as error:
        raise RecordingError(f"{file} cannot be read: {why(error)}") from None


def below(folder: Path, file: str) -> Path:
    """Where a recording lies; ``file`` is what the database tells, which whoever has the database can change. Raises
    RecordingError for what is not below the folder.
    """
    path = folder / file
    if ".." in path.parts or not path.is_relative_to(folder) or path == folder or "\0" in file:
        raise RecordingError("its file is not below the recordings folder")
    return path


def faults(folder: Path, recording: InPlace, identities: Sequence[Identity] = ()) -> list[str]:
    """What does not fit, in words: of the file, of the tag beside it, and for who can open it of the audio inside."""
    try:
        below(folder, recording.kept.file)
    except RecordingError as error:
        return [str(error)]
    return [*_faults_of_file(folder, recording, identities), *_faults_of_tag(folder, recording)]


def _faults_of_file(folder: Path, recording: InPlace, identities: Sequence[Identity]) -> Iterator[str]:
    kept = recording.kept
    try:
        with (folder / kept.file).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            size = file.tell()
    except FileNotFoundError:
        yield "its file is not there"
        return
    except OSError as error:
        yield f"its file cannot be read: {why(error)}"
        return
    if size != kept.size:
        yield f"its file has {size} bytes, not {kept.size}"
    elif digest != kept.file_sha256:
        yield "its file was changed"
    if identities:
        try:
            if hashlib.sha256(open_plain(folder, kept.file, identities)).digest() != kept.sha256:
                yield "the audio inside is another"
        except RecordingError as error:
            yield f"its audio cannot be had: {error}"


def _faults_of_tag(folder: Path, recording: InPlace) -> Iterator[str]:
    try:
        lies: Any = json.loads(beside(folder / recording.kept.file).read_bytes())
    except FileNotFoundError:
        yield "its tag is not there"
        return
    except OSError as error:
        yield f"its tag cannot be read: {why(error)}"
        return
    except ValueError:
        yield "its tag is no JSON"
        return
    try:
        known = told(recording.tag, recording.kept)
    except RecordingError as error:
        yield str(error)
        return
    if not isinstance(lies, dict):
        yield "its tag is no JSON object"
    elif different := sorted(name for name in {*known, *lies} if known.get(name) != lies.get(name)):
        yield f"its tag tells otherwise of {', '.join(map(str, different))}"
