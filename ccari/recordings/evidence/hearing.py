"""Whether the notice in a pack is the one that the journal says was heard."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ccari.errors import EvidenceError
from ccari.policy import notices
from ccari.policy.chain import Linked
from ccari.policy.heard import HeardNotice, notices_heard

NOTICE = "notice/notice.json"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What of the notices is not in the pack: ``unheard``, prompts without their audio; ``wordless``, without their words;
    ``untold``, the numbers of the entries of which there is nothing.
    """

    unheard: tuple[str, ...]
    wordless: tuple[str, ...]
    untold: tuple[int, ...]


def hearing(files: Mapping[str, bytes], journal: Sequence[Linked]) -> Hearing:
    """Each sound is the one that the journal names, and its words are those of the version that was heard.

    Raises
    ------
    EvidenceError
        Naming the first that is another.
    ValueError, TypeError, KeyError, AttributeError
        If the list of prompts is none.
    """
    rows: Sequence[Row] = json.loads(files.get(NOTICE, b"[]"))
    heard = [*notices_heard(journal)]
    named = {digest for notice in heard for _, digest in notice.sounds}
    erased = any(each.event == "notice_heard" and each.fields is None for each in journal)
    for row in rows:
        _check_audio(row, files)
        if row["digest"] not in named and not erased:
            raise EvidenceError(f"{NOTICE}: {row['key']} is not what the journal says was heard")
    worded = [row for row in rows if row["text"] is not None]
    wordless = [row for row in rows if row["text"] is None]
    proven: list[Row] = []
    for notice in heard if rows else ():
        said = [row for row in _said(worded, notice) if row]
        if notices.wording((row["key"], row["text"]) for row in said) == notice.version:
            proven += said
        elif not all(_said(wordless, notice)):
            raise EvidenceError(f"{NOTICE}: the words are not those of the version that was heard")
    # of what was erased nobody knows the version
    loose = next((row for row in worded if row not in proven), None)
    if loose is not None and not erased:
        raise EvidenceError(f"{NOTICE}: the words of {loose['key']} are of no version that was heard")
    return Hearing(
        tuple(row["key"] for row in rows if not row["files"]),
        tuple(row["key"] for row in wordless),
        tuple(_untold(journal, rows, named)),
    )


def _check_audio(row: Row, files: Mapping[str, bytes]) -> None:
    for ending, name in row["files"].items():
        if name not in files:
            raise EvidenceError(f"{name} is missing from the pack")
        if hashlib.sha256(files[name]).hexdigest() != row["sha256"][ending]:
            raise EvidenceError(f"{name} is not the audio that was played: its hash is another")
    if row["files"] and notices.audio(row["sha256"]) != row["digest"]:
        raise EvidenceError(f"{NOTICE}: the files of {row['key']} are not those that its digest names")


def _said(rows: Sequence[Row], notice: HeardNotice) -> list[Row | None]:
    """The row of each prompt, of the notice's own language where there is one: what offers another is said in that."""
    found = []
    for prompt, digest in notice.sounds:
        fit = [row for row in rows if (row["key"].split("/")[-1], row["digest"]) == (prompt, digest)]
        own = (row for row in fit if row["key"].split("/")[0] == notice.language)
        found.append(next(own, fit[0] if fit else None))
    return found


def _untold(journal: Sequence[Linked], rows: Sequence[Row], named: set[str]) -> list[int]:
    """The entries whose notice is not there, unless nothing was to be said; of what was erased any row may be that nobody names."""
    told = {notice.seq for notice in notices_heard(journal) if rows or not notice.sounds}
    loose = any(row["digest"] not in named for row in rows)
    return [
        each.seq
        for each in journal
        if each.event == "notice_heard" and each.seq not in told and not (each.fields is None and loose)
    ]
