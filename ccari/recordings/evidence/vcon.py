"""Writes an account as a vCon (draft-ietf-vcon-vcon-core), with its lawful bases (draft-howe-vcon-lawful-basis) attached.

It holds no audio: recordings are encrypted, and the reader of the evidence may not be entitled to listen. The dialog is the text of what
was said to the callee, word for word; recordings are attachments, with their hashes.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ccari import __version__
from ccari.policy import wording
from ccari.policy.bases import LegalBasis
from ccari.policy.call import HANDED_BACK, Direction
from ccari.policy.campaign import Campaign
from ccari.policy.chain import GATED, Linked
from ccari.policy.declaration import Policy
from ccari.policy.keypad import KeyAction
from ccari.policy.recording import RecordingState
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account, HeardSound

#: The type of a proof that is a time stamp.
TIME_STAMP = "RFC 3161 time stamp"
#: The names of legal bases in the draft, where they differ from ours.
_BASES = {
    LegalBasis.VITAL_INTEREST: "vital_interests",
    LegalBasis.LEGITIMATE_INTEREST: "legitimate_interests",
}
_CONTROLLER, _CALLEE, _AGENT, _CCARI = range(4)
#: How a call that was never connected ended, in the draft's words.
_DISPOSITIONS = {
    "busy": "busy",
    "no_answer": "no-answer",
    "callee_hangup": "hung-up",
    "agent_hangup": "hung-up",
}
#: The states of a recording that could lawfully be made, including lost and deleted ones.
_MIGHT_BE_MADE = frozenset(RecordingState) - {RecordingState.TAGGED, RecordingState.DISCARDED}
_REFUSING = KeyAction.CONTINUE_UNRECORDED.value


def vcon(
    account: Account, policy: Policy | None, heard: Sequence[HeardSound], contents: Mapping[str, Any],
    at: datetime, issuer: str,
) -> dict[str, Any]:  # fmt: skip
    """The unsigned vCon. ``contents``: the hashes of all other files of the pack, so that the vCon's signature covers them too.

    ``policy``: the account's revision; None if there is none, or this version of ccari cannot read it.
    """
    subject = account.subject
    campaign = policy.campaign(subject["campaign"]) if policy and subject["campaign"] else None
    controller = policy.controller(subject["controller"]) if policy and subject["controller"] else None
    name = controller.name if controller else subject["controller"]
    head = {
        "uuid": str(_uuid8(at, issuer)),
        "vcon": "0.4.0",
        "created_at": _at(at),
        "updated_at": _at(at),
        "extensions": ["lawful_basis"],
        "parties": _parties(account, name or "unknown"),
        "dialog": [_dialog(account, heard)],
    }
    bases = _bases_of_call(account, campaign) if account.kind is Kind.CALL else [_basis_of_request(account)]
    attached: list[tuple[str, Any]] = [("lawful_basis", body) for body in bases]
    if account.recordings:
        attached.append(("recordings", [plain(each) for each in account.recordings]))
    attached.append(("ccari_evidence", dict(contents)))
    subject_words = campaign.purpose if campaign else subject.get("purpose")
    return {
        **head,
        **({"subject": subject_words} if subject_words else {}),
        "attachments": [
            # the lawful-basis draft names its attachments by type, the core draft by purpose
            {**({"type": purpose} if purpose == "lawful_basis" else {}), "purpose": purpose, "start": _at(at),
             "party": _CALLEE if purpose == "lawful_basis" else _CCARI, "dialog": 0, "mediatype": "application/json",
             "encoding": "json", "body": body}
            for purpose, body in attached
        ],
    }  # fmt: skip


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in JSON's types: moments as text (RFC 3339), absent values left out."""
    return {name: _plain_value(value) for name, value in row.items() if value is not None}


def _plain_value(value: Any) -> Any:
    match value:
        case datetime():
            return _at(value)
        case bool() | int() | str():
            return value
        case list() | tuple():
            return [_plain_value(each) for each in value]
        case _:
            return str(value)


def _parties(account: Account, controller: str) -> list[dict[str, Any]]:
    """The number is masked: the database keeps no more of it once the call is over."""
    subject = account.subject
    return [
        {"name": controller, "role": "controller"},
        {
            "name": subject.get("number") or "—",
            "role": "callee" if account.kind is Kind.CALL else "data subject",
        },
        {"name": subject.get("agent") or "—", "role": "agent"},
        {"name": f"ccari {__version__}", "role": "processor"},
    ]


