"""The secrets that sign messages to webhooks. A controller's secret is a file outside the database; the controller has a copy."""

import base64
import binascii
import secrets
from pathlib import Path

from ccari.errors import ConfigError
from ccari.keyring.files import make_folder, read_guarded, write_new

_PREFIX = "whsec_"
#: Standard Webhooks requires 24 to 64.
SECRET_BYTES = 32
_ALLOWED_BYTES = range(24, 65)


class WebhookSecrets:
    """The files ``FOLDER/CONTROLLER/webhook.key``: one line ``whsec_…``, readable by its owner only, read again for each message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, controller: str) -> Path:
        return self._folder / controller / "webhook.key"

    def create(self, controller: str) -> bool:
        """Create a controller's secret. False if there is one already: it is not replaced, because the controller has a copy.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        made = _PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")
        # created as a parent, the folder above would be open to others
        make_folder(self._folder)
        return write_new(self.path(controller), f"{made}\n".encode("ascii"))

    def read(self, controller: str) -> bytes:
        """The secret's bytes.

        Raises
        ------
        ConfigError
            If there is none, or it is damaged or open to others. None is made here: the controller would not have it.
        """
        path = self.path(controller)
        try:
            return read_secret(path)
        except FileNotFoundError:
            raise ConfigError(
                f"{controller!r} has no webhook secret: ccari requests webhook-secret --controller {controller}"
            ) from None


def read_secret(path: Path) -> bytes:
    """The secret's bytes, from a file that only its owner can read, with one line ``whsec_…``.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ConfigError
        If it is damaged or open to others.
    """
    secret = decoded(read_guarded(path).decode("ascii", errors="replace").strip())
    if secret is None:
        raise ConfigError(f"{path} contains no secret such as {_PREFIX}…: restore it from the backup")
    return secret


def decoded(text: str) -> bytes | None:
    """The secret's bytes; None if the text is not a secret such as ``whsec_…``."""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if text.startswith(_PREFIX) and len(secret) in _ALLOWED_BYTES else None
