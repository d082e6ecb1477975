"""Verifies an evidence pack, given only the pack and a public key. Names the first fault."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from ccari.errors import EvidenceError, RecordingError, why
from ccari.policy import chain
from ccari.policy.chain import Linked
from ccari.policy.recording import RecordingState
from ccari.policy.seal import Kind
from ccari.recordings.evidence import signing
from ccari.recordings.evidence.agreeing import (
    fault_of_consents,
    fault_of_recordings,
    fault_of_request,
    uncompared,
)
from ccari.recordings.evidence.authority import Authority
from ccari.recordings.evidence.hearing import NOTICE, hearing
from ccari.recordings.evidence.keys import VerifyingKey
from ccari.recordings.evidence.legible import legible, moment
from ccari.recordings.evidence.pack import FORMAT, TIME_STAMPS, VCON
from ccari.recordings.evidence.seals import Entered, earliest, seals_of, time_stamps_of
from ccari.recordings.evidence.unzipping import unzipped
from ccari.recordings.reading import below
from ccari.regular import open_regular

#: The largest changed file of which it is said what was changed in it. To find that, a file is read before it is known to be as it was
#: signed: anybody could have put anything into it, and made reading it take for ever.
MOST_EXPLAINED = 2**18


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a valid pack proves.

    ``controller``: on whose behalf, by its id; None if the call was blocked before that was known. ``entries``: how many the journal has. ``erased``: the numbers of those whose fields were erased. ``unheard``, ``wordless``: the
    prompts whose audio, or words, no longer existed when the pack was made. ``untold``: the numbers of entries about a notice that had
    neither. ``recordings``: how many recordings' files were compared. ``uncompared``: the ids of recordings whose tag or file cannot be
    compared with the journal, since its entry was erased. ``stamped_at``: for each of ``sealed_at``, by when the seal existed, and
    ``stamped_by``: according to which of the ``authorities``; None if it has no time stamp, or none that was checked. ``unchecked``: how many time stamps were not
    checked, because no authority was given. ``entered``: for each of ``sealed_at``, the entries that it is the first to cover.
    ``unproven``: statements of the row that the journal does not prove, since they were erased there, or the journal is older than
    what ccari writes today.
    """

    kind: Kind
    id: str
    controller: str | None
    made_at: datetime
    key: str
    entries: int
    erased: tuple[int, ...]
    sealed_at: tuple[datetime, ...]
    stamped_at: tuple[datetime | None, ...]
    stamped_by: tuple[str | None, ...]
    authorities: tuple[str, ...]
    unchecked: int
    unheard: tuple[str, ...]
    wordless: tuple[str, ...]
    untold: tuple[int, ...]
    recordings: int
    uncompared: tuple[str, ...]
    entered: tuple[Entered | None, ...]
    unproven: tuple[str, ...]


def verify(
    content: bytes, keys: Sequence[VerifyingKey], recordings: Path | None = None, authority: Authority | None = None
) -> Verdict:  # fmt: skip
    """Verify a pack against the public ``keys`` of the installation that it is said to come from.

    ``recordings``: the recordings folder, if their files are to be compared as well. ``authority``: the supposed issuer of the time
    stamps; without it they are not checked.

    Raises
    ------
    EvidenceError
        If something is wrong, naming the first such thing.
    """
    return verify_files(unzipped(content), keys, recordings, authority)


