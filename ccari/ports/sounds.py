"""What can be played."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller


@dataclass(frozen=True, slots=True)
class Sound:
    """A prompt that can be played: ``media`` for Asterisk, ``duration_ms`` of the file, the words in it.

    ``digest``: names its audio, in hex, as evidence does: see :attr:`ccari.sounds.manifest.Entry.digest`.
    """

    media: str
    duration_ms: int
    text: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """Every sound of one campaign's calls in one language, by prompt id.

    ``versions``: what names the wording of each sequence of prompts that is proven, or remembered, as one.
    """

    sounds: Mapping[str, Sound]
    versions: Mapping[tuple[str, ...], str]

    def length_ms(self, prompts: Iterable[str]) -> int:
        """How long it takes to say these, one after the other, without what lies between them."""
        return sum(self.sounds[each].duration_ms for each in prompts)


class Prompts(Protocol):
    def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False
    ) -> Mapping[str, Script]:
        """What is said in each of the campaign's languages. Raise SoundError if a sound is missing or changed.

        ``lately``: as it was a moment ago, for who only asks, and rings nobody.
        """
        ...

    async def keep(self, campaign: Campaign) -> None:
        """Wait until there are copies of all that :meth:`scripts` has just given, before a call plays it: evidence has them. No
        call fails for want of one.
        """
        ...

    def common(self, prompt: str, language: str) -> Sound: ...

    def source(self, told: str, language: str) -> Sound:
        """What says a contact's source. Raise SoundError if it was not built."""
        ...
