"""Sounds that can be played."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller


@dataclass(frozen=True, slots=True)
class Sound:
    """A prompt that can be played: ``media`` for Asterisk, the file's ``duration_ms``, and its words.

    ``digest``: of its audio, in hex, as in evidence: see :attr:`ccari.sounds.manifest.Entry.digest`.
    """

    media: str
    duration_ms: int
    text: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """Every sound of one campaign's calls in one language, by prompt id.

    ``versions``: the version of the words of each notice and each information layer, by the prompts that make it up.
    """

    sounds: Mapping[str, Sound]
    versions: Mapping[tuple[str, ...], str]

    def length_ms(self, prompts: Iterable[str]) -> int:
        """How long these prompts last together, without the pauses between them."""
        return sum(self.sounds[each].duration_ms for each in prompts)


class Prompts(Protocol):
    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> Mapping[str, Script]:
        """The script in each of the campaign's languages. Raises SoundError if a sound is missing or changed, or if the disk does not say
        in time: here and below.

        ``lately``: an answer from some seconds ago will do, for a question to the gate that places no call. ``heard``: for a talk that is
        taken up, whose notice was heard: while the disk does not answer, the last answer will do.
        """
        ...

    async def replaced(self, played: Iterable[Sound]) -> list[Sound]:
        """Those of the sounds, from :meth:`scripts`, whose audio is no longer in its place; none while the disk does not answer.

        Raises SoundError if that cannot be told.
        """
        ...

    async def keep(self, campaign: Campaign) -> None:
        """Before a call plays what :meth:`scripts` has just given, wait until it is copied. The copies are
        for evidence; no call fails if one is missing.
        """
        ...

    async def common(self, prompt: str, language: str) -> Sound:
        """A sound shared by all campaigns."""
        ...

    async def source(self, words: str, language: str) -> Sound:
        """The sound that says a contact's source. Raises SoundError if it was not built."""
        ...
