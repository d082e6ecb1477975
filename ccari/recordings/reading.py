"""Opens stored recordings for holders of a key, and checks that their files were not changed."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pyrage
from pyrage.x25519 import Identity

from ccari.errors import ConfigError, OtherAudioError, RecordingError, why
from ccari.keyring.files import read_given
from ccari.ports.recordings import Channels, InPlace
from ccari.recordings.encryption import decrypt
from ccari.recordings.evidence.agreeing import faults_of_stored
from ccari.recordings.tags import ENCRYPTED, beside, sidecar_fields
from ccari.regular import open_regular

#: How much longer than permitted a recording may be: a cut by time and a cut by samples differ by less.
_ROUNDING_MS = 100

#: Fields that earlier versions did not write into tags, with the only value that they knew. Add every field that tags get later.
_NOT_IN_OLDER_TAGS = {"channels": Channels.MONO.value}


def identities_of(path: Path) -> tuple[Identity, ...]:
    """The identities in an age identity file, or a pipe: ``AGE-SECRET-KEY-1…``, one a line, with ``#`` comments.

    Raises
    ------
    ConfigError
        If the file is not there, others can read it, or it holds no identity or something else as well.
    """
    try:
        text = read_given(path).decode(errors="replace")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    return identities_in(text, str(path))


def identities_in(text: str, named: str) -> tuple[Identity, ...]:
    """The identities in such a file's text; ``named`` is its name in errors. Raises ConfigError like :func:`identities_of`."""
    lines = [line.strip() for line in text.splitlines()]
    try:
        identities = tuple(Identity.from_str(line) for line in lines if line and not line.startswith("#"))
    except pyrage.IdentityError:
        identities = ()
    if not identities:
        raise ConfigError(f"{named} must contain an age identity (AGE-SECRET-KEY-1…), and nothing else")
    return identities


def open_recorded(folder: Path, recording: InPlace, identities: Sequence[Identity]) -> bytes:
    """Like :func:`open_checked`. Also raises OtherAudioError if the call's journal has the hash of other audio."""
    kept = recording.kept
    told = {each.get("sha256") for each in recording.told.get("recording_stored", ())}
    if told and kept.sha256.hex() not in told:
        raise _other_audio(kept.file)
    return open_checked(folder, kept.file, kept.sha256, identities)


def open_checked(folder: Path, file: str, sha256: bytes, identities: Sequence[Identity]) -> bytes:
    """Like :func:`open_plain`. Raises OtherAudioError if the audio's hash is not ``sha256``: it is not what was recorded."""
    audio = open_plain(folder, file, identities)
    if hashlib.sha256(audio).digest() != sha256:
        raise _other_audio(file)
    return audio


def _other_audio(file: str) -> OtherAudioError:
    return OtherAudioError(f"{file} is not what was recorded: its audio was changed")


def open_plain(folder: Path, file: str, identities: Sequence[Identity]) -> bytes:
    """The audio of a stored recording, decrypted. ``file`` is its path below the recordings folder.

    Raises
    ------
    RecordingError
        If the file is not there, cannot be read, or none of the identities opens it.
    """
    path = below(folder, file)
    try:
        if path.suffix != ENCRYPTED:
            return path.read_bytes()
        if not identities:
            raise RecordingError(f"{file} is encrypted: add --identity KEYFILE")
        return decrypt(path, identities)
    except FileNotFoundError:
        raise RecordingError(f"there is no file {file}") from None
    except OSError as error:
        raise RecordingError(f"{file} cannot be read: {why(error)}") from None


def below(folder: Path, file: str) -> Path:
    """The path of a recording's file. Raises RecordingError if it is not below ``folder``: ``file`` comes from the database, and anyone
    who can write to the database could point it anywhere.
    """
    path = folder / file
    # the folder may be named from elsewhere, such as ../recordings
    if ".." in Path(file).parts or not path.is_relative_to(folder) or path == folder or "\0" in file:
        raise RecordingError("its file is not below the recordings folder")
    return path


def faults(folder: Path, recording: InPlace, identities: Sequence[Identity] = ()) -> list[str]:
    """What is wrong with a stored recording, in words: with its file; with the tag beside it; with its row, compared with the call's
    journal; with its length, given the rights that end it; and, given identities that open it, with the audio inside.
    """
    try:
        below(folder, recording.kept.file)
    except RecordingError as error:
        return [str(error)]
    return [
        *_faults_of_file(folder, recording, identities), *_faults_of_tag(folder, recording), *faults_of_stored(recording),
        *_faults_of_length(recording),
    ]  # fmt: skip


def _faults_of_file(folder: Path, recording: InPlace, identities: Sequence[Identity]) -> Iterator[str]:
    kept = recording.kept
    try:
        # whoever can write to the folder could put a pipe in its place, which would never end
        with open_regular(folder / kept.file) as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            size = file.tell()
    except FileNotFoundError:
        yield "its file is missing"
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
                yield "the audio in its file is not what was recorded"
        except RecordingError as error:
            yield f"its audio cannot be opened: {error}"


def _faults_of_tag(folder: Path, recording: InPlace) -> Iterator[str]:
    try:
        with open_regular(beside(folder / recording.kept.file)) as file:
            found: Any = json.loads(file.read())
    except FileNotFoundError:
        yield "its tag is missing"
        return
    except OSError as error:
        yield f"its tag cannot be read: {why(error)}"
        return
    except ValueError:
        yield "its tag is not JSON"
        return
    try:
        expected = sidecar_fields(recording.tag, recording.kept)
    except RecordingError as error:
        yield str(error)
        return
    if not isinstance(found, dict):
        yield "its tag is not a JSON object"
        return
    found = _NOT_IN_OLDER_TAGS | found
    if different := sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name)):
        yield f"its tag differs from the database in {', '.join(map(str, different))}"


def _faults_of_length(recording: InPlace) -> Iterator[str]:
    """A right may become known only after another service has stored the recording."""
    if recording.until is not None and recording.too_long_ms > _ROUNDING_MS:
        at = recording.until.astimezone(UTC).isoformat(timespec="seconds")
        yield f"it should end with the right of {at}, but goes on for {recording.too_long_ms / 1000:.1f} s"
