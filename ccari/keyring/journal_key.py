"""The key that encrypts rights waiting on this node's disk."""

import hashlib
import hmac
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ccari.errors import ConfigError
from ccari.keyring.files import RESTORE, lock_folder, read_guarded, write_new

KEY_BYTES = 32
CHECK_DIGITS = 8


class JournalKey:
    """The key in ``dir/journal.key``: 64 hex digits in one line. It is read each time, never created
    silently, and never replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.key"
        self._folder = folder

    def read(self) -> bytes:
        """32 bytes, for AES-256.

        Raises
        ------
        ConfigError
            If the file is missing, damaged or open to others.
        """
        try:
            key = bytes.fromhex(read_guarded(self.path).decode("ascii").strip())
        except FileNotFoundError:
            raise ConfigError(f"there is no {self.path}: {RESTORE}") from None
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise ConfigError(f"{self.path} contains no key: restore it from the backup")
        return key

    def create(self) -> bool:
        """Create the key; False if there is one. Raises ConfigError if it cannot be written."""
        with lock_folder(self._folder):
            return write_new(self.path, f"{AESGCM.generate_key(KEY_BYTES * 8).hex()}\n".encode("ascii"))


def check(key: bytes) -> str:
    """8 hex digits that tell one key from another and give nothing else away."""
    return hmac.digest(key, b"ccari journal key", hashlib.sha256).hex()[:CHECK_DIGITS]
