"""The notices heard in a call, read from its journal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ccari.policy.chain import Linked


@dataclass(frozen=True, slots=True)
class HeardNotice:
    """One notice that was heard in a call.

    ``seq``: the number of its entry in the journal. ``version``: the version of its words. ``sounds``: each prompt with the digest of its
    audio, in order; empty if the notice had nothing to say.
    """

    seq: int
    version: str
    language: str
    sounds: tuple[tuple[str, str], ...]


def notices_heard(journal: Iterable[Linked]) -> Iterator[HeardNotice]:
    """The notices that were heard, except those whose fields were erased or do not name the audio.

    Raises
    ------
    KeyError, ValueError
        If the fields of an entry are not as ccari writes them.
    """
    for entry in journal:
        if entry.event == "notice_heard" and entry.fields is not None and "sounds" in entry.fields:
            fields = entry.fields
            pairs = zip(fields["prompts"].split(","), fields["sounds"].split(","), strict=True)
            # splitting an empty text would yield one prompt without a name
            sounds = tuple(pairs) if fields["prompts"] else ()
            yield HeardNotice(entry.seq, fields["notice_version"], fields["language"], sounds)