def _dialog(account: Account, heard: Sequence[HeardSound]) -> dict[str, Any]:
    """What was said to the callee or, if they heard no notice to its end, how the call ended.

    Text in square brackets was not said; it says what is missing.
    """
    subject = account.subject
    began = {"start": _at(subject["opened_at"] if account.kind is Kind.CALL else subject["received_at"])}
    if account.kind is Kind.REQUEST:
        words = f"{subject['right']} (Article {subject['article']}), received by {subject['channel']}"
        return {
            "type": "text", **began, "parties": [_CALLEE, _CONTROLLER],
            "mediatype": "text/plain", "encoding": "none", "body": words,
        }  # fmt: skip
    if heard or subject["heard_at"] is not None or _is_the_dialplans(account):
        return {
            "type": "text", "start": _at(subject["heard_at"] or subject["opened_at"]), "parties": [_CONTROLLER, _CALLEE],
            "mediatype": "text/plain", "encoding": "none", "body": _words_heard(heard, subject["notice_version"]),
        }  # fmt: skip
    return {
        "type": "incomplete", **began, "parties": [_CONTROLLER, _CALLEE],
        "disposition": _DISPOSITIONS.get(subject["outcome"], "failed"),
    }  # fmt: skip


def _is_the_dialplans(account: Account) -> bool:
    """Whether ccari saw only the call's gate, or its keys menu, which takes key presses without asking the gate."""
    undecided = _first(account.journal, GATED) is None
    pressed = _first(account.journal, {"key_pressed"}) is not None
    return account.subject["outcome"] == HANDED_BACK or (undecided and pressed)


def _words_heard(heard: Sequence[HeardSound], version: str | None) -> str:
    if heard:
        return "\n".join(
            f"[{each.key}: its words are not in this evidence.]" if each.text is None else each.text
            for each in heard
        )
    if version is None:
        return "[The call was handed back to the dialplan. What was said in it is not known.]"
    if version == wording.version_of(()):
        return "[Nothing had to be said before the talk.]"
    return f"[A notice was heard, of the version {version}. Its words are not in this evidence.]"


def _bases_of_call(account: Account, campaign: Campaign | None) -> list[dict[str, Any]]:
    """The legal basis of the call, and of each recording; or of the recording that was refused."""
    journal = account.journal
    if not account.subject["legal_basis"]:
        return []
    call = _basis_of_calling(account, campaign)
    bases = [] if call is None else [call]
    heard = _first(journal, {"notice_heard"})
    for row in account.recordings:
        agreed = _agreed(journal, row)
        consented = agreed.at if agreed and row["legal_basis"] == LegalBasis.CONSENT else None
        grant = {
            "purpose": "recording", "granted": row["state"] in _MIGHT_BE_MADE,
            "granted_at": _at(consented or row["started_at"] or row["tagged_at"]),
            "conditions": [f"recording {row['id']}", row["purpose"], f"mode {row['mode']}", f"notice {row['notice_version']}"],
        }  # fmt: skip
        ends = min(row["delete_at"], row["deleted_at"] or row["delete_at"])
        bases.append(_body(row["legal_basis"], ends, [grant], _proofs([heard, agreed])))
    refused = next((each for each in journal if _refuses(each)), None)
    basis = campaign.recording.legal_basis if campaign else None
    if refused is not None and not account.recordings and basis is not None:
        grant = {"purpose": "recording", "granted": False, "granted_at": _at(refused.at), "conditions": []}
        bases.append(_body(basis, None, [grant], _proofs([heard, refused])))
    return bases


