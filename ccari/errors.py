"""What can go wrong, in words for the person who reads them.

A message of a :class:`CcariError` is printed as one line by the CLI, so it says what is wrong, where, and what to do.
It never holds a phone number or a secret.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any


def why(error: OSError) -> str:
    """The system's own words for an error, which asyncio leaves out of those it makes itself."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


class CcariError(Exception):
    """ccari could not do what was asked of it."""


class InputError(CcariError):
    """What somebody gave cannot be taken; ``field`` names it, as both the command line and the HTTP API call it."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class UnknownError(CcariError):
    """There is nothing by that name."""


class ConfigError(CcariError):
    """The configuration is wrong."""


class SecretError(ConfigError):
    """A secret that numbers are kept under is missing on this node, or damaged, or another one than is known; another node may
    have it. ``whose``: the controller or register, ``version``: of the secret, where that is known.
    """

    def __init__(self, words: str, whose: str, version: int | None = None) -> None:
        super().__init__(words)
        self.whose = whose
        self.version = version


class SoundError(CcariError):
    """A prompt is missing, damaged or could not be made."""


class ListError(CcariError):
    """A file of numbers cannot be read as one, or was refused."""


class ConsentError(CcariError):
    """There is no such consent to withdraw."""


class StoreError(CcariError):
    """The database refused or could not be reached."""


class RefusedError(StoreError):
    """The database has refused what it was given, and would again."""


class UnsoundPolicyError(StoreError):
    """A ``revision`` of the policy that an older ccari has accepted is refused by this one. ``words`` leave out what is wrong with
    it, which may be of any controller.
    """

    def __init__(self, revision: int, fault: str) -> None:
        self.words = f"policy revision {revision} is not sound for this ccari"
        super().__init__(f"{self.words} ({fault}): ccari policy apply FILE")


class AsteriskError(CcariError):
    """Asterisk could not be reached, is unsuitable, or refused."""


class UnsuitableError(AsteriskError):
    """Asterisk is there but must be changed by a person before ccari can work with it; trying again is no use."""


class RecordingError(CcariError):
    """A recording's file is missing, damaged, or could not be put in its place."""


class OtherAudioError(RecordingError):
    """A recording's file could be opened, and holds something else than was recorded."""


class RecordingDelayed(RecordingError):  # noqa: N818 - what happened
    """It could not be put in its place yet: nothing is wrong with the recording, and it is tried again."""


class EvidenceError(CcariError):
    """Evidence does not fit together, or cannot be given."""


class RequestError(CcariError):
    """A rights request is not there, or may not take that step."""


class NoRequestError(RequestError, UnknownError):
    """There is no such request."""


class AllKeptError(RequestError):
    """Nothing is erased, for grounds of the law keep all there is: ``stays`` is what, and by which."""

    def __init__(self, words: str, stays: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(words)
        self.stays = stays


class ForwardError(CcariError):
    """A controller could not be told of a request."""
