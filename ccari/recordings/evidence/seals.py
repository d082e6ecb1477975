"""Checks the seals in a pack, and their time stamps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ccari.errors import EvidenceError
from ccari.policy import merkle, seal
from ccari.policy.chain import Linked
from ccari.policy.seal import Kind, Leaf, Statement
from ccari.recordings.evidence.authority import Authority, Stamped
from ccari.recordings.evidence.keys import VerifyingKey
from ccari.recordings.evidence.legible import moment
from ccari.recordings.evidence.pack import TIME_STAMPS, VCON
from ccari.recordings.evidence.vcon import TIME_STAMP


@dataclass(frozen=True, slots=True)
class Entered:
    """The entries ``first`` to ``last`` of a journal. ``since``, ``until``: the earliest and latest of their own dates. A back-dated
    entry still cannot be sealed before it exists.
    """

    first: int
    last: int
    since: datetime
    until: datetime


def seals_of(
    files: Mapping[str, bytes], kind: Kind, id_: str, journal: Sequence[Linked], keys: Sequence[VerifyingKey]
) -> tuple[list[Statement], tuple[Entered | None, ...]]:
    """The seals that the journal is in, each verified, one of them reaching its last entry; and the entries that each is the first to
    cover.
    """
    sealed, reached, entered = [], 0, list[Entered | None]()
    rows = [_seal(each) for each in json.loads(files["seals.json"])]
    for number, (statement, signature, leaf, index, path) in enumerate(rows, start=1):
        which = f"seals.json: seal {number}"
        key = next((each for each in keys if each.fingerprint == statement.key), None)
        if key is None:
            raise EvidenceError(
                f"{which} is signed with the key {statement.key}, which is not one of the keys that it was "
                "checked against: give the key of that time with --key as well"
            )
        if not key.verifies(signature, statement.canonical):
            raise EvidenceError(f"{which} has an invalid signature")
        if (leaf.kind, leaf.id) != (kind, id_):
            raise EvidenceError(f"{which} belongs to another journal")
        if not 0 < leaf.events <= len(journal) or journal[leaf.events - 1].link != leaf.link:
            raise EvidenceError(f"{which} does not match the journal up to entry {leaf.events}")
        if not merkle.is_included(leaf.canonical, index, statement.leaves, path, statement.root):
            raise EvidenceError(f"{which}: its proof does not link the journal to what was signed")
        new = journal[reached : leaf.events]
        moments = [each.at for each in new]
        entered.append(Entered(new[0].seq, new[-1].seq, min(moments), max(moments)) if new else None)
        reached = max(reached, leaf.events)
        sealed.append(statement)
    if reached != len(journal):
        raise EvidenceError(f"seals.json: no seal covers entry {len(journal)}")
    return sealed, tuple(entered)


def _seal(row: Mapping[str, Any]) -> tuple[Statement, bytes, Leaf, int, list[bytes]]:
    leaf = row["leaf"]
    return (
        _statement(row["statement"]), bytes.fromhex(row["signature"]),
        Leaf(Kind(leaf["kind"]), str(leaf["id"]), int(leaf["events"]), bytes.fromhex(leaf["link"])),
        int(row["index"]), [bytes.fromhex(each) for each in row["path"]],
    )  # fmt: skip


def _statement(signed: Mapping[str, Any]) -> Statement:
    return Statement(
        moment(signed["sealed_at"]), int(signed["leaves"]), bytes.fromhex(signed["root"]),
        bytes.fromhex(signed["before"]), str(signed["key"]),
    )  # fmt: skip


def time_stamps_of(
    files: Mapping[str, bytes],
    document: Mapping[str, Any],
    sealed: Sequence[Statement],
    authority: Authority | None,
) -> list[tuple[set[bytes], Stamped | None]]:
    """For each time stamp, the hashes of the seals that existed by then, and its content, verified and matching the vCon; None without
    ``authority``.
    """
    found, told, digests = [], _told(document), {each.digest for each in sealed}
    for number, row in enumerate(json.loads(files.get(TIME_STAMPS, b"[]")), start=1):
        which = f"{TIME_STAMPS}: time stamp {number}"
        statements, response = [_statement(each) for each in row["statements"]], files[row["file"]]
        covered = {each.digest for each in statements}
        if not seal.follow(statements) or covered.isdisjoint(digests):
            raise EvidenceError(f"{which} does not lead to a seal of the journal")
        try:
            stamped = authority.stamped(response, statements[-1]) if authority else None
        except EvidenceError as error:
            raise EvidenceError(f"{which}: {error}") from None
        at = told.pop(statements[-1].digest.hex(), None)
        # a subject without a legal basis has no proofs in the vCon; and the vCon keeps milliseconds
        if stamped and at and at.replace(microsecond=0) != stamped.at.replace(microsecond=0):
            raise EvidenceError(
                f"{VCON}: the time stamp {number} is of another moment than the authority says"
            )
        found.append((covered, stamped))
    if told:
        raise EvidenceError(f"{VCON}: a time stamp is not in the pack")
    return found


def earliest(
    sealed: Sequence[Statement], stamps: Sequence[tuple[set[bytes], Stamped | None]]
) -> tuple[Stamped | None, ...]:
    """For each seal, the first of the checked time stamps that cover it; None if there is none."""
    first = dict[bytes, Stamped]()
    for covered, by in stamps:
        if by is not None:
            first |= {digest: min(first.get(digest, by), by, key=lambda each: each.at) for digest in covered}
    return tuple(first.get(each.digest) for each in sealed)


def _told(document: Mapping[str, Any]) -> dict[str, datetime]:
    """The moments of the time stamps according to the vCon, by the hashes of their seals in hexadecimal."""
    return {
        str(each["proof_data"]["seal"]): datetime.fromisoformat(each["timestamp"])
        for attached in document["attachments"]
        if attached["purpose"] == "lawful_basis"
        for each in attached["body"]["proof_mechanisms"]
        if each["proof_data"].get("system") == TIME_STAMP
    }
