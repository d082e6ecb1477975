"""Finds the audio and words of the notices that were heard in a call, exactly as they were then, by the call's journal."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy import wording
from ccari.policy.campaign import Campaign
from ccari.policy.chain import Linked
from ccari.policy.declaration import Policy
from ccari.policy.heard import HeardNotice, notices_heard
from ccari.policy.parties import Controller
from ccari.policy.wording import Prompt
from ccari.ports.evidence import Account, HeardSound
from ccari.sounds.copies import Copies, open_copies
from ccari.sounds.soundboard import Soundboard, open_soundboard


@dataclass(frozen=True, slots=True)
class Today:
    """What a call of the campaign would hear today."""

    board: Soundboard
    controller: Controller
    campaign: Campaign

    def prompts(self, language: str) -> dict[str, Prompt]:
        """The prompts by id; none if the catalogue no longer has the language, or lacks a prompt."""
        with contextlib.suppress(SoundError):
            prompts = wording.prompts(self.controller, self.campaign, self.board.catalogue, language)
            return {each.id: each for each in prompts}
        return {}

    def files(self, prompt: Prompt, digest: str) -> dict[str, bytes]:
        """The files of a prompt's sound, by ending; none if its digest is no longer ``digest``."""
        with contextlib.suppress(SoundError, OSError):
            files = {ending: path.read_bytes() for ending, path in self.board.files(prompt).items()}
            if (
                wording.audio_digest(
                    {ending: sha256(content).hexdigest() for ending, content in files.items()}
                )
                == digest
            ):
                return files
        return {}


def heard(copies: Copies, today: Today | None, journal: Sequence[Linked]) -> list[HeardSound]:
    """Each prompt that was heard, in order, with its words and files. An erased journal entry names none.

    The files are those of ``today`` if they are unchanged, else those in ``copies``.
    """
    sounds: dict[tuple[str, str, str | None], HeardSound] = {}
    for notice in notices_heard(journal):
        prompts = today.prompts(notice.language) if today else {}
        words = _words(copies, prompts, notice)
        for place, (prompt, digest) in enumerate(notice.sounds):
            # the journal has only the prompt's id; without the words, its key (with language and campaign) is unknown too
            key, text = words[place] if words else (prompt, None)
            files = today.files(prompts[prompt], digest) if today and prompt in prompts else {}
            sounds[key, digest, text] = HeardSound(key, text, digest, files or copies.read(digest))
    return list(sounds.values())


def heard_of(settings: Settings, policy: Policy | None, account: Account) -> list[HeardSound]:
    """Like :func:`heard`, for the call of an account. ``policy``: the call's; None if it cannot be read any more."""
    campaign = policy.campaign(account.subject["campaign"]) if policy else None
    today = None
    # if the folder of sounds is damaged, the copies still exist
    with contextlib.suppress(SoundError):
        if policy and campaign:
            today = Today(open_soundboard(settings), policy.controller_of(campaign), campaign)
    return heard(open_copies(settings), today, account.journal)


def _words(
    copies: Copies, prompts: Mapping[str, Prompt], notice: HeardNotice
) -> Sequence[tuple[str, str]] | None:
    """The key and text of each prompt of a notice: from the copies, or today's if they are unchanged; else None."""
    ids = [each for each, _ in notice.sounds]
    kept = copies.words(notice.version)
    if kept is not None and [key.split("/")[-1] for key, _ in kept] == ids:
        return kept
    words = [(each.key, each.text) for each in map(prompts.get, ids) if each]
    return words if wording.version_of(words) == notice.version else None
