"""Reads and writes the file of recipients: the public keys that recordings are encrypted to.

The service encrypts recordings and cannot open them: it has only the recipients; those who may listen hold the private keys (identities).
No key is ever created as a side effect.
"""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyrage

from ccari.errors import ConfigError
from ccari.keyring.files import (
    RESTORE,
    holds_identity,
    is_there,
    lock_folder,
    read_guarded,
    write_new,
    write_over,
)


class RecipientFile:
    """``dir/recordings.recipients``: age recipients (``age1…``), one a line, with ``#`` comments. Read anew each time.

    ``dir/recordings.identity`` is the private key made together with one of them. It is meant to be taken off this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "recordings.recipients"
        self.identity_path = folder / "recordings.identity"
        self._folder = folder

    def recipients(self) -> tuple[str, ...]:
        """The recipients that recordings are encrypted to: at least one.

        Raises
        ------
        ConfigError
            If there is none, one is not an age recipient, or others can write the file. A missing one is not made here: nobody
            would have its private key.
        """
        recipients = self.registered()
        if not recipients:
            raise ConfigError(f"there is no recipient of recordings in {self.path}: {RESTORE}")
        return recipients

    def registered(self) -> tuple[str, ...]:
        """Like :meth:`recipients`, but there may be none."""
        try:
            text = read_guarded(self.path).decode("utf-8")
        except FileNotFoundError:
            return ()
        except UnicodeDecodeError:
            raise ConfigError(f"{self.path} is not text: restore it from the backup") from None
        for number, line in enumerate(text.splitlines(), start=1):
            for entry in _entries(line):
                if not is_recipient(entry):
                    raise ConfigError(f"{self.path}, line {number}: {_why_no_recipient(entry)}")
        return tuple(dict.fromkeys(_entries(text)))

    def refuse_others(self, recipients: Sequence[str]) -> None:
        """Raise ConfigError if one of these is not a recipient, or if :meth:`create` would ignore it because there are others."""
        wanted, registered = set(_checked(recipients)), set(self.registered())
        if registered and wanted - registered:
            raise ConfigError(
                f"{self.path} already contains recipients: to change them run: ccari keys rotate "
                "--recordings --recipient …, with --add to keep the present ones"
            )

    def create(self, recipients: Sequence[str] = ()) -> bool:
        """Register the first recipients: those given, or that of a new identity. Does nothing and returns False if there are any.

        An identity that already exists, left by a killed command, is used instead of a new one.

        Raises
        ------
        ConfigError
            If something cannot be read or written, or is not a recipient.
        """
        wanted = _checked(recipients)
        with lock_folder(self._folder):
            if self.registered():
                return False
            if wanted or is_there(self.identity_path):
                self._write(wanted or (self._own(),))
            else:
                made = pyrage.x25519.Identity.generate()
                self._write((str(made.to_public()),), made)
        return True

    def renew(self, recipients: Sequence[str] = (), *, add: bool = False) -> tuple[str, ...]:
        """Replace the recipients by those given, or by that of a new identity. ``add``: keep the present ones as well.

        Returns all recipients that there are then. Earlier recordings stay encrypted to the recipients of their time.

        Raises
        ------
        ConfigError
            As :meth:`create`; or if there are no recipients yet; or if an identity is still there, which is never replaced.
        """
        wanted, made = _checked(recipients), None
        with lock_folder(self._folder):
            registered = self.recipients()
            if not wanted:
                if is_there(self.identity_path):
                    raise ConfigError(f"{self.identity_path} still exists{self._advice(registered)}")
                made = pyrage.x25519.Identity.generate()
                wanted = (str(made.to_public()),)
            # an identity that no recording was encrypted to must not be left where the recipients cannot be written
            self._write(wanted, made, add=add)
            return self.recipients()

    def _advice(self, registered: Sequence[str]) -> str:
        """What to do about an identity that is still there: whoever puts one that opens nothing over their own can open nothing at all."""
        again, own = "remove it here, then run the command again", None
        with contextlib.suppress(ConfigError):
            own = self._own()
        if own is None or own in registered:
            return f": take it to those who may listen, {again}"
        return (
            ", and recordings are not encrypted to it: it opens nothing if an interrupted rotation has left it, and otherwise earlier ones: keep "
            f"it beside the identities that you have, over none of them, {again}"
        )

    def _own(self) -> str:
        """The recipient of the identity in the keys folder."""
        try:
            (secret,) = _entries(read_guarded(self.identity_path).decode("ascii"))
            return str(pyrage.x25519.Identity.from_str(secret).to_public())
        except (ValueError, FileNotFoundError, pyrage.IdentityError):
            raise ConfigError(
                f"{self.identity_path} contains no age identity: restore it, or remove it if nobody needs it"
            ) from None

    def _write(
        self, recipients: Sequence[str], identity: pyrage.x25519.Identity | None = None, *, add: bool = True
    ) -> None:
        """Register the recipients, in addition to the present ones or in their place. ``identity``: written into the keys folder just
        before.
        """
        registered, present = self.registered(), b""
        if add and is_there(self.path):
            present = read_guarded(self.path)
            if present and not present.endswith(b"\n"):
                present += b"\n"
            recipients = [each for each in recipients if each not in registered]
        write_over(self.path, present + _lines(recipients), lambda: self._keep(identity))

    def _keep(self, identity: pyrage.x25519.Identity | None) -> None:
        if identity is None:
            return
        lines = f"# recipient: {identity.to_public()}\n{identity}\n"
        if not write_new(self.identity_path, lines.encode("ascii")):
            raise ConfigError(f"{self.identity_path} already exists: somebody else has just made it")


def is_recipient(text: str) -> bool:
    """Whether recordings can be encrypted to ``text``, that is, whether it is an X25519 recipient (``age1…``)."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def _checked(recipients: Sequence[str]) -> tuple[str, ...]:
    stripped = tuple(dict.fromkeys(each.strip() for each in recipients))
    for each in stripped:
        if not is_recipient(each):
            raise ConfigError(_why_no_recipient(each))
    return stripped


def _why_no_recipient(text: str) -> str:
    """The text is never quoted: it may be a private key entered in place of the public one."""
    if holds_identity(text.encode()):
        return "this is an identity, a secret that is now exposed: make a new pair, and give its recipient (age1…)"
    return "this is not an age recipient: give the public key that begins with age1, as age-keygen prints it"


def _entries(text: str) -> list[str]:
    """The lines that are neither empty nor comments."""
    return [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]


def _lines(recipients: Iterable[str]) -> bytes:
    return "".join(f"{each}\n" for each in recipients).encode("ascii")
