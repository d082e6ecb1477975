"""Whom recordings are encrypted to.

The service encrypts recordings and cannot open them: the recipients are here, their private keys with those who may
listen. None is ever made in silence.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyrage

from ccari.errors import ConfigError
from ccari.keyring.files import alone, is_there, read_private, read_public, write_new, write_over

_IDENTITY = b"AGE-SECRET-KEY-"


class RecipientFile:
    """``dir/recordings.recipients``: age recipients (``age1…``), one a line, ``#`` comments; read anew each time.

    ``dir/recordings.identity`` is the private key of the first of them, made with it and meant to be taken away.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "recordings.recipients"
        self.identity_path = folder / "recordings.identity"
        self._folder = folder

    def recipients(self) -> tuple[str, ...]:
        """Whom a recording is encrypted to.

        Raises
        ------
        ConfigError
            If there is none, one is no age recipient, or others can write the file. None is made in silence: nobody
            would have the private key.
        """
        found = self.registered()
        if not found:
            raise ConfigError(
                f"there is no recipient of recordings in {self.path}: restore it from the backup, "
                "or if it is new run: ccari keys init"
            )
        return found

    def registered(self) -> tuple[str, ...]:
        """As :meth:`recipients`, where none is no error."""
        try:
            text = read_public(self.path).decode("utf-8")
        except FileNotFoundError:
            return ()
        except UnicodeDecodeError:
            raise ConfigError(f"{self.path} is no text: restore it from the backup") from None
        for number, line in enumerate(text.splitlines(), start=1):
            for each in _said(line):
                if not is_recipient(each):
                    raise ConfigError(f"{self.path}, line {number}: {_no_recipient(each)}")
        return tuple(dict.fromkeys(_said(text)))

    def refuse_others(self, recipients: Sequence[str]) -> None:
        """Raise ConfigError if one of these is no recipient, or :meth:`create` would pass it over for those there are."""
        wanted, found = set(_checked(recipients)), set(self.registered())
        if found and wanted - found:
            raise ConfigError(
                f"there are recipients in {self.path} already: run: ccari keys rotate --recordings --recipient …, "
                "with --add if those are to stay"
            )

    def create(self, recipients: Sequence[str] = ()) -> bool:
        """Register the first recipients, or make an identity and register its own; False if there is one already.

        An identity that lies there (of a command that was killed) is taken.

        Raises
        ------
        ConfigError
            If something cannot be read or written, or is no recipient.
        """
        wanted = _checked(recipients)
        with alone(self._folder):
            if self.registered():
                return False
            self._add(wanted or (self._identity(),))
        return True

    def renew(self, recipients: Sequence[str] = (), *, add: bool = False) -> tuple[str, ...]:
        """Let ``recipients``, or a new identity, be those of what is recorded from now on; ``add``: besides the others.

        Gives all of them. What was recorded before stays with those to whom it was encrypted.

        Raises
        ------
        ConfigError
            As :meth:`create`; if there is none to follow; or if an identity still lies there, which is never replaced.
        """
        wanted = _checked(recipients)
        with alone(self._folder):
            self.recipients()
            if not wanted:
                if is_there(self.identity_path):
                    raise ConfigError(
                        f"{self.identity_path} lies there still: take it to those who may listen, remove it here, "
                        "then run this again"
                    )
                wanted = (self._identity(),)
            if add:
                self._add(wanted)
            else:
                write_over(self.path, _lines(wanted))
            return self.recipients()

    def _identity(self) -> str:
        """The recipient of the identity that lies there, which is made if there is none."""
        made = pyrage.x25519.Identity.generate()
        if write_new(self.identity_path, f"# recipient: {made.to_public()}\n{made}\n".encode("ascii")):
            return str(made.to_public())
        try:
            (secret,) = _said(read_private(self.identity_path).decode("ascii"))
            return str(pyrage.x25519.Identity.from_str(secret).to_public())
        except (ValueError, FileNotFoundError, pyrage.IdentityError):
            raise ConfigError(
                f"{self.identity_path} holds no age identity: restore it, or remove it if nobody needs it"
            ) from None

    def _add(self, recipients: Iterable[str]) -> None:
        known = self.registered()
        before = read_public(self.path) if is_there(self.path) else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        write_over(self.path, before + _lines(each for each in recipients if each not in known))


def is_recipient(text: str) -> bool:
    """Whether recordings can be encrypted to it: an X25519 recipient, ``age1…``."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def holds_identity(content: bytes) -> bool:
    """Whether a file has the private key of a recipient in it, whatever it is called."""
    return _IDENTITY in content.upper()


def _checked(recipients: Sequence[str]) -> tuple[str, ...]:
    stripped = tuple(dict.fromkeys(each.strip() for each in recipients))
    for each in stripped:
        if not is_recipient(each):
            raise ConfigError(_no_recipient(each))
    return stripped


def _no_recipient(text: str) -> str:
    """Never quoted: it may be a secret that was taken for the other half."""
    if holds_identity(text.encode()):
        return "that is an identity, which is secret: give its recipient, which begins with age1, and make a new pair"
    return "that is no age recipient: give what begins with age1, as age-keygen prints it"


def _said(text: str) -> list[str]:
    return [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]


def _lines(recipients: Iterable[str]) -> bytes:
    return "".join(f"{each}\n" for each in recipients).encode("ascii")
