"""The keys that sign evidence. The service signs, so it holds the private keys. No key is ever created as a side effect."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ccari.errors import ConfigError, why
from ccari.keyring.files import RESTORE, lock_folder, read_guarded, write_new

_EVIDENCE = re.compile(r"^evidence-([1-9][0-9]*)\.(key|pub)$")
_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half of an evidence key."""

    version: int
    public: Ed25519PublicKey = field(repr=False)

    @property
    def public_pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM (RFC 8410)."""
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of the key's SubjectPublicKeyInfo in DER."""
        return fingerprint(self.public)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether this key has signed ``data`` (Ed25519, RFC 8032)."""
        try:
            self.public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An evidence key with its private half. ``private`` is for libraries that do the signing themselves."""

    version: int
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def verifying(self) -> VerifyingKey:
        return VerifyingKey(self.version, self.private.public_key())

    @property
    def fingerprint(self) -> str:
        return self.verifying.fingerprint

    @property
    def public_pem(self) -> bytes:
        return self.verifying.public_pem

    def sign(self, data: bytes) -> bytes:
        """The signature: 64 bytes (Ed25519, RFC 8032)."""
        return self.private.sign(data)


def fingerprint(public: Ed25519PublicKey) -> str:
    """Identifies an evidence key: see :attr:`VerifyingKey.fingerprint`."""
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()[:_FINGERPRINT_DIGITS]


def public_key(path: Path) -> VerifyingKey:
    """The evidence key in a PEM file that the user names. Raises ConfigError if the file holds none."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {why(error)}") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path} contains no Ed25519 public key in PEM format")
    return VerifyingKey(0, key)


class SigningKeys:
    """``dir/evidence-N.key`` (PKCS#8 in PEM) and ``dir/evidence-N.pub``. The newest key signs; all of them verify.

    The files are read anew each time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> SigningKey:
        """The key to sign with.

        Raises
        ------
        ConfigError
            If there is none, its private half is missing, or it is damaged or open to others. A missing one is not made here:
            nobody would know whose evidence it signs.
        """
        versions = self._versions()
        if not versions:
            raise ConfigError(f"there is no evidence key in {self._folder}: {RESTORE}")
        version = max(versions)
        private = self._private(version)
        if "pub" in versions[version] and fingerprint(self._public(version).public) != private.fingerprint:
            raise ConfigError(
                f"{self._path(version, 'key')} and {self._path(version, 'pub').name} are not a pair: restore both from the backup"
            )
        return private

    def public(self, fingerprint: str) -> VerifyingKey:
        """The public key with that fingerprint. Raises ConfigError if it is not there."""
        for each in self.all():
            if each.fingerprint == fingerprint:
                return each
        raise ConfigError(
            f"there is no evidence key {fingerprint!r} in {self._folder}: restore its .pub from the backup"
        )

    def all(self) -> list[VerifyingKey]:
        """All keys, the newest last; there may be none. Otherwise raises ConfigError like :meth:`newest`."""
        return [
            self._public(version) if "pub" in halves else self._private(version).verifying
            for version, halves in sorted(self._versions().items())
        ]

    def create(self) -> bool:
        """Create the first key; False if there is a key already, or half of one. Raises ConfigError if it cannot be written."""
        with lock_folder(self._folder):
            if self._versions():
                return False
            self._make(1)
        return True

    def rotate(self) -> SigningKey:
        """Create the next key, which signs from now on. Also works if the last private half is lost.

        Raises
        ------
        ConfigError
            If there is no key yet, or the new one cannot be written.
        """
        with lock_folder(self._folder):
            versions = self._versions()
            if not versions:
                self.newest()
            self._make(max(versions) + 1)
        return self.newest()

    def _make(self, version: int) -> None:
        key = SigningKey(version, Ed25519PrivateKey.generate())
        private_pem = key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # the private half first: the public half can be derived from it
        for half, content in (("key", private_pem), ("pub", key.public_pem)):
            if not write_new(self._path(version, half), content):
                raise ConfigError(f"{self._path(version, half)} already exists: check [keys] dir")

    def _versions(self) -> dict[int, set[str]]:
        """The halves of each key version that exist: ``key``, ``pub``."""
        halves: dict[int, set[str]] = {}
        try:
            for path in self._folder.iterdir():
                if match := _EVIDENCE.match(path.name):
                    halves.setdefault(int(match[1]), set()).add(match[2])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"cannot read {self._folder}: {why(error)}") from None
        return halves

    def _private(self, version: int) -> SigningKey:
        path = self._path(version, "key")
        try:
            key = serialization.load_pem_private_key(read_guarded(path), password=None)
        except FileNotFoundError:
            raise ConfigError(
                f"{path} is missing: restore it from the backup, or if it is lost "
                "run: ccari keys rotate --evidence"
            ) from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(
                f"{path} contains no Ed25519 private key in PEM format: restore it from the backup"
            )
        return SigningKey(version, key)

    def _public(self, version: int) -> VerifyingKey:
        path = self._path(version, "pub")
        try:
            key = serialization.load_pem_public_key(read_guarded(path))
        except (ValueError, UnsupportedAlgorithm, FileNotFoundError):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(
                f"{path} contains no Ed25519 public key in PEM format: restore it from the backup"
            )
        return VerifyingKey(version, key)

    def _path(self, version: int, half: str) -> Path:
        return self._folder / f"evidence-{version}.{half}"
