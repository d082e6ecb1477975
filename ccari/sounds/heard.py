"""The very audio of the notices that a call's journal says were heard."""

from collections.abc import Iterator, Sequence

from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.chain import Linked
from ccari.policy.parties import Controller
from ccari.ports.evidence import HeardSound
from ccari.sounds.soundboard import Soundboard


def heard(
    board: Soundboard, controller: Controller, campaign: Campaign, journal: Sequence[Linked]
) -> list[HeardSound]:
    """Each prompt that was heard, in order, with its words and its files; those of an erased entry are not known."""
    found: dict[tuple[str, str], HeardSound] = {}
    for prompt, digest in _named(board, controller, campaign, journal):
        found[prompt.key, digest] = HeardSound(prompt.key, prompt.text, digest, board.audio(prompt, digest))
    return list(found.values())


def _named(
    board: Soundboard, controller: Controller, campaign: Campaign, journal: Sequence[Linked]
) -> Iterator[tuple[notices.Prompt, str]]:
    for entry in journal:
        if entry.event != "notice_heard" or not entry.fields or "sounds" not in entry.fields:
            continue
        said = {
            each.id: each
            for each in notices.prompts(controller, campaign, board.catalogue, entry.fields["language"])
        }
        ids, digests = entry.fields["prompts"].split(","), entry.fields["sounds"].split(",")
        for prompt, digest in zip(ids, digests, strict=True):
            yield said[prompt], digest
