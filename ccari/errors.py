"""What can go wrong, in words for the person who reads them.

A message of a :class:`CcariError` is printed as one line by the CLI, so it says what is wrong, where, and what to do.
It never holds a phone number or a secret.
"""


class CcariError(Exception):
    """ccari could not do what was asked of it."""


class ConfigError(CcariError):
    """The configuration is wrong."""


class SoundError(CcariError):
    """A prompt is missing, damaged or could not be made."""


class StoreError(CcariError):
    """The database refused or could not be reached."""


class AsteriskError(CcariError):
    """Asterisk could not be reached, is unsuitable, or refused."""


class UnsuitableError(AsteriskError):
    """Asterisk is there but must be changed by a person before ccari can work with it; trying again is no use."""


class RecordingError(CcariError):
    """A recording's file is missing, damaged, or could not be put in its place."""
