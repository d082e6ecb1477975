"""The secrets that suppression digests are keyed with: files apart from the database, one folder a controller."""

import re
import secrets
from pathlib import Path

from ccari.errors import ConfigError
from ccari.policy.numbers import Number
from ccari.policy.suppression import SECRET_BYTES, digest
from ccari.ports import Digests

_NAME = re.compile(r"^suppression-(\d+)\.key$")


class SecretStore:
    """``dir/CONTROLLER/suppression-VERSION.key``, 64 hex digits each, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, list[tuple[int, bytes]]] = {}

    def create(self, controller: str) -> bool:
        """Make a controller's first secret; False if it has one, which is never replaced.

        Raises
        ------
        ConfigError
            If the folder cannot be written.
        """
        folder = self._folder / controller
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(_NAME.match(path.name) for path in folder.iterdir()):
                return False
            path = folder / "suppression-1.key"
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(secrets.token_hex(SECRET_BYTES) + "\n")
        except OSError as error:
            raise ConfigError(
                f"cannot write a secret in {folder}: {error.strerror}: check [keys] dir"
            ) from None
        return True

    def digests(self, controller: str, number: Number) -> Digests:
        """The number's digests under every version of the controller's secret.

        Raises
        ------
        ConfigError
            If the controller has no secret, or one is damaged or open to others. A new one is never made in silence:
            under it the old entries would no longer bar anybody.
        """
        if controller not in self._loaded:
            self._loaded[controller] = self._load(controller)
        made = [(version, digest(secret, number)) for version, secret in self._loaded[controller]]
        version, newest = made[-1]
        return Digests(newest, version, tuple(each for _, each in made))

    def check(self, controller: str) -> None:
        """Raise the ConfigError that :meth:`digests` would."""
        self._loaded[controller] = self._load(controller)

    def _load(self, controller: str) -> list[tuple[int, bytes]]:
        folder = self._folder / controller
        try:
            named = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.match(path.name))}
        except OSError:
            named = {}
        if not named:
            raise ConfigError(
                f"the controller {controller!r} has no suppression secret in {folder}: restore it from the backup, "
                "or for a new controller run: ccari keys init"
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