def _basis_of_calling(account: Account, campaign: Campaign | None) -> dict[str, Any] | None:
    """No basis for a call that the gate has not decided on, as in the dialplan's keys menu, nor for an inbound call on consent: every
    caller is let in, so nobody granted it. A consent is older than the verdict that rests on it, and may have ended since.
    """
    subject, journal = account.subject, account.journal
    on_consent = subject["legal_basis"] == LegalBasis.CONSENT
    gated, blocked = _first(journal, {"call_gated"}), _first(journal, {"call_blocked"})
    # the gate is asked again just before dialling, and may then block a call that it had let through
    decided = blocked or gated
    if decided is None or (on_consent and subject["direction"] == Direction.INBOUND):
        return None
    rests_on = account.consents if on_consent and blocked is None else ()
    ends = [end for each in rests_on for end in (each["withdrawn_at"], each["valid_until"]) if end]
    grant = {
        "purpose": "call", "granted": blocked is None,
        "granted_at": _at(max((each["given_at"] for each in rests_on), default=decided.at)),
        "conditions": [f"campaign {subject['campaign']}"] + ([campaign.purpose] if campaign else []),
    }  # fmt: skip
    consents = [_proof("external_system", each["used_at"], plain(each)) for each in account.consents]
    proofs = [*consents, *_proofs([gated, blocked]), *_seals(account)]
    return _body(subject["legal_basis"], min(ends, default=None), [grant], proofs)


def _agreed(journal: Iterable[Linked], row: Mapping[str, Any]) -> Linked | None:
    """The agreement that a recording was made on: the last one before its tag. A callee who changes the language may agree again."""
    agreed = None
    for entry in journal:
        if entry.event == "recording_agreed":
            agreed = entry
        if entry.event == "recording_tagged" and (entry.fields or {}).get("recording") == str(row["id"]):
            break
    return agreed


def _refuses(entry: Linked) -> bool:
    """Whether the callee refused to be recorded or, in ``opt_in``, did not agree to it."""
    return entry.event == "recording_not_agreed" or (entry.fields or {}).get("action") == _REFUSING


def _basis_of_request(account: Account) -> dict[str, Any]:
    """A request is kept and answered under a legal obligation of the controller: Articles 12 and 5(2)."""
    subject = account.subject
    grant = {
        "purpose": "rights_request", "granted": True, "granted_at": _at(subject["received_at"]),
        "conditions": [f"{subject['right']}, Article {subject['article']}"],
    }  # fmt: skip
    return _body(
        LegalBasis.LEGAL_OBLIGATION, None, [grant], [*_proofs(account.journal[:1]), *_seals(account)]
    )


def _body(
    basis: str, expires: datetime | None, grants: list[dict[str, Any]], proofs: list[dict[str, Any]]
) -> dict[str, Any]:
    legal_basis = LegalBasis(basis)
    return {
        "lawful_basis": _BASES.get(legal_basis, legal_basis.value),
        "expiration": _at(expires) if expires else None,
        "purpose_grants": grants,
        "proof_mechanisms": proofs,
        "metadata": {"iri": legal_basis.iri, "article": f"6(1)({legal_basis.letter})"},
    }


def _proofs(entries: Iterable[Linked | None]) -> list[dict[str, Any]]:
    return [
        _proof(
            "external_system", each.at, {"system": "ccari", "journal_entry": each.seq, "event": each.event}
        )
        for each in entries
        if each is not None
    ]


def _seals(account: Account) -> list[dict[str, Any]]:
    signed = [
        _proof(
            "cryptographic_signature",
            each.seal.statement.sealed_at,
            {"seal": each.seal.statement.digest.hex(), "key": each.seal.statement.key},
        )
        for each in account.seals
    ]
    stamped = [
        _proof(
            "external_system",
            each.at,
            {"system": TIME_STAMP, "seal": each.statements[-1].digest.hex()},
        )
        for each in account.time_stamps
    ]
    return signed + stamped


def _proof(kind: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {"proof_type": kind, "timestamp": _at(at), "proof_data": data}


def _first(journal: Iterable[Linked], events: Iterable[str]) -> Linked | None:
    return next((each for each in journal if each.event in events), None)


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _uuid8(at: datetime, issuer: str) -> UUID:
    """A UUID version 8 as the draft requires: the time as in version 7, then 62 bits of the SHA-1 of the issuer's name."""
    micros = int(at.timestamp() * 1_000_000)
    milliseconds, rest = divmod(micros, 1000)
    name = int.from_bytes(hashlib.sha1(issuer.encode(), usedforsecurity=False).digest()[:8]) >> 2
    return UUID(int=milliseconds << 80 | 0x8 << 76 | (rest * 4096 // 1000) << 64 | 0b10 << 62 | name)
