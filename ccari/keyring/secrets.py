"""The secrets that key the digests of numbers: files outside the database, one folder for each controller and register.

A digest cannot be computed again without its number, so a secret is never replaced. New rows use the newest
version. Numbers are looked up under every version, until a person retires one that no row needs any more.
"""

import hmac
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ccari.errors import ConfigError, SecretError, why
from ccari.keyring.files import RESTORE, check_room, make_folder, read_guarded, settle, write_new
from ccari.policy.numbers import Number
from ccari.policy.suppression import SECRET_BYTES, digest
from ccari.ports.keying import Digests

_NAME = re.compile(r"^suppression-(\d+)\.key$")
_RETIRED = re.compile(r"^suppression-(\d+)\.retired$")
#: A folder below the keys folder. A controller of that name would keep its files directly in it, not in a
#: subfolder as registers do.
_REGISTERS = "registers"
#: The coarsest clock of the file systems in use, in nanoseconds.
_TICK_NS = 2_000_000_000
#: Advice for a version that the database knows, and no file has: it is recorded first.
UNWRITTEN = "if ccari keys rotate was interrupted before it wrote it on any node, run that again"
_CHECK, _CHECK_BYTES = b"ccari suppression secret", 4


@dataclass(frozen=True, slots=True)
class Key:
    """One version of a secret."""

    version: int
    _secret: bytes = field(repr=False)

    def digest(self, number: Number) -> bytes:
        return digest(self._secret, number)

    @property
    def in_hex(self) -> str:
        """The secret itself, as stored in its file."""
        return self._secret.hex()

    @property
    def check(self) -> str:
        """8 hex digits that tell this secret from others and give nothing else away."""
        return hmac.digest(self._secret, _CHECK, "sha256")[:_CHECK_BYTES].hex()


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose secret it is: ``kind`` is ``controller`` or ``register``."""

    kind: str
    name: str


class SecretStore:
    """The secrets in ``dir/CONTROLLER/suppression-VERSION.key`` and ``dir/registers/REGISTER/…``: 64 hex
    digits each, readable only by the files' owner.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[Path, tuple[int, list[Key]]] = {}
        #: By folder: the versions that must exist, each with its check. A check of None was never stored, so
        #: any secret will do.
        self._expected: dict[Path, dict[int, str | None]] = {}

    def next_key(self, holder: Holder) -> Key:
        """Generate the next version of a secret, or the first. It is not written: see :meth:`add`.

        Raises
        ------
        ConfigError
            As :meth:`digests`, unless there is no secret and none is expected.
        """
        folder = self._of(holder)
        there = _named(folder, _NAME)
        if there or self._expected.get(folder):
            self._versions(folder)
        version = max([0, *there, *_named(folder, _RETIRED)]) + 1
        return Key(version, secrets.token_bytes(SECRET_BYTES))

    def check_room(self, holder: Holder) -> None:
        """Raise ConfigError if no secret of this holder can be written."""
        check_room(self._made(holder))

    def add(self, holder: Holder, key: Key) -> None:
        """Write a secret that :meth:`next_key` generated. Raises ConfigError if it cannot be written."""
        path = self._made(holder) / f"suppression-{key.version}.key"
        if not write_new(path, f"{key.in_hex}\n".encode("ascii")):
            raise ConfigError(f"{path} already exists: somebody else has just made it")

    def lacks(self, holder: Holder) -> bool:
        """Whether a holder has no secret. Raises ConfigError if one is missing that rows in the database need."""
        folder = self._of(holder)
        if self._expected.get(folder):
            self._versions(folder)
        return not _named(folder, _NAME)

    def holders(self) -> list[Holder]:
        """The controllers and registers that have secrets here."""
        return [
            Holder(kind, folder.name)
            for kind, above in (("controller", self.folder), ("register", self.folder / _REGISTERS))
            for folder in _folders(above)
            if _has_secret(folder)
        ]

    def found(self, holder: Holder) -> dict[int, str]:
        """The check of each version found, whether expected or not; empty if one of them is unusable."""
        try:
            return {each.version: each.check for each in _load(self._of(holder))}
        except ConfigError:
            return {}

    def retired(self, holder: Holder) -> set[int]:
        """The versions that a person has retired."""
        return set(_named(self._of(holder), _RETIRED))

    def expect(self, holder: Holder, checks: Mapping[int, str | None]) -> None:
        """From now on, raise SecretError on each use of this holder's secrets if one of these versions is
        missing and not retired, or its check differs.
        """
        folder = self._of(holder)
        self._expected[folder] = dict(checks)
        self._loaded.pop(folder, None)

    def retire(self, controller: str, version: int) -> None:
        """Retire a version: its file is kept, but renamed.

        Raises
        ------
        ConfigError
            If there is no such version, or it is the newest.
        """
        folder = self.folder / controller
        versions = [each.version for each in self._versions(folder)]
        if version not in versions[:-1]:
            older = ", ".join(map(str, versions[:-1])) or "none"
            raise ConfigError(f"{controller!r} has no version {version} to retire; older versions: {older}")
        path = folder / f"suppression-{version}.key"
        path.rename(path.with_suffix(".retired"))
        settle(folder)

    def digests(self, controller: str, number: Number) -> Digests:
        """The number's digests under every version of the controller's secret.

        Raises
        ------
        SecretError
            If the controller has no secret, or one is damaged or open to others. No secret is ever created silently in its place: under a new one,
            the existing bars would bar nobody.
        """
        keys = self._versions(_below(self.folder, controller))
        digests = tuple(each.digest(number) for each in keys)
        return Digests(digests[-1], keys[-1].version, digests)

    def keys(self, controller: str) -> list[Key]:
        """The versions in use, newest last. Raises SecretError as :meth:`digests` does."""
        return self._versions(self.folder / controller)

    def register_keys(self, register: str) -> list[Key]:
        """Like :meth:`keys`, for a register."""
        return self._versions(self.folder / _REGISTERS / register)

    def has_register(self, register: str) -> bool:
        """Whether a copy of the register was ever loaded."""
        return _below(self.folder, _REGISTERS, register).is_dir()

    def listed_as(self, registers: Iterable[str], number: Number) -> tuple[tuple[str, bytes], ...]:
        """The number's digests for each register, as (register, digest), one for each secret. A register that
        was never loaded has no secret.

        Raises
        ------
        SecretError
            If a secret is damaged or open to others.
        """
        return tuple(
            (register, each.digest(number))
            for register in registers
            if self.has_register(register)
            for each in self._versions(_below(self.folder, _REGISTERS, register))
        )

    def heed(self, known: Iterable[str], digests: Digests) -> None:
        """Raise SecretError if one of the ``known`` secrets is neither in use nor retired on this node, or is
        newer than ``digests``.

        Another node of the fleet may have created it, and numbers barred under it would be called from here.
        ``known`` are those in the database, each as "KIND HOLDER VERSION CHECK": of the controller that
        ``digests`` are for, and of the registers that were asked.
        """
        for each in known:
            holder, number, check = _parsed(each)
            folder = self._of(holder)
            # a version expected here was checked when the digests were computed
            if self._expected.get(folder, {}).get(number) != check:
                self._versions(folder)
            found = self._expected[folder].get(number)
            if found != check and not (found is None and number in self.retired(holder)):
                unwritten = UNWRITTEN if found is None and holder.kind == "controller" else ""
                raise _lost(
                    folder, number, "is missing" if found is None else "is not the right one", unwritten
                )
            if holder.kind == "controller" and number > digests.key_version:
                raise SecretError(
                    f"the secret of {holder.name!r} has just been followed by version {number}",
                    holder.name,
                    number,
                )

    def check(self, controller: str) -> None:
        """Read the controller's secrets again, and raise the SecretError that :meth:`digests` would."""
        self._loaded.pop(self.folder / controller, None)
        self._versions(self.folder / controller)

    def _made(self, holder: Holder) -> Path:
        """The holder's folder, created if needed."""
        folder = self._of(holder)
        for each in (self.folder, folder.parent, folder):
            # one by one: created as parents, the upper ones would be open to others, and root's if root creates them
            make_folder(each)
        return folder

    def _of(self, holder: Holder) -> Path:
        above = () if holder.kind == "controller" else (_REGISTERS,)
        return _below(self.folder, *above, holder.name)

    def _versions(self, folder: Path) -> list[Key]:
        """The versions in use, newest last; read again if the folder has changed since."""
        try:
            stamp = os.stat(folder).st_mtime_ns  # noqa: PTH116 - at each look-up, and pathlib takes twice the time
        except OSError:
            stamp = 0
        cached = self._loaded.get(folder)
        # two changes within one tick of the file system's clock leave the same stamp
        if cached is None or cached[0] != stamp or abs(time.time_ns() - stamp) < _TICK_NS:
            try:
                cached = (stamp, self._load_expected(folder))
            except SecretError:
                raise
            except ConfigError as error:
                raise SecretError(str(error), folder.name) from None
            self._loaded[folder] = cached
        return cached[1]

    def _load_expected(self, folder: Path) -> list[Key]:
        """Load the secrets, and expect them from then on: if one were lost unnoticed, its bars would bar nobody."""
        expected, retired = self._expected.setdefault(folder, {}), _named(folder, _RETIRED)
        there = _named(folder, _NAME)
        for version in sorted(expected.keys() - there.keys()):
            if version not in retired:
                raise _lost(folder, version, "is missing")
        loaded = _load(folder)
        found = {each.version: each.check for each in loaded}
        for version, check in expected.items():
            if check is not None and found.get(version, check) != check:
                raise _lost(folder, version, "is not the right one")
        self._expected[folder] = dict(found)
        return loaded


