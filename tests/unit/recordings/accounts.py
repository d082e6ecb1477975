"""An account of a call and one of a request, sealed among others, as the store would give them."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ccari.policy import chain, merkle, wording
from ccari.policy.chain import Entry, Linked
from ccari.policy.seal import Kind, Leaf, statement
from ccari.ports.evidence import Account, HeardSound, Revision, Seal, SealedIn
from ccari.recordings.evidence.keys import SigningKey

CALL = UUID("11111111-2222-4333-8444-555555555555")
REFERENCE = "ACME-2026-000001"
RECORDING = UUID("99999999-2222-4333-8444-555555555555")
NOON = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
KEY = SigningKey(1, Ed25519PrivateKey.from_private_bytes(b"1" * 32))
OTHER_KEY = SigningKey(1, Ed25519PrivateKey.from_private_bytes(b"2" * 32))
RECORDED = b"age-encryption.org/v1 and so on"
POLICY = """
[[controllers]]
id = "acme"
name = "ACME Sp. z o.o."
country = "PL"
dpo = "iod@acme.example"

[[campaigns]]
id = "renewals"
controller = "acme"
purpose = "odnowienie umowy"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{number}@trunk"
[campaigns.recording]
mode = "opt_out"
legal_basis = "legitimate_interest"
[campaigns.keys]
"2" = "continue_unrecorded"
"""


def sound(name: str, text: str, language: str = "pl", endings: Sequence[str] = ("sln12",)) -> HeardSound:
    files = {ending: f"{name} as {ending}".encode() for ending in endings}
    hashes = {ending: hashlib.sha256(content).hexdigest() for ending, content in files.items()}
    return HeardSound(f"{language}/renewals/{name}", text, wording.audio_digest(hashes), files)


HEARD = [sound("identity", "Dzwoni ACME."), sound("recording", "Rozmowa jest nagrywana.")]


def version(heard: Sequence[HeardSound]) -> str:
    return wording.version_of((each.key, each.text or "") for each in heard)


VERSION = version(HEARD)
#: What the journal says about the recording.
TAGGED = {
    "recording": str(RECORDING), "recording_basis": "legitimate_interest", "mode": "opt_out",
    "delete_at": "2026-06-08T12:00:00+00:00",
}  # fmt: skip
STORED = {
    "recording": str(RECORDING), "file": f"acme/2026-03-10/{RECORDING}.flac.age", "format": "flac", "duration_ms": "3000",
    "sha256": "ab" * 32, "file_sha256": hashlib.sha256(RECORDED).hexdigest(),
}  # fmt: skip
DELETED = {"recording": str(RECORDING), "why": "retention", "by": "ccari"}
Told = tuple[str, dict[str, str]]


def notice(*heard: HeardSound, language: str = "pl") -> Told:
    """The entry that says that the notice was heard."""
    return "notice_heard", {
        "notice_version": version(heard), "language": language,
        "prompts": ",".join(each.key.split("/")[-1] for each in heard),
        "sounds": ",".join(each.digest for each in heard),
    }  # fmt: skip


def journal(
    *more: Told, action: str = "none", tagged: Told | None = ("recording_tagged", TAGGED),
    heard: Sequence[HeardSound] = HEARD,
) -> list[Linked]:  # fmt: skip
    """The journal of a call whose recording was stored, unless ``more`` or ``tagged`` is given. ``heard`` in Polish."""
    told: list[Told] = [
        (
            "call_gated",
            {
                "attempts": "0 1 2", "informed": "v1", "controller": "acme", "campaign": "renewals",
                "legal_basis": "contract", "revision": "1",
            },
        ),
        ("callee_answered", {}),
        notice(*heard),
        ("key_pressed", {"key": "2", "action": action}),
        *([tagged] if tagged else []),
        *(more or [("recording_stored", STORED)]),
    ]  # fmt: skip
    return of(*told)


def of(*told: Told) -> list[Linked]:
    """The journal of a call to which these events happened, a second apart."""
    entries = [
        Entry(NOON + timedelta(seconds=n), event, fields, bytes([n]) * 16)
        for n, (event, fields) in enumerate(told)
    ]
    return chain.follow(chain.start(CALL), 0, entries)


def erased(entries: Sequence[Linked], places: Collection[int], *, told: bool = True) -> list[Linked]:
    """The journal after the fields in these ``places`` were erased, and it said so, unless not ``told``."""
    gone = [
        replace(each, fields=None, salt=None) if place in places else each
        for place, each in enumerate(entries)
    ]
    says = Entry(gone[-1].at, chain.ERASED, {"by": "cli:dpo"}, bytes([len(gone)]) * 16)
    return [*gone, *chain.follow(gone[-1].link, len(gone), [says] if told else [])]


def sealed(kind: Kind, of: str, entries: Sequence[Linked], key: SigningKey = KEY) -> SealedIn:
    """Sealed in a seal of five journals."""
    mine = Leaf(kind, of, len(entries), entries[-1].link)
    others = [Leaf(Kind.CALL, str(UUID(int=n)), n, hashlib.sha256(bytes([n])).digest()) for n in range(1, 5)]
    leaves = [*others[:2], mine, *others[2:]]
    told = statement(leaves, None, key.fingerprint, NOON + timedelta(minutes=1))
    path = merkle.inclusion([each.canonical for each in leaves], 2)
    return SealedIn(Seal(told, key.sign(told.canonical)), mine, 2, path)


def recording(**changed: Any) -> dict[str, Any]:
    return {
        "id": RECORDING, "purpose": "odnowienie umowy", "legal_basis": "legitimate_interest", "mode": "opt_out",
        "notice_version": VERSION, "state": "stored", "tagged_at": NOON, "started_at": NOON, "stopped_at": NOON,
        "duration_ms": 3000, "delete_at": NOON + timedelta(days=90), "format": "flac", "bytes": len(RECORDED),
        "file": f"acme/2026-03-10/{RECORDING}.flac.age", "sha256": "ab" * 32,
        "file_sha256": hashlib.sha256(RECORDED).hexdigest(), "recipients": ["age1x"], "deleted_at": None,
        "deletion": None,
    } | changed  # fmt: skip


def call(entries: list[Linked] | None = None, **changed: Any) -> Account:
    entries = entries or journal()
    subject = {
        "id": CALL, "direction": "outbound", "controller": "acme", "campaign": "renewals", "legal_basis": "contract",
        "revision": 1, "agent": "anna", "number": "+48•••••0001", "opened_at": NOON, "dialled_at": NOON,
        "heard_at": NOON, "notice_version": VERSION, "ended_at": NOON, "outcome": "bridged", "reason": "",
    }  # fmt: skip
    account = Account(
        Kind.CALL, str(CALL), chain.start(CALL), subject, entries, [sealed(Kind.CALL, str(CALL), entries)],
        Revision(
            {"revision": 1, "applied_at": NOON, "applied_by": "anna", "sha256": hashlib.sha256(POLICY.encode()).hexdigest()},
            POLICY,
        ),
        recordings=[recording()],
    )  # fmt: skip
    return replace(account, **changed)


def hearing(*heard: HeardSound) -> Account:
    """A call that is not recorded, in which these prompts were heard."""
    account = call(journal(("call_ended", {}), tagged=None, heard=heard), recordings=[])
    return replace(account, subject={**account.subject, "notice_version": version(heard)})


def request(**changed: Any) -> Account:
    begins = chain.start_of_request(REFERENCE)
    told = [
        Entry(NOON, "received L1 2026-04-10", {"who": "call", "reason": ""}, b"a" * 16),
        Entry(NOON, "fulfilled L2 2026-04-10", {"who": "cli:anna", "reason": "sent"}, b"b" * 16),
    ]
    entries = chain.follow(begins, 0, told)
    subject = {
        "reference": REFERENCE, "right": "access", "article": "15", "state": "fulfilled", "level": 2,
        "controller": "acme", "campaign": None, "purpose": None, "channel": "letter", "received_at": NOON,
        "due": date(2026, 4, 10), "closed_at": NOON,
    }  # fmt: skip
    account = Account(
        Kind.REQUEST, REFERENCE, begins, subject, entries, [sealed(Kind.REQUEST, REFERENCE, entries)]
    )
    return replace(account, **changed)
