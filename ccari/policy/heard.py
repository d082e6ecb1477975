"""What a call's journal tells of the notices that were heard."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ccari.policy.chain import Linked


@dataclass(frozen=True, slots=True)
class HeardNotice:
    """``seq``: of its entry. ``version``: of its words. ``sounds``: the prompts in their order, each with what names its audio;
    none where nothing was to be said.
    """

    seq: int
    version: str
    language: str
    sounds: tuple[tuple[str, str], ...]


def notices_heard(journal: Iterable[Linked]) -> Iterator[HeardNotice]:
    """But for those whose fields were erased, or do not name the audio.

    Raises
    ------
    KeyError, ValueError
        If an entry tells what ccari has never written.
    """
    for each in journal:
        if each.event == "notice_heard" and each.fields is not None and "sounds" in each.fields:
            told = each.fields
            sounds = zip(told["prompts"].split(","), told["sounds"].split(","), strict=True)
            # of no prompts nothing is told, which would be read as one without a name
            said = tuple(sounds) if told["prompts"] else ()
            yield HeardNotice(each.seq, told["notice_version"], told["language"], said)
