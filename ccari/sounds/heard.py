"""The very audio of the notices that a call's journal says were heard."""

import contextlib
from collections.abc import Iterator, Sequence
from hashlib import sha256

from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.chain import Linked
from ccari.policy.declaration import Policy
from ccari.policy.heard import notices_heard
from ccari.policy.parties import Controller
from ccari.ports.evidence import Account, HeardSound
from ccari.sounds.copies import Copies
from ccari.sounds.soundboard import Soundboard, open_copies, open_soundboard


def heard(
    board: Soundboard, copies: Copies, controller: Controller, campaign: Campaign, journal: Sequence[Linked]
) -> list[HeardSound]:
    """Each prompt that was heard, in order, with its words and its files; those of an erased entry are not known."""
    found: dict[tuple[str, str], HeardSound] = {}
    for prompt, digest in _named(board, controller, campaign, journal):
        files = _lying(board, prompt, digest) or copies.read(digest)
        found[prompt.key, digest] = HeardSound(prompt.key, prompt.text, digest, files)
    return list(found.values())


def heard_of(settings: Settings, policy: Policy, account: Account) -> list[HeardSound]:
    """As :func:`heard`, of the call that an account is of; nothing, where its campaign or the sounds are not to be had."""
    campaign = policy.campaign(account.subject["campaign"])
    if campaign is None:
        return []
    try:
        board, controller = open_soundboard(settings), policy.controller_of(campaign)
        return heard(board, open_copies(settings), controller, campaign, account.journal)
    except SoundError:
        # a damaged folder of sounds is no reason to withhold the rest
        return []


def _lying(board: Soundboard, prompt: notices.Prompt, digest: str) -> dict[str, bytes]:
    """The files of the sound that calls play today, if it is still the one of ``digest``."""
    with contextlib.suppress(SoundError, OSError):
        found = {ending: path.read_bytes() for ending, path in board.files(prompt).items()}
        if (
            notices.audio({ending: sha256(content).hexdigest() for ending, content in found.items()})
            == digest
        ):
            return found
    return {}


def _named(
    board: Soundboard, controller: Controller, campaign: Campaign, journal: Sequence[Linked]
) -> Iterator[tuple[notices.Prompt, str]]:
    for notice in notices_heard(journal):
        prompts = notices.prompts(controller, campaign, board.catalogue, notice.language)
        said = {each.id: each for each in prompts}
        for prompt, digest in notice.sounds:
            yield said[prompt], digest
