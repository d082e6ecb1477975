"""The secrets that numbers are kept under: files apart from the database, one folder for each controller and register.

A digest cannot be made anew without its number, so a secret is never replaced: a newer version is written with, and all
versions are looked up, until a person retires one that nothing hangs on any more.
"""

import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ccari.errors import ConfigError
from ccari.policy.numbers import Number
from ccari.policy.suppression import SECRET_BYTES, digest
from ccari.ports.keying import Digests

_NAME = re.compile(r"^suppression-(\d+)\.key$")
#: Below the keys folder. A controller of that name would have its own files one level higher.
_REGISTERS = "registers"
#: No file system that is in use has a coarser clock, in nanoseconds.
_TICK_NS = 2_000_000_000
_CHECK, _CHECK_BYTES = b"ccari suppression secret", 4


@dataclass(frozen=True, slots=True)
class Key:
    """One version of a secret, to write a list with."""

    version: int
    _secret: bytes = field(repr=False)

    def digest(self, number: Number) -> bytes:
        return digest(self._secret, number)

    @property
    def check(self) -> str:
        """What tells this secret from another, and nothing else of it."""
        return hmac.digest(self._secret, _CHECK, "sha256")[:_CHECK_BYTES].hex()


class SecretStore:
    """``dir/CONTROLLER/suppression-VERSION.key`` and ``dir/registers/REGISTER/…``, 64 hex digits each, their owner's only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[Path, tuple[int, list[tuple[int, bytes]]]] = {}

    def create(self, controller: str) -> bool:
        """Make a controller's first secret; False if it has one, which is never replaced.

        Raises
        ------
        ConfigError
            If the folder cannot be written.
        """
        return self._create(self._folder / controller)

    def create_for_register(self, register: str) -> bool:
        """As :meth:`create`, for a register."""
        return self._create(self._folder / _REGISTERS / register)

    def rotate(self, controller: str) -> int:
        """Make a controller's next secret and give its version; what is written from now on is keyed with it.

        Raises
        ------
        ConfigError
            If there is none to follow, or the folder cannot be written.
        """
        folder = self._folder / controller
        version = self._versions(folder)[-1][0] + 1
        _write(folder, version)
        return version

    def retire(self, controller: str, version: int) -> None:
        """Take a version out of use; its file stays, by another name.

        Raises
        ------
        ConfigError
            If there is no such version, or it is the newest.
        """
        folder = self._folder / controller
        versions = [each for each, _ in self._versions(folder)]
        if version not in versions[:-1]:
            older = ", ".join(map(str, versions[:-1])) or "none"
            raise ConfigError(
                f"{controller!r} has no version {version} to retire: of the older ones there is {older}"
            )
        path = folder / f"suppression-{version}.key"
        path.rename(path.with_suffix(".retired"))

    def digests(self, controller: str, number: Number) -> Digests:
        """The number's digests under every version of the controller's secret.

        Raises
        ------
        ConfigError
            If the controller has no secret, or one is damaged or open to others. A new one is never made in silence:
            under it the old entries would no longer bar anybody.
        """
        return _digests(self._versions(self._folder / controller), number)

    def keys(self, controller: str) -> list[Key]:
        """The versions in use, the newest last. Raises ConfigError as :meth:`digests` does."""
        return [Key(*each) for each in self._versions(self._folder / controller)]

    def register_keys(self, register: str) -> list[Key]:
        """As :meth:`keys`, of a register."""
        return [Key(*each) for each in self._versions(self._folder / _REGISTERS / register)]

    def register_digests(self, register: str, number: Number) -> Digests:
        """As :meth:`digests`, under a register's secrets."""
        return _digests(self._versions(self._folder / _REGISTERS / register), number)

    def has_register(self, register: str) -> bool:
        """Whether a copy of the register was ever taken in."""
        return (self._folder / _REGISTERS / register).is_dir()

    def listed_as(self, registers: Iterable[str], number: Number) -> tuple[tuple[str, bytes], ...]:
        """Register and digest of the number under each secret; a register that was never loaded has none yet.

        Raises
        ------
        ConfigError
            If a secret is damaged or open to others.
        """
        return tuple(
            (register, each)
            for register in registers
            if self.has_register(register)
            for each in self.register_digests(register, number).all
        )

    def check(self, controller: str) -> None:
        """Read the secret anew, and raise the ConfigError that :meth:`digests` would."""
        self._loaded.pop(self._folder / controller, None)
        self._versions(self._folder / controller)

    def _create(self, folder: Path) -> bool:
        try:
            for each in (self._folder, folder.parent, folder):
                # the folders above would be open to others, made as parents
                if not each.exists():
                    each.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(_NAME.match(path.name) for path in folder.iterdir()):
                return False
        except OSError as error:
            raise _unwritable(folder, error) from None
        _write(folder, 1)
        return True

    def _versions(self, folder: Path) -> list[tuple[int, bytes]]:
        """A version that was added or retired while the service runs counts from the next look-up on."""
        try:
            stamp = folder.stat().st_mtime_ns
        except OSError:
            stamp = 0
        known = self._loaded.get(folder)
        # two changes within one tick of the file system's clock leave the same stamp
        if known is None or known[0] != stamp or abs(time.time_ns() - stamp) < _TICK_NS:
            known = self._loaded[folder] = (stamp, _load(folder))
        return known[1]


def _digests(versions: list[tuple[int, bytes]], number: Number) -> Digests:
    made = [(version, digest(secret, number)) for version, secret in versions]
    version, newest = made[-1]
    return Digests(newest, version, tuple(each for _, each in made))


def _write(folder: Path, version: int) -> None:
    """Whole or not at all: a reader never finds half a secret."""
    path, draft = folder / f"suppression-{version}.key", folder / f".suppression-{version}.draft"
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(secrets.token_hex(SECRET_BYTES) + "\n")
        # a link fails where a rename would replace a secret that another process has just made
        path.hardlink_to(draft)
        draft.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write a secret in {folder}: {error.strerror}: check [keys] dir")


def _load(folder: Path) -> list[tuple[int, bytes]]:
    try:
        named = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.match(path.name))}
    except OSError:
        named = {}
    if not named:
        raise ConfigError(
            f"{folder.name!r} has no suppression secret in {folder}: restore it from the backup, "
            "or if it is new run: ccari keys init"
        )
    return [(version, _read(named[version])) for version in sorted(named)]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by others: chmod 600 it, and think about who has read it")
        secret = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise ConfigError(
            f"{path} holds no secret of {SECRET_BYTES} bytes in hex: restore it from the backup"
        )
    return secret
