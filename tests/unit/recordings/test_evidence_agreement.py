"""Rows that say something else than the sealed journal: somebody can write the tables, but not the journal."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from ccari.errors import EvidenceError
from ccari.policy import chain
from ccari.policy.chain import Linked
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account, HeardSound, Revision
from ccari.recordings.evidence import pack as packs
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import DELETED, HEARD, KEY, NOON, RECORDING, STORED, erased, recording
from tests.unit.recordings.packing import MADE_AT, checked, packed

OTHER = "99999999-2222-4333-8444-666666666666"
RAN = [("recording_started", dict[str, str]()), ("recording_stored", STORED)]
LOST = ("recording_lost", {"recording": str(RECORDING), "reason": "no sound"})
SWAPPED = hashlib.sha256(b"age-encryption.org/v1 another talk").hexdigest()

Believing = Callable[[], None]


@pytest.fixture
def believing(monkeypatch: pytest.MonkeyPatch) -> Believing:
    """Whoever makes the pack does not look."""

    def believe() -> None:
        monkeypatch.setattr(packs, "refuse_unfit", lambda _account: None)

    return believe


def refused(account: Account, fault: str, believing: Believing, heard: Sequence[HeardSound] = HEARD) -> None:
    """Refused at the export; and if that lets it pass, by whoever verifies the pack."""
    with pytest.raises(EvidenceError) as found:
        _packed(account, heard)
    assert str(found.value).partition(" is no longer valid evidence: ")[2] == fault
    believing()
    content = _packed(account, heard)
    with pytest.raises(EvidenceError) as found:
        checked(content)
    assert str(found.value).partition(".json: ")[2] == fault


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (
            {"file_sha256": SWAPPED},
            "is not the one that the journal says was stored: its file_sha256 differs",
        ),
        ({"sha256": "cd" * 32}, "is not the one that the journal says was stored: its sha256 differs"),
        ({"sha256": None}, "is not the one that the journal says was stored: its sha256 differs"),
        ({"duration_ms": 3}, "is not the one that the journal says was stored: its duration_ms differs"),
        (
            {"file": "acme/other.flac.age"},
            "is not the one that the journal says was stored: its file differs",
        ),
        ({"format": "wav"}, "is not the one that the journal says was stored: its format differs"),
        ({"id": OTHER}, "is not in the journal"),
        ({"state": "deleted", "deletion": "retention"}, "is deleted, but the journal does not say so"),
        ({"state": "failed"}, "is failed, but the journal says that it was stored"),
        ({"state": "discarded"}, "is discarded, but the journal says that it was stored"),
        ({"state": "finished"}, "is finished, but the journal says that it was stored"),
    ],
)
def test_a_recording_that_was_swapped_or_told_of_otherwise_is_proven(
    changed: dict[str, Any], fault: str, believing: Believing
) -> None:
    account = accounts.call(recordings=[recording(**changed)])
    refused(account, f"recording {changed.get('id', RECORDING)} {fault}", believing)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"legal_basis": "consent"}, "the legal_basis of recording {} is consent, but legitimate_interest in the journal"),
        ({"mode": "opt_in"}, "the mode of recording {} is opt_in, but opt_out in the journal"),
        ({"delete_at": NOON + timedelta(days=9000)},
         "the delete_at of recording {} is 2050-10-30T12:00:00.123+00:00, but 2026-06-08T12:00:00+00:00 in the journal"),
        ({"notice_version": "v0"}, "the notice of recording {} is v0, but the journal has a different one"),
    ],
)  # fmt: skip
def test_a_recording_is_given_another_basis_or_limit_unnoticed(
    changed: dict[str, Any], fault: str, believing: Believing
) -> None:
    refused(accounts.call(recordings=[recording(**changed)]), fault.format(RECORDING), believing)


@pytest.mark.parametrize(
    "journal",
    [
        accounts.journal(*RAN),
        accounts.journal(*RAN, ("recording_deleted", DELETED)),
        accounts.journal(("recording_started", {})),
        accounts.journal(LOST),
    ],
    ids=["stored", "deleted", "begun", "lost"],
)
def test_a_recording_that_was_left_out_is_not_missed(journal: list[Linked], believing: Believing) -> None:
    fault = f"recording {RECORDING} is in the journal, but missing from the list of recordings"
    refused(accounts.call(journal, recordings=[]), fault, believing)


def test_a_recording_is_left_out_unnoticed_once_the_fields_are_erased(believing: Believing) -> None:
    account = accounts.call(erased(accounts.journal(*RAN), range(8)), recordings=[])
    refused(account, "of the recordings, the journal has 1, but the list of recordings has 0", believing)


def test_a_recording_is_put_in_unnoticed_once_the_fields_are_erased(believing: Believing) -> None:
    account = accounts.call(
        erased(accounts.journal(*RAN), range(8)), recordings=[recording(), recording(id=OTHER)]
    )
    refused(
        account, "of the entries recording_tagged, the recordings need 2, but the journal has 1", believing
    )  # fmt: skip


def test_one_that_was_tagged_and_never_ran_is_missed() -> None:
    """The database may have refused the tag: it reaches the journal with the end of the call."""
    assert checked(packed(accounts.call(accounts.journal(("call_ended", {})), recordings=[]))).entries == 6


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ([("recording_lost", {"reason": "no sound"})], {"state": "failed"}),
        ([LOST], {"state": "failed"}),
        # the row lagged behind: the database was away for a while
        ([LOST, *RAN], {}),
        ([*RAN, LOST], {"state": "failed"}),
        ([("recording_stored", STORED | {"file_sha256": SWAPPED}), *RAN], {}),
        ([("recording_started", {}), ("call_ended", {})], {"state": "finished"}),
        ([*RAN, ("recording_deleted", DELETED)], {"state": "deleted", "deletion": "retention"}),
        ([*RAN, ("recording_deleted", {"why": "retention"})], {"state": "deleted", "deletion": "retention"}),
    ],
)  # fmt: skip
def test_rows_that_agree_with_the_journal_are_refused(
    more: Sequence[accounts.Told], changed: dict[str, Any]
) -> None:
    row = recording(**changed)
    if row["state"] not in {"stored", "deleted"}:
        row |= dict.fromkeys(("file", "format", "bytes", "sha256", "file_sha256", "recipients"))
    verdict = checked(packed(accounts.call(accounts.journal(*more), recordings=[row])))
    assert verdict.uncompared == ()


@pytest.mark.parametrize(
    ("more", "changed", "fault"),
    [
        ([*RAN, ("recording_deleted", DELETED)], {}, "is stored, but the journal says that it was deleted"),
        ([*RAN, ("recording_deleted", DELETED)], {"state": "deleted", "deletion": "erasure"},
         "was deleted because of erasure, but because of retention in the journal"),
        ([*RAN, ("recording_deleted", DELETED | {"recording": OTHER})], {"state": "deleted", "deletion": "retention"},
         "is deleted, but the journal does not say so"),
        ([("recording_stored", STORED | {"recording": OTHER})], {}, "was stored, but the journal does not say so"),
        ([LOST], {"state": "discarded"}, "is discarded, but the journal says that it was lost"),
    ],
)  # fmt: skip
def test_the_end_of_a_recording_is_told_otherwise_unnoticed(
    more: Sequence[accounts.Told], changed: dict[str, Any], fault: str, believing: Believing
) -> None:
    account = accounts.call(accounts.journal(*more), recordings=[recording(**changed)])
    refused(account, f"recording {RECORDING} {fault}", believing)


@pytest.mark.parametrize("places", [{4}, {5}, {2, 4, 5}])
def test_what_was_erased_and_cannot_be_compared_is_not_said(places: set[int]) -> None:
    account = accounts.call(erased(accounts.journal(), places), recordings=[recording()])
    assert checked(packed(account)).uncompared == (str(RECORDING),)
    assert checked(packed()).uncompared == ()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"legal_basis": "consent"}, "the legal_basis of the call is consent, but contract in the journal"),
        ({"legal_basis": None}, "the legal_basis of the call is None, but contract in the journal"),
        ({"controller": "other"}, "the controller of the call is other, but acme in the journal"),
        ({"campaign": "other"}, "the campaign of the call is other, but renewals in the journal"),
        ({"revision": 2}, "the revision of the call is 2, but 1 in the journal"),
        ({"notice_version": "v0"}, "the notice of the call is v0, but the journal has a different one"),
        ({"notice_version": None}, "the notice of the call is None, but the journal has a different one"),
        ({"heard_at": NOON - timedelta(hours=1)},
         "the notice of the call was heard at 2026-03-10T11:00:00.123+00:00, but at 2026-03-10T12:00:02.123456+00:00 in the journal"),
    ],
)  # fmt: skip
def test_a_call_is_given_another_basis_or_notice_unnoticed(
    changed: dict[str, Any], fault: str, believing: Believing
) -> None:
    account = accounts.call()
    refused(replace(account, subject={**account.subject, **changed}), fault, believing)


def test_a_blocked_call_is_given_another_basis_unnoticed(believing: Believing) -> None:
    entries = accounts.of(("call_blocked", {"reason": "no_consent", "legal_basis": "consent"}))
    account = accounts.call(entries, recordings=[])
    unheard = {**account.subject, "heard_at": None, "notice_version": None}
    fault = "the legal_basis of the call is contract, but consent in the journal"
    refused(replace(account, subject=unheard), fault, believing, heard=())


def test_what_a_call_was_made_under_seems_proven_although_it_was_erased() -> None:
    account = over()
    gated = resealed(account, erased(account.journal, {0}))
    assert checked(packed(account)).unproven == ()
    said = ("legal_basis", "controller", "campaign", "revision", "direction", "agent", "number")
    other = replace(gated, subject={**gated.subject, "legal_basis": "consent"})
    assert checked(packed(other)).unproven == said


def resealed(account: Account, journal: list[Linked]) -> Account:
    return replace(account, journal=journal, seals=[accounts.sealed(Kind.CALL, account.id, journal)])


GONE = "the fields of entry {} are gone, but the journal does not say that they were erased"


def test_who_deletes_the_fields_of_an_entry_has_them_pass_for_erased(believing: Believing) -> None:
    """They could then write something else into the row, which nothing contradicts."""
    account = over()
    gone = resealed(account, erased(account.journal, {0}, told=False))
    refused(gone, GONE.format("1 (call_gated)"), believing)


def test_what_was_deleted_after_an_erasure_passes_for_erased_by_it(believing: Believing) -> None:
    account = over()
    journal = erased(account.journal, {0})
    deletion = chain.Entry(NOON, "recording_refused", {}, bytes(16))
    journal += chain.follow(journal[-1].link, len(journal), [deletion])
    assert checked(packed(resealed(account, journal))).erased == (1,)
    gone = resealed(account, erased(journal, {7}, told=False))
    refused(gone, GONE.format("8 (recording_refused)"), believing)


def over(*more: accounts.Told, **ended: str) -> Account:
    """A call that is over, of which the journal says as much as it can; ``more`` is added after its end."""
    gated = {
        **(accounts.journal()[0].fields or {}),
        "direction": "outbound",
        "agent": "anna",
        "number": "+48•••••0001",
    }
    told = [
        ("call_gated", gated), ("callee_dialled", {}), ("callee_answered", {}), accounts.notice(*HEARD), ("call_bridged", {}),
        ("call_ended", {"outcome": "bridged", "reason": "", **ended}), *more,
    ]  # fmt: skip
    return accounts.call(accounts.of(*told), recordings=[])


MONTH = timedelta(days=30)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"outcome": "blocked"}, "the outcome of the call is blocked, but bridged in the journal"),
        ({"outcome": None}, "the outcome of the call is None, but bridged in the journal"),
        ({"reason": "suppressed_objection"}, "the reason of the call is suppressed_objection, but nothing in the journal"),
        ({"direction": "inbound"}, "the direction of the call is inbound, but outbound in the journal"),
        ({"dialled_at": None}, "the dialled_at of the call is nothing, but 2026-03-10T12:00:01.123456+00:00 in the journal"),
        ({"dialled_at": NOON - MONTH},
         "the dialled_at of the call is 2026-02-08T12:00:00.123+00:00, but 2026-03-10T12:00:01.123456+00:00 in the journal"),
        ({"opened_at": NOON - MONTH},
         "the opened_at of the call is 2026-02-08T12:00:00.123+00:00, but 2026-03-10T12:00:00.123456+00:00 in the journal"),
        ({"ended_at": NOON - MONTH},
         "the ended_at of the call is 2026-02-08T12:00:00.123+00:00, but 2026-03-10T12:00:05.123456+00:00 in the journal"),
        ({"ended_at": NOON + timedelta(hours=2)},
         "the ended_at of the call is 2026-03-10T14:00:00.123+00:00, but 2026-03-10T12:00:05.123456+00:00 in the journal"),
    ],
)  # fmt: skip
def test_the_end_or_the_times_of_a_call_are_told_otherwise_unnoticed(
    changed: dict[str, Any], fault: str, believing: Believing
) -> None:
    account = over()
    refused(replace(account, subject={**account.subject, **changed}), fault, believing)


def test_an_invalid_moment_of_a_call_is_taken_for_the_one_in_the_journal(believing: Believing) -> None:
    believing()
    for edit in ("noon", "2026-03-10T12:00:00"):
        account = over()
        content = _packed(replace(account, subject={**account.subject, "ended_at": edit}), HEARD)
        with pytest.raises(EvidenceError, match=r"^subject\.json is damaged$"):
            checked(content)


def test_a_call_that_ended_twice_is_refused_or_counts_as_ended_otherwise(believing: Believing) -> None:
    """Another service took its call for dead. A call that has ended keeps its first end: a second is easily appended."""
    account = over(("call_ended", {"outcome": "bridged", "reason": "service_died"}))
    assert checked(packed(account)).unproven == ()
    forged = replace(account, subject={**account.subject, "reason": "service_died"})
    refused(forged, "the reason of the call is service_died, but nothing in the journal", believing)


def test_a_call_whose_end_the_database_took_late_is_refused() -> None:
    account = over()
    late = {**account.subject, "ended_at": NOON + timedelta(minutes=40)}
    assert checked(packed(replace(account, subject=late))).unproven == ()


def test_the_end_of_a_call_seems_proven_although_it_was_erased_or_is_not_in_the_journal() -> None:
    account = over()
    other = {**account.subject, "outcome": "busy", "reason": "machine"}
    gone = resealed(replace(account, subject=other), erased(account.journal, {5}))
    assert checked(packed(gone)).unproven == ("outcome", "reason")
    said = ("direction", "agent", "number", "outcome", "reason", "dialled_at", "ended_at")
    assert checked(packed()).unproven == said


#: The facts that the gate knew when it was asked, and when it was asked again before dialling.
KNOWN = ("call_gated", {"attempts": "0 0 0"}), ("callee_ringing", {"attempts": "0 0 0"})
CONSENT = {
    "purpose": "odnowienie umowy", "channel": "phone", "given_at": NOON - timedelta(days=9), "withdrawn_at": None,
    "valid_until": None, "proof": "form 7", "origin": "cli:anna", "used_at": NOON,
}  # fmt: skip
UNKNOWN = (
    "the call is said to rest on a consent given at 2026-03-01T12:00:00+00:00, of which the gate did not know"
)


def resting(*told: accounts.Told, **changed: str) -> Account:
    account = accounts.call(accounts.of(*told), recordings=[], consents=[CONSENT])
    unheard = {"heard_at": None, "notice_version": None}
    return replace(account, subject={**account.subject, **unheard, **changed})


@pytest.mark.parametrize("given", [None, "2026-03-01T11:59:59+00:00", "2026-03-10T12:00:00+00:00"])
def test_a_consent_that_the_gate_did_not_know_is_given_out_as_proof(
    given: str | None, believing: Believing
) -> None:
    """Somebody has entered it months later, or another in its place."""
    told = [(event, fields | ({"consent": f"given {given}"} if given else {})) for event, fields in KNOWN]
    refused(resting(*told), UNKNOWN, believing, heard=())


@pytest.mark.parametrize(
    "more", ["", " until 2027-03-01T12:00:00+00:00", ", withdrawn 2026-03-09T12:00:00+00:00"]
)
def test_a_consent_that_the_gate_knew_is_refused(more: str) -> None:
    knew = {"attempts": "0 0 0", "consent": f"given 2026-03-01T12:00:00+00:00{more}"}
    for account in (
        resting(("call_gated", knew), ("callee_ringing", knew)),
        # it came while the call was being prepared
        resting(KNOWN[0], ("callee_ringing", knew)),
        # … and the service died before it was written down
        resting(KNOWN[0], ("call_ended", {"outcome": "failed", "reason": "service_died"}), outcome="failed", reason="service_died"),
        # a journal of which something was erased, and one from before the facts were recorded
        accounts.call(erased(resting(*KNOWN).journal, {1}), recordings=[], consents=[CONSENT],
                      subject=resting(*KNOWN).subject),
        resting(("call_gated", {}), ("call_ended", {})),
    ):  # fmt: skip
        assert checked(_packed(account, ())).entries == len(account.journal)


def test_a_policy_that_was_written_anew_is_given_out_as_the_one_in_force() -> None:
    sha256 = hashlib.sha256(accounts.POLICY.encode()).hexdigest()
    fields = {**dict(accounts.journal()[0].fields or {}), "policy_sha256": sha256}
    account = resting(("call_gated", fields), ("call_ended", {}))
    account = replace(account, consents=[])
    assert checked(_packed(account, ())).entries == 2
    assert account.revision is not None
    document = accounts.POLICY.replace("odnowienie", "wypowiedzenie")
    about = {**account.revision.about, "sha256": hashlib.sha256(document.encode()).hexdigest()}
    fault = "revision 1 of the policy is not the one that the call was made under: its hash differs"
    with pytest.raises(EvidenceError, match=fault):
        _packed(replace(account, revision=Revision(about, document)), ())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chain, "fault_of_policy", lambda *_: None)
        content = _packed(replace(account, revision=Revision(about, document)), ())
    with pytest.raises(EvidenceError, match=f"policy.toml: {fault}"):
        checked(content)


def test_a_notice_that_nobody_heard_is_proven(believing: Believing) -> None:
    account = accounts.call()
    unheard = without(account.journal, {"notice_heard", "recording_tagged", "recording_stored"})
    fault = "the record of the call says that the notice was heard, but the journal does not"
    refused(accounts.call(unheard, recordings=[]), fault, believing, heard=())


def test_a_notice_that_was_heard_is_denied_unnoticed(believing: Believing) -> None:
    """Before the talk: what could not be made durable ends the call, and is in the journal all the same."""
    account = accounts.call(accounts.journal(("call_ended", {}), tagged=None), recordings=[])
    denied = {**account.subject, "heard_at": None, "notice_version": None}
    assert checked(packed(replace(account, subject=denied))).entries == 5
    talked = accounts.call(accounts.journal(("call_bridged", {}), tagged=None), recordings=[])
    fault = "the journal says that the notice was heard, but the record of the call does not"
    refused(replace(talked, subject=denied), fault, believing)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"state": "in_progress"}, "the state of the request is in progress, but fulfilled in the journal"),
        ({"level": 1}, "the level of the request is L1, but L2 in the journal"),
        ({"due": date(2026, 6, 10)}, "the request is due on 2026-06-10, but on 2026-04-10 in the journal"),
        ({"closed_at": NOON - timedelta(days=3)},
         "the request was closed at 2026-03-07T12:00:00.123+00:00, but at 2026-03-10T12:00:00.123456+00:00 in the journal"),
    ],
)  # fmt: skip
def test_a_request_is_said_to_have_been_answered_or_in_time_unnoticed(
    changed: dict[str, Any], fault: str, believing: Believing
) -> None:
    account = accounts.request()
    refused(replace(account, subject={**account.subject, **changed}), fault, believing, heard=())


def _packed(account: Account, heard: Sequence[HeardSound]) -> bytes:
    return packs.pack(account, heard, KEY, [KEY.verifying], MADE_AT)


def without(entries: Sequence[Linked], events: set[str]) -> list[Linked]:
    kept = [
        chain.Entry(each.at, each.event, each.fields or {}, each.salt or b"")
        for each in entries
        if each.event not in events
    ]
    return chain.follow(chain.start(accounts.CALL), 0, kept)
