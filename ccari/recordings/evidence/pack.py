"""Writes an evidence pack: one signed ZIP that proves what is on record of one call or one request."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import rfc8785

from ccari.errors import EvidenceError, UnfinishedError
from ccari.policy import chain, seal
from ccari.policy.chain import Linked
from ccari.policy.declaration import Policy, PolicyError, read
from ccari.policy.seal import Kind
from ccari.policy.sentences import in_utc
from ccari.ports.evidence import Account, HeardSound, SealedIn, TimeStamp
from ccari.recordings.evidence import signing
from ccari.recordings.evidence.agreeing import (
    fault_of_consents,
    fault_of_recordings,
    fault_of_request,
)
from ccari.recordings.evidence.hearing import NOTICE
from ccari.recordings.evidence.keys import SigningKey, VerifyingKey
from ccari.recordings.evidence.vcon import plain, vcon

FORMAT = "ccari evidence 1"
VCON = "vcon.json"
TIME_STAMPS = "time_stamps.json"
_POLICY = frozenset({"policy.toml", "policy.json"})
#: A fixed date, so that packing the same account at the same moment yields the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def pack(
    account: Account,
    heard: Sequence[HeardSound],
    key: SigningKey,
    signers: Sequence[VerifyingKey],
    at: datetime,
    *,
    with_policy: bool = True,
) -> bytes:
    """The ZIP, signed with ``key``. ``signers``: the keys that signed the account's seals. ``at``: now, with time zone.

    ``with_policy``: include the policy file. It covers all controllers and cannot be reduced to one, since its hash is that of the whole
    file.

    Raises
    ------
    EvidenceError
        If the account is inconsistent: what proves nothing is not given out as evidence.
    """
    refuse_unfit(account)
    files = _files(account, heard, {each.fingerprint: each for each in (*signers, key.verifying)})
    if not with_policy:
        files = {name: content for name, content in files.items() if name not in _POLICY}
    files["README.txt"] = _readme(account, key, at)
    contents = {
        "pack": FORMAT, "kind": account.kind.value, "id": account.id,
        "journal": {"events": len(account.journal), "last_link": account.journal[-1].link.hex()},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }  # fmt: skip
    document = vcon(account, policy_of(account), heard, contents, at, signing.issuer(key.fingerprint))
    signed = signing.signed(rfc8785.dumps(document), document["uuid"], key)
    return _zipped({VCON: _json(signed), **files})


def policy_of(account: Account) -> Policy | None:
    """The policy that was in force for the call; None if there was none, or this version of ccari cannot read it."""
    if account.revision is None:
        return None
    try:
        return read(account.revision.document)
    except PolicyError:
        return None


def refuse_unfit(account: Account) -> None:
    """Raise EvidenceError, naming the first fault, if the account proves nothing: its journal was changed, is not sealed to its end, or
    disagrees with the tables.
    """
    journal, what = account.journal, f"{account.kind} {account.id}"
    if not journal:
        raise EvidenceError(f"{what} has no journal")
    fault = chain.fault(account.begins, journal, count=len(journal), last=journal[-1].link)
    sealed = [(each.leaf, each.seal.statement.sealed_at) for each in account.seals]
    fault = fault or seal.fault(journal, sealed)
    if fault:
        raise EvidenceError(f"{what} is no longer valid evidence: {fault}")
    if account.kind is Kind.CALL:
        fault = chain.fault_of_call(journal, plain(account.subject))
        fault = fault or fault_of_recordings([plain(each) for each in account.recordings], journal)
        fault = fault or fault_of_consents([plain(each) for each in account.consents], journal)
        if account.revision is not None and fault is None:
            sha256 = hashlib.sha256(account.revision.document.encode()).hexdigest()
            fault = chain.fault_of_policy(journal, sha256)
    else:
        fault = fault_of_request(plain(account.subject), journal)
    if fault:
        raise EvidenceError(f"{what} is no longer valid evidence: {fault}")
    if not all(seal.follow(each.statements) for each in account.time_stamps):
        raise EvidenceError(
            f"{what} is no longer valid evidence: a seal before its time stamp was changed or removed"
        )
    if not sealed or sealed[-1][0].events != len(journal):
        raise UnfinishedError(f"{what} is not fully sealed yet: ccari evidence seal")


def _files(
    account: Account, heard: Sequence[HeardSound], keys: Mapping[str, VerifyingKey]
) -> dict[str, bytes]:
    gate = {
        "facts": [_entry(each) for each in account.journal if "attempts" in (each.fields or {})],
        "consents": [plain(each) for each in account.consents],
    }
    files = {
        "journal.json": _json([_entry(each) for each in account.journal]),
        "seals.json": _json([_seal(each) for each in account.seals]),
        "subject.json": _json({**plain(account.subject), "bars": [plain(each) for each in account.bars]}),
    }
    if account.kind is Kind.CALL:
        files["gate.json"] = _json(gate)
        files["recordings.json"] = _json([plain(each) for each in account.recordings])
    if account.revision is not None:
        files["policy.toml"] = account.revision.document.encode()
        files["policy.json"] = _json(plain(account.revision.about))
    if heard:
        files |= _notice_files(heard)
    if account.time_stamps:
        files |= _time_stamp_files(account.time_stamps)
    return files | {f"keys/{name}.pub": key.public_pem for name, key in keys.items()}


def _notice_files(heard: Sequence[HeardSound]) -> dict[str, bytes]:
    files, rows = {}, []
    for number, sound in enumerate(heard, start=1):
        names = {}
        for ending, content in sound.files.items():
            name = names[ending] = f"notice/{number:02}-{sound.key.replace('/', '-')}.{ending}"
            files[name] = content
        hashes = {ending: hashlib.sha256(content).hexdigest() for ending, content in sound.files.items()}
        rows.append(
            {"key": sound.key, "text": sound.text, "digest": sound.digest, "files": names, "sha256": hashes}
        )
    return {NOTICE: _json(rows), **files}


def _time_stamp_files(time_stamps: Sequence[TimeStamp]) -> dict[str, bytes]:
    files, rows = {}, []
    for number, each in enumerate(time_stamps, start=1):
        name = f"time_stamps/{number:02}.tsr"
        files[name] = each.response
        rows.append(
            {"file": name, "of": each.statements[-1].digest.hex(),
             "statements": [json.loads(statement.canonical) for statement in each.statements]}
        )  # fmt: skip
    return {TIME_STAMPS: _json(rows), **files}


def _entry(entry: Linked) -> dict[str, Any]:
    return {
        "seq": entry.seq, "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"), "event": entry.event,
        "commitment": entry.commitment.hex(), "link": entry.link.hex(),
        "salt": entry.salt.hex() if entry.salt is not None else None,
        "fields": dict(entry.fields) if entry.fields is not None else None,
    }  # fmt: skip


def _seal(sealed: SealedIn) -> dict[str, Any]:
    return {
        "statement": json.loads(sealed.seal.statement.canonical), "signature": sealed.seal.signature.hex(),
        "leaf": json.loads(sealed.leaf.canonical), "index": sealed.index, "path": [node.hex() for node in sealed.path],
    }  # fmt: skip


def _readme(account: Account, key: SigningKey, at: datetime) -> bytes:
    text = resources.files("ccari.recordings.evidence").joinpath("README.txt").read_text("utf-8")
    return text.format(kind=account.kind.value, id=account.id, at=in_utc(at), key=key.fingerprint).encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
