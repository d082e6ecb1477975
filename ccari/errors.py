"""The errors that ccari raises.

The command line prints the message of a :class:`CcariError` as one line, so it says what is wrong, where, and
what to do. It never contains a phone number or a secret.
"""

import errno
import os
import ssl
from collections.abc import Mapping, Sequence
from typing import Any


def why(error: OSError) -> str:
    """The operating system's or OpenSSL's words for an error. asyncio leaves them out of its own errors, and
    aiohttp out of those it wraps.
    """
    if isinstance(error.__cause__, OSError):
        return why(error.__cause__)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        # OpenSSL's error number would be read as one of the operating system's
        return (error.reason or type(error).__name__).lower().replace("_", " ")
    if isinstance(error, ConnectionResetError):
        return os.strerror(errno.ECONNRESET)
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def cannot_listen(listen: str, error: OSError, section: str) -> "ConfigError":
    """The error of an address in ``[section] listen`` that cannot be had."""
    taken = "stop what has it, such as another ccari serve, or " if error.errno == errno.EADDRINUSE else ""
    return ConfigError(f"cannot listen on {listen}: {why(error)}: {taken}set [{section}] listen")


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with a text file that is not UTF-8, and what to do; the line, but nothing of it."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"line {line}: is not UTF-8: save the file as UTF-8"


class CcariError(Exception):
    """ccari could not do what was asked of it."""


class InputError(CcariError):
    """An input is not valid. ``field``: its name, which is the same on the command line and in the HTTP API."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class UnknownError(CcariError):
    """There is nothing by that name."""


class ConfigError(CcariError):
    """The configuration is wrong."""


class SecretError(ConfigError):
    """A secret that numbers are stored under is missing on this node, damaged, or not the known one; another
    node may have it. ``whose``: the controller or register; ``version``: of the secret, if known.
    """

    def __init__(self, words: str, whose: str, version: int | None = None) -> None:
        super().__init__(words)
        self.whose = whose
        self.version = version


class ExpiryError(CcariError):
    """Data past their limit are still there for some controllers; those of the others are gone. ``reasons``:
    why, by controller; the reason without a controller is for the record of accesses, which all share.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(
            "; ".join(f"{whose or 'the record of accesses'}: {reason}" for whose, reason in reasons.items())
        )
        self.reasons = dict(reasons)


class SoundError(CcariError):
    """A prompt is missing, damaged or could not be made."""


class ListError(CcariError):
    """A file is not a list of numbers, or was refused."""


class ConsentError(CcariError):
    """There is no such consent to withdraw."""


class StoreError(CcariError):
    """The database refused or could not be reached."""


class RefusedError(StoreError):
    """The database has refused the data; trying again is no use."""


class NoCallError(RefusedError):
    """The call to be written about has no row in the database."""


class BarsLostError(StoreError):
    """The database lacks bars that people asked for, or may lack them."""


class UnsoundPolicyError(StoreError):
    """A policy ``revision`` that an older ccari accepted is refused by this one. ``words`` leave the fault
    out, because it may concern any controller.
    """

    def __init__(self, revision: int, fault: str) -> None:
        self.words = f"policy revision {revision} is not valid for this version of ccari"
        super().__init__(f"{self.words} ({fault}): ccari policy apply FILE")


class StillNeededError(CcariError):
    """A ``controller`` cannot be deleted yet; ``reasons``: one line each."""

    def __init__(self, controller: str, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(f"{controller}: {each}" for each in reasons))


class AsteriskError(CcariError):
    """Asterisk could not be reached, is unsuitable, or refused."""


class UnsuitableError(AsteriskError):
    """A person must change something in Asterisk before ccari can work with it; trying again is no use."""


class RivalError(UnsuitableError):
    """Another service drives this Asterisk, so this one must leave it alone."""


class RecordingError(CcariError):
    """A recording's file is missing, damaged, or could not be stored."""


class OtherAudioError(RecordingError):
    """A recording's file could be opened, but holds something other than what was recorded."""


class RecordingDelayed(RecordingError):  # noqa: N818 - what happened
    """A recording could not be stored yet. Nothing is wrong with it, and storing is retried."""


class EvidenceError(CcariError):
    """Evidence is not consistent, or cannot be given."""


class UnfinishedError(EvidenceError):
    """Evidence cannot be given yet: what it is of goes on, or is not sealed to its end."""


class RequestError(CcariError):
    """There is no such rights request, or it may not take that step."""


class NoRequestError(RequestError, UnknownError):
    """There is no such request."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no request {reference!r}: see ccari requests list")


class AllKeptError(RequestError):
    """Nothing is erased, because legal grounds keep everything. ``stays``: what is kept, and on which ground."""

    def __init__(self, words: str, stays: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(words)
        self.stays = stays


class ForwardError(CcariError):
    """A controller could not be told of a request. ``of_the_message``: the fault is this message's, and others may be taken."""

    @property
    def of_the_message(self) -> bool:
        return False
