"""What can be played."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller


@dataclass(frozen=True, slots=True)
class Sound:
    """A prompt that can be played: ``media`` for Asterisk, ``duration_ms`` of the file, the words in it."""

    media: str
    duration_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """Every sound of one campaign's calls by prompt id, and the versions of its notice's wording.

    ``first_notice`` for a number that has not heard the information layer, ``repeat_notice`` for one that has;
    ``information`` is the version of that layer alone.
    """

    sounds: Mapping[str, Sound]
    first_notice: str
    repeat_notice: str
    information: str

    def notice_version(self, *, informed: bool) -> str:
        return self.repeat_notice if informed else self.first_notice


class Prompts(Protocol):
    def script(self, controller: Controller, campaign: Campaign) -> Script:
        """Raise SoundError if a sound is missing or changed."""
        ...

    def common(self, prompt: str, language: str) -> Sound: ...
