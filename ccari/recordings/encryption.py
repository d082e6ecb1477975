"""Encrypts and decrypts recordings with age (age-encryption.org/v1): recipients are public keys, identities are private keys."""

import contextlib
import errno
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyrage

from ccari.errors import ConfigError, RecordingError

if TYPE_CHECKING:
    from typing_extensions import Buffer


def encrypt(source: Path, target: Path, recipients: Sequence[str]) -> None:
    """Write ``source`` to ``target`` so that each of the recipients (``age1…``) can open it.

    Raises
    ------
    ConfigError
        If one of them is not a recipient.
    OSError
        If a file cannot be read or written.
    """
    try:
        keys = [pyrage.x25519.Recipient.from_str(each) for each in recipients]
    except pyrage.RecipientError:
        raise ConfigError(
            "recordings.recipients contains a line that is not an age recipient (age1…)"
        ) from None
    with source.open("rb") as plain, target.open("wb") as sealed:
        reading, writing = _Watched(plain), _Watched(sealed)
        try:
            pyrage.encrypt_io(reading, writing, keys)
        except pyrage.EncryptError as error:
            if not (reading.error or writing.error):
                raise OSError(errno.EIO, str(error)) from None
        for failure in (reading.error, writing.error):
            if failure is not None:
                raise failure


class _Watched(io.BufferedIOBase):
    """A file that remembers its first error: pyrage does not report an error in the last write, and leaves a damaged file.

    As Python code, it also lets other threads run at each piece; pyrage itself blocks them all.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        with self._watching():
            return self._file.read(-1 if size is None else size)

    def write(self, data: "Buffer", /) -> int:
        with self._watching():
            return self._file.write(data)

    def flush(self) -> None:
        # the interpreter flushes again when it deletes this object, after the file is closed
        if not self._file.closed:
            with self._watching():
                self._file.flush()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            raise


def decrypt(path: Path, identities: Sequence[pyrage.x25519.Identity]) -> bytes:
    """The decrypted content of a file.

    Raises
    ------
    RecordingError
        If none of the identities opens it, or it is damaged.
    OSError
        If it cannot be read.
    """
    plain = io.BytesIO()
    with path.open("rb") as sealed:
        reading = _Watched(sealed)
        try:
            pyrage.decrypt_io(reading, plain, list(identities))
        except pyrage.DecryptError:
            if reading.error is not None:
                raise reading.error from None
            raise RecordingError(f"{path.name} was encrypted to somebody else, or is damaged") from None
    return plain.getvalue()