@lru_cache(maxsize=1000)
def _below(folder: Path, *names: str) -> Path:
    """Cached: joining a path splits and hashes it each time, which takes longer than computing the digest."""
    return folder.joinpath(*names)


@lru_cache(maxsize=1000)
def _parsed(known: str) -> tuple[Holder, int, str]:
    """Holder, version and check. Cached: every look-up brings the same ones, until a secret is added."""
    kind, name, version, check = known.split()
    return Holder(kind, name), int(version), check


def _load(folder: Path) -> list[Key]:
    paths = _named(folder, _NAME)
    if not paths:
        raise ConfigError(f"{folder.name!r} has no suppression secret in {folder}: {RESTORE}")
    return [Key(version, _read(paths[version])) for version in sorted(paths)]


def _named(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """The files whose names match the pattern, by version. Raises ConfigError if the folder cannot be read."""
    return {int(match[1]): path for path in _content(folder) if (match := pattern.match(path.name))}


def _folders(above: Path) -> list[Path]:
    return sorted(each for each in _content(above) if each.is_dir())


def _has_secret(folder: Path) -> bool:
    """Whether the folder holds a secret. False if it cannot be read: it may be lost+found, and a holder's
    folder raises when its secret is needed.
    """
    try:
        return bool(_named(folder, _NAME))
    except ConfigError:
        return False


def _content(folder: Path) -> list[Path]:
    """The files in a folder; none if it does not exist. Raises ConfigError if it cannot be read: it must not
    pass for empty.
    """
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        advice = ": let ccari's user read it" if isinstance(error, PermissionError) else ""
        raise ConfigError(f"cannot read {folder}: {why(error)}{advice}") from None


def _lost(folder: Path, version: int, how: str, otherwise: str = "") -> SecretError:
    anew = ", or load the register again and restart ccari" if folder.parent.name == _REGISTERS else ""
    return SecretError(
        f"version {version} of the suppression secret of {folder.name!r} in {folder} {how}, so what is kept "
        "under it would bar nobody: restore the keys from the backup, or from the node where it was "
        f"made{anew}{otherwise and '; '}{otherwise}",
        folder.name,
        version,
    )


def _read(path: Path) -> bytes:
    try:
        secret = bytes.fromhex(read_guarded(path).decode("ascii").strip())
    except FileNotFoundError:
        raise ConfigError(f"cannot read {path}: No such file or directory") from None
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise ConfigError(
            f"{path} contains no secret of {SECRET_BYTES} bytes in hexadecimal: restore it from the backup"
        )
    return secret
