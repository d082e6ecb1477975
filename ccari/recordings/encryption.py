"""age encryption (age-encryption.org/v1) of recordings: whoever holds the recipients writes, whoever holds an identity
reads.
"""

from collections.abc import Sequence
from pathlib import Path

import pyrage

from ccari.errors import ConfigError, RecordingError


def encrypt(source: Path, target: Path, recipients: Sequence[str]) -> None:
    """Write ``source`` to ``target`` so that each of the recipients (``age1…``) can open it.

    Raises
    ------
    ConfigError
        If one of them is none.
    OSError
        If it cannot be written.
    """
    try:
        to = [pyrage.x25519.Recipient.from_str(each) for each in recipients]
    except pyrage.RecipientError:
        raise ConfigError("recordings.recipients holds a line that is no age recipient (age1…)") from None
    with source.open("rb") as plain, target.open("wb") as sealed:
        pyrage.encrypt_io(plain, sealed, to)


def decrypt(path: Path, identities: Sequence[pyrage.x25519.Identity]) -> bytes:
    """What is inside an encrypted file.

    Raises
    ------
    RecordingError
        If none of the identities opens it, or it was damaged.
    OSError
        If it cannot be read.
    """
    try:
        return pyrage.decrypt(path.read_bytes(), list(identities))
    except pyrage.DecryptError:
        raise RecordingError(f"{path.name} was encrypted to somebody else, or is damaged") from None