def verify_files(
    files: Mapping[str, bytes], keys: Sequence[VerifyingKey], recordings: Path | None, authority: Authority | None
) -> Verdict:  # fmt: skip
    """:func:`verify` for the files of a pack, by name."""
    if VCON not in files:
        raise EvidenceError(f"it is not an evidence pack: it contains no {VCON}")
    document, key = _opened(files, keys)
    contents = legible(lambda: next(each["body"] for each in document["attachments"] if each["purpose"] == "ccari_evidence"),
                     "its vCon contains no evidence from ccari")  # fmt: skip
    if contents.get("pack") != FORMAT:
        raise EvidenceError(f"this version of ccari does not know packs of the kind {contents.get('pack')!r}")
    missing = [name for name in contents["files"] if name not in files]
    if missing:
        raise EvidenceError(f"{missing[0]} is missing from the pack")
    changed = [
        name
        for name, sha256 in contents["files"].items()
        if not hmac.compare_digest(sha256_of(files[name]), str(sha256))
    ]
    unsigned = sorted(set(files) - set(contents["files"]) - {VCON})
    if any(len(files[name]) > MOST_EXPLAINED for name in (*changed, *unsigned)):
        _refuse(changed, unsigned)
    kind, id_ = Kind(contents["kind"]), str(contents["id"])
    journal = legible(lambda: _journal(files, kind, id_, contents["journal"]), "journal.json is damaged")
    sealed, entered = legible(lambda: seals_of(files, kind, id_, journal, keys), "seals.json is damaged")
    stamps = legible(lambda: time_stamps_of(files, document, sealed, authority), f"{TIME_STAMPS} is damaged")
    heard = legible(lambda: hearing(files, journal), f"{NOTICE} is damaged")
    legible(lambda: _policy(files, kind, journal), "policy.json is damaged")
    signed = legible(lambda: _recordings(files, document, journal), "recordings.json is damaged")
    compared = legible(lambda: _compared(signed, recordings), "recordings.json is damaged")
    _refuse(changed, unsigned)
    legible(lambda: _consents(files, journal), "gate.json is damaged")
    first = earliest(sealed, stamps)
    controller, not_told = legible(lambda: _subject(files, kind, journal), "subject.json is damaged")
    return Verdict(
        kind, id_, controller, legible(lambda: moment(document["created_at"]), f"the date of {VCON} is damaged"), key.fingerprint, len(journal),
        tuple(each.seq for each in journal if each.fields is None), tuple(each.sealed_at for each in sealed),
        tuple(each.at if each else None for each in first), tuple(each.by if each else None for each in first),
        tuple(dict.fromkeys(by.by for _, by in stamps if by)), sum(by is None for _, by in stamps), heard.unheard,
        heard.wordless, heard.untold, compared, uncompared(signed, journal), entered, not_told,
    )  # fmt: skip


def _refuse(changed: Sequence[str], unsigned: Sequence[str]) -> None:
    """Raise EvidenceError if a file was changed, or is not signed."""
    if changed:
        raise EvidenceError(f"{changed[0]} was changed")
    if unsigned:
        raise EvidenceError(f"{unsigned[0]} is not part of the signed pack")


def _opened(files: Mapping[str, bytes], keys: Sequence[VerifyingKey]) -> tuple[dict[str, Any], VerifyingKey]:
    """The vCon after its signature is verified, and the key that signed it."""
    signed = legible(lambda: json.loads(files[VCON], object_pairs_hook=_unique), f"{VCON} is not JSON")
    claimed = signing.signer(signed) if isinstance(signed, dict) else None
    if claimed is None:
        raise EvidenceError(f"{VCON} is not signed")
    key = next((each for each in keys if each.fingerprint == claimed), None)
    if key is None:
        given = ", ".join(each.fingerprint for each in keys)
        raise EvidenceError(
            f"it is signed with the key {claimed}, which is not one of the keys that it was checked against "
            f"({given}): it is from another installation, or was signed with another key"
        )
    added = legible(lambda: signing.added(signed), f"the header of {VCON} is damaged")
    if added is not None:
        raise EvidenceError(f"{VCON} contains {added!r}, which is not signed")
    payload = signing.opened(signed, key)
    if payload is None:
        raise EvidenceError(
            f"the signature of {VCON} is invalid: the file was changed, or signed by somebody else"
        )
    if not signing.is_certified(signed, key):
        raise EvidenceError(f"the certificate in {VCON} does not belong to the key that signed it")
    document: dict[str, Any] = json.loads(payload)
    if signed["signatures"][0]["header"].get("uuid") != document["uuid"]:
        raise EvidenceError(f"the uuid in the header of {VCON} is not that of the vCon")
    return document, key


def _journal(files: Mapping[str, bytes], kind: Kind, id_: str, signed: Mapping[str, Any]) -> list[Linked]:
    """The journal's entries, checked against the number and the last link that were ``signed``."""
    entries = [_entry(each) for each in json.loads(files["journal.json"])]
    begins = chain.start(UUID(id_)) if kind is Kind.CALL else chain.start_of_request(id_)
    fault = chain.fault(begins, entries, count=signed["events"], last=bytes.fromhex(signed["last_link"]))
    if fault:
        raise EvidenceError(f"journal.json: {fault}")
    return entries


