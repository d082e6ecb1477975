"""The very audio of the notices that a call's journal says were heard, with the words that were said."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.chain import Linked
from ccari.policy.declaration import Policy
from ccari.policy.heard import HeardNotice, notices_heard
from ccari.policy.notices import Prompt
from ccari.policy.parties import Controller
from ccari.ports.evidence import Account, HeardSound
from ccari.sounds.copies import Copies
from ccari.sounds.soundboard import Soundboard, open_copies, open_soundboard


@dataclass(frozen=True, slots=True)
class Today:
    """What the calls of a campaign would hear now."""

    board: Soundboard
    controller: Controller
    campaign: Campaign

    def prompts(self, language: str) -> dict[str, Prompt]:
        """By id; none where the catalogue has no such language any more, or lacks a prompt."""
        with contextlib.suppress(SoundError):
            said = notices.prompts(self.controller, self.campaign, self.board.catalogue, language)
            return {each.id: each for each in said}
        return {}

    def files(self, prompt: Prompt, digest: str) -> dict[str, bytes]:
        """Those of the sound of a prompt, if it is still the one of ``digest``."""
        with contextlib.suppress(SoundError, OSError):
            found = {ending: path.read_bytes() for ending, path in self.board.files(prompt).items()}
            if (
                notices.audio({ending: sha256(content).hexdigest() for ending, content in found.items()})
                == digest
            ):
                return found
        return {}


def heard(copies: Copies, today: Today | None, journal: Sequence[Linked]) -> list[HeardSound]:
    """Each prompt that was heard, in order, with its words and its files; those of an erased entry are not known."""
    found: dict[tuple[str, str, str | None], HeardSound] = {}
    for notice in notices_heard(journal):
        prompts = today.prompts(notice.language) if today else {}
        said = _said(copies, prompts, notice)
        for place, (prompt, digest) in enumerate(notice.sounds):
            # where the words are not known, neither is of which campaign they were: the journal has the prompt's id
            key, text = said[place] if said else (prompt, None)
            files = today.files(prompts[prompt], digest) if today and prompt in prompts else {}
            found[key, digest, text] = HeardSound(key, text, digest, files or copies.read(digest))
    return list(found.values())


def heard_of(settings: Settings, policy: Policy | None, account: Account) -> list[HeardSound]:
    """As :func:`heard`, of the call that an account is of. ``policy``: None where that of the call cannot be read any more."""
    campaign = policy.campaign(account.subject["campaign"]) if policy else None
    today = None
    # a damaged folder of sounds is no reason to withhold the rest
    with contextlib.suppress(SoundError):
        if policy and campaign:
            today = Today(open_soundboard(settings), policy.controller_of(campaign), campaign)
    return heard(open_copies(settings), today, account.journal)


def _said(
    copies: Copies, prompts: Mapping[str, Prompt], notice: HeardNotice
) -> Sequence[tuple[str, str]] | None:
    """The key and the words of each prompt, as they were kept or as they still are; None where they are others by now."""
    ids = [each for each, _ in notice.sounds]
    kept = copies.words(notice.version)
    if kept is not None and [key.split("/")[-1] for key, _ in kept] == ids:
        return kept
    said = [(each.key, each.text) for each in map(prompts.get, ids) if each]
    return said if notices.wording(said) == notice.version else None
