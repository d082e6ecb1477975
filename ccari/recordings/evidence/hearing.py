"""Checks that the notice in a pack is the one that was heard, according to the journal."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ccari.errors import EvidenceError
from ccari.policy import wording
from ccari.policy.chain import Linked
from ccari.policy.heard import HeardNotice, notices_heard
from ccari.ports.evidence import HeardSound

NOTICE = "notice/notice.json"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the pack lacks of the notices. ``unheard``: prompts without audio; ``wordless``: prompts without words; ``untold``: the
    numbers of journal entries about a notice that has neither.
    """

    unheard: tuple[str, ...]
    wordless: tuple[str, ...]
    untold: tuple[int, ...]


def names_prompts(journal: Sequence[Linked]) -> bool:
    """Whether an entry, as far as it is not erased, says that prompts were heard."""
    return any(
        each.event == "notice_heard" and each.fields and each.fields.get("prompts") != "" for each in journal
    )


def has_notice(journal: Sequence[Linked], heard: Sequence[HeardSound]) -> bool:
    """Whether a pack of this journal with these sounds has the audio and the words of every prompt."""
    whole = all(each.files and each.text is not None for each in heard)
    return whole and (bool(heard) or not names_prompts(journal))


def hearing(files: Mapping[str, bytes], journal: Sequence[Linked]) -> Hearing:
    """Check that each sound is one that the journal names, and that the words are those of the version that was heard.

    Raises
    ------
    EvidenceError
        If one is not, naming the first.
    ValueError, TypeError, KeyError, AttributeError
        If the list of prompts is malformed.
    """
    rows: Sequence[Row] = json.loads(files.get(NOTICE, b"[]"))
    heard = [*notices_heard(journal)]
    heard_digests = {digest for notice in heard for _, digest in notice.sounds}
    erased = any(each.event == "notice_heard" and each.fields is None for each in journal)
    for row in rows:
        _check_audio(row, files)
        if row["digest"] not in heard_digests and not erased:
            raise EvidenceError(f"{NOTICE}: {row['key']} is not what the journal says was heard")
    worded = [row for row in rows if row["text"] is not None]
    wordless = [row for row in rows if row["text"] is None]
    proven: list[Row] = []
    for notice in heard if rows else ():
        spoken = [row for row in _rows_of(worded, notice) if row]
        if wording.version_of((row["key"], row["text"]) for row in spoken) == notice.version:
            proven += spoken
        elif not all(_rows_of(wordless, notice)):
            raise EvidenceError(f"{NOTICE}: the words are not those of the version that was heard")
    # if an entry was erased, they may belong to its version
    unproven = next((row for row in worded if row not in proven), None)
    if unproven is not None and not erased:
        raise EvidenceError(
            f"{NOTICE}: the words of {unproven['key']} do not belong to any version that was heard"
        )
    return Hearing(
        tuple(row["key"] for row in rows if not row["files"]),
        tuple(row["key"] for row in wordless),
        tuple(_entries_without_notice(journal, rows, heard_digests)),
    )


def _check_audio(row: Row, files: Mapping[str, bytes]) -> None:
    for ending, name in row["files"].items():
        if name not in files:
            raise EvidenceError(f"{name} is missing from the pack")
        if hashlib.sha256(files[name]).hexdigest() != row["sha256"][ending]:
            raise EvidenceError(f"{name} is not the audio that was played: its hash differs")
    if row["files"] and wording.audio_digest(row["sha256"]) != row["digest"]:
        raise EvidenceError(f"{NOTICE}: the files of {row['key']} do not match its digest")


def _rows_of(rows: Sequence[Row], notice: HeardNotice) -> list[Row | None]:
    """The row of each prompt of the notice, or None. If several rows fit, the one in the notice's language is taken: only the prompt that
    offers another language is spoken in that language.
    """
    spoken = []
    for prompt, digest in notice.sounds:
        fitting = [row for row in rows if (row["key"].split("/")[-1], row["digest"]) == (prompt, digest)]
        own = (row for row in fitting if row["key"].split("/")[0] == notice.language)
        spoken.append(next(own, fitting[0] if fitting else None))
    return spoken


def _entries_without_notice(
    journal: Sequence[Linked], rows: Sequence[Row], heard_digests: set[str]
) -> list[int]:
    """The numbers of entries about a notice that is not in the pack. Leaves out entries about a notice without prompts, and erased
    entries if the pack has rows that no other entry names: they may belong to that notice.
    """
    accounted = {notice.seq for notice in notices_heard(journal) if rows or not notice.sounds}
    unnamed = any(row["digest"] not in heard_digests for row in rows)
    return [
        entry.seq
        for entry in journal
        if entry.event == "notice_heard"
        and entry.seq not in accounted
        and not (entry.fields is None and unnamed)
    ]