def _entry(row: Mapping[str, Any]) -> Linked:
    salt = None if row["salt"] is None else bytes.fromhex(row["salt"])
    fields, salt = (None, salt) if row["fields"] is None else chain.entry_fields(row["fields"], salt)
    return Linked(
        int(row["seq"]), moment(row["at"]), str(row["event"]), bytes.fromhex(row["commitment"]),
        bytes.fromhex(row["link"]), fields, salt,
    )  # fmt: skip


def _policy(files: Mapping[str, bytes], kind: Kind, journal: Sequence[Linked]) -> None:
    if "policy.json" not in files:
        return
    about, sha256 = json.loads(files["policy.json"]), sha256_of(files.get("policy.toml", b""))
    if about.get("sha256") != sha256:
        raise EvidenceError(
            f"policy.toml is not revision {about.get('revision')} of the policy: its hash differs"
        )
    if kind is Kind.CALL and (fault := chain.fault_of_policy(journal, sha256)):
        raise EvidenceError(f"policy.toml: {fault}")


def _consents(files: Mapping[str, bytes], journal: Sequence[Linked]) -> None:
    if "gate.json" in files and (
        fault := fault_of_consents(json.loads(files["gate.json"])["consents"], journal)
    ):
        raise EvidenceError(f"gate.json: {fault}")


def _subject(
    files: Mapping[str, bytes], kind: Kind, journal: Sequence[Linked]
) -> tuple[str | None, tuple[str, ...]]:
    """The controller, and what the row states and its journal does not prove, after comparing the two."""
    row = json.loads(files["subject.json"])
    fault = chain.fault_of_call(journal, row) if kind is Kind.CALL else fault_of_request(row, journal)
    if fault:
        raise EvidenceError(f"subject.json: {fault}")
    unproven = chain.unproven_of_call if kind is Kind.CALL else chain.unproven_of_request
    return None if row["controller"] is None else str(row["controller"]), unproven(journal, row)


def _recordings(
    files: Mapping[str, bytes], document: Mapping[str, Any], journal: Sequence[Linked]
) -> Sequence[Mapping[str, Any]]:
    """The recordings from the signed vCon, after checking that recordings.json and the journal agree with them."""
    signed: list[dict[str, Any]] = next(
        (each["body"] for each in document["attachments"] if each["purpose"] == "recordings"), []
    )
    rows = json.loads(files.get("recordings.json", b"[]"))
    for row, original in zip(rows, signed, strict=False):
        changed = [name for name in {**original, **row} if row.get(name) != original.get(name)]
        if changed:
            raise EvidenceError(
                f"recordings.json: {changed[0]} of recording {original.get('id')} was changed"
            )
    if len(rows) != len(signed):
        raise EvidenceError(
            f"recordings.json: the number of recordings is {len(rows)}, but the signed one is {len(signed)}"
        )
    fault = fault_of_recordings(signed, journal)
    if fault:
        raise EvidenceError(f"recordings.json: {fault}")
    return signed


def _compared(signed: Sequence[Mapping[str, Any]], folder: Path | None) -> int:
    """How many recordings' files in ``folder`` were compared (0 without ``folder``). Each must be the file that was stored."""
    if folder is None:
        return 0
    stored = [each for each in signed if each["state"] == RecordingState.STORED]
    for each in stored:
        _compare(each, folder)
    return len(stored)


def _compare(recording: Mapping[str, Any], folder: Path) -> None:
    which = f"recording {recording['id']}"
    try:
        path = below(folder, recording["file"])
    except RecordingError as error:
        raise EvidenceError(f"{which}: {error}") from None
    try:
        with open_regular(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EvidenceError(f"{which}: {path} cannot be read: {why(error)}") from None
    if sha256 != (recording.get("file_sha256") or recording["sha256"]):
        raise EvidenceError(f"{which}: {path} is not the file that was stored")


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused if two members have the same name: programs differ in which one they read."""
    unique = dict(members)
    if len(unique) != len(members):
        raise EvidenceError(f"{VCON} contains the same member twice")
    return unique


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
