"""The ten rights: what each does at once, and which step of a request may follow which."""

from itertools import product

import pytest

from ccari.policy.bases import LegalBasis
from ccari.policy.recording import RecordingMode, ended_by, stops_recording, stored
from ccari.policy.rights import (
    EFFECTS,
    Effect,
    Level,
    NumberFrom,
    RequestState,
    Right,
    StepFault,
    Stored,
    after_verification,
    article,
    articles,
    barred_campaigns,
    begins,
    refusable,
    step_fault,
    verification_fault,
)
from ccari.policy.suppression import Reason
from tests.unit.policy.campaigns import campaign

#: Each right's article, what it bars at once, whether it stops the running recording (always, or if that is on
#: consent), what becomes of stored ones, which identity level it is fulfilled from, whether it can be refused, and
#: whether nothing is left to do.
TABLE = """
objection_marketing 21(2) objection_marketing goes_on no_other_use      L0 absolute  received
withdraw_consent    7(3)  withdraw_consent    consent keep_proof_only   L0 absolute  received
refuse_recording    7(3)  -                   stops   erase_or_restrict L0 absolute  fulfilled
objection           21(1) objection           stops   restrict          L0 refusable received
erasure             17    erasure             stops   decide_per_basis  L2 refusable received
access              15    -                   goes_on hold              L2 refusable received
rectification       16    -                   goes_on annotate          L2 refusable received
restriction         18    restriction         goes_on restrict          L1 refusable received
portability         20    -                   goes_on export            L2 refusable received
human_review        22(3) -                   goes_on hold              L1 refusable received
"""
ROWS = {row.split()[0]: row.split()[1:] for row in TABLE.strip().splitlines()}

OPEN = ("received", "verifying", "in_progress", "extended")
CLOSED = ("fulfilled", "refused", "withdrawn")
#: No step leads back to ``received`` or to the same state, and none out of a closed request.
STEPS = {
    "received": {"verifying", "in_progress", "extended", *CLOSED},
    "verifying": {"in_progress", "extended", *CLOSED},
    "in_progress": {"verifying", "extended", *CLOSED},
    "extended": {"verifying", "in_progress", *CLOSED},
}
FULFIL_AT = {right: int(row[4][1]) for right, row in ROWS.items()}
STOPS = {
    "goes_on": frozenset[LegalBasis](),
    "consent": frozenset({LegalBasis.CONSENT}),
    "stops": frozenset(LegalBasis),
}
ABSOLUTE = {right for right, row in ROWS.items() if row[5] == "absolute"}
NEEDS_A_REASON = {"extended", "refused", "withdrawn"}


@pytest.mark.parametrize("right", list(Right))
def test_a_right_does_something_else_than_the_law_says(right: Right) -> None:
    under, bar, recording, stored, level, refusal, state = ROWS[right]
    assert EFFECTS[right] == Effect(
        under, None if bar == "-" else Reason(bar), STOPS[recording], Stored(stored), Level[level],
        refusal == "refusable", RequestState(state),
    )  # fmt: skip


def test_a_right_is_missing() -> None:
    assert set(ROWS) == set(Right) == set(EFFECTS)
    assert len(ROWS) == 10


@pytest.mark.parametrize("state", list(RequestState))
def test_a_state_is_taken_for_open_that_is_closed(state: RequestState) -> None:
    assert state.is_open is (state in OPEN)


def faults(
    right: Right, state: RequestState, to: RequestState, level: Level, reason: str, *, extended: bool, in_time: bool
) -> set[StepFault]:  # fmt: skip
    """Everything that is wrong with a step, each by its own sentence of the law."""
    return {
        fault
        for fault, wrong in {
            StepFault.CLOSED: state in CLOSED,
            StepFault.NOT_NEXT: state in OPEN and to not in STEPS[state],
            StepFault.EXTENDED_BEFORE: to == "extended" and extended,
            StepFault.TOO_LATE_TO_EXTEND: to == "extended" and not in_time,
            StepFault.ABSOLUTE: to == "refused" and right in ABSOLUTE,
            StepFault.NO_REASON: to in NEEDS_A_REASON and not reason.strip(),
            StepFault.IDENTITY: to == "fulfilled" and level < FULFIL_AT[right],
        }.items()
        if wrong
    }


@pytest.mark.parametrize("right", list(Right))
def test_a_step_is_taken_that_may_not_or_one_is_barred_that_may(right: Right) -> None:
    """Every state, step, level, and way of asking; for a step with several faults, one of them is reported."""
    for state, to, level, reason, extended, in_time in product(
        RequestState, RequestState, Level, ("", " \t", "too complex"), (False, True), (False, True)
    ):
        wrong = faults(right, state, to, level, reason, extended=extended, in_time=in_time)
        found = step_fault(
            right,
            EFFECTS[right].article,
            state,
            to,
            level=level,
            reason=reason,
            extended=extended,
            in_first_month=in_time,
            erasing=False,
        )
        assert (found in wrong) if wrong else (found is None), (state, to, level, reason, extended, in_time)


def test_a_request_is_extended_twice_by_way_of_another_state() -> None:
    asked = {"level": Level.L2, "reason": "too complex", "in_first_month": True, "erasing": False}
    for state in OPEN:
        found = step_fault(
            Right.ACCESS,
            "15",
            RequestState(state),
            RequestState.EXTENDED,
            extended=True,
            **asked,  # type: ignore[arg-type]
        )
        assert found is StepFault.EXTENDED_BEFORE


@pytest.mark.parametrize("to", RequestState)
def test_an_erasure_that_is_not_complete_is_closed_so_that_it_can_never_be(to: RequestState) -> None:
    """No erasure continues on a request that was refused or withdrawn."""

    def found(*, erasing: bool) -> StepFault | None:
        return step_fault(
            Right.ERASURE, "17", RequestState.IN_PROGRESS, to, level=Level.L2, reason="a claim", extended=False,
            in_first_month=True, erasing=erasing,
        )  # fmt: skip

    barred = to in {RequestState.REFUSED, RequestState.WITHDRAWN}
    assert found(erasing=True) is (StepFault.ERASING if barred else found(erasing=False))


def test_a_closed_request_is_told_another_fault_first() -> None:
    """Whoever tries to extend a closed request is told that it is closed, not that the time is over."""
    for state, to in product(CLOSED, RequestState):
        found = step_fault(
            Right.ERASURE,
            "17",
            RequestState(state),
            to,
            level=Level.L0,
            reason="",
            extended=True,
            in_first_month=False,
            erasing=False,
        )
        assert found is StepFault.CLOSED


def test_who_is_told_their_rights_takes_a_refusal_of_recording_for_a_withdrawal_always() -> None:
    assert articles(Right.REFUSE_RECORDING) == "7(3), 17, 21(1)"
    assert articles(Right.OBJECTION) == "21(1)"


@pytest.mark.parametrize(
    ("basis", "under", "fault"),
    [
        # the basis is unknown: this is not the withdrawal of a consent that was perhaps never given
        (None, "17", None),
        (LegalBasis.CONSENT, "7(3)", StepFault.ABSOLUTE),
        (LegalBasis.CONTRACT, "17", None),
        (LegalBasis.LEGAL_OBLIGATION, "17", None),
        (LegalBasis.VITAL_INTEREST, "17", None),
        (LegalBasis.PUBLIC_TASK, "21(1)", None),
        (LegalBasis.LEGITIMATE_INTEREST, "21(1)", None),
    ],
)
def test_what_was_recorded_before_a_refusal_has_to_go_though_a_law_wants_it_kept(
    basis: LegalBasis | None, under: str, fault: StepFault | None
) -> None:
    """Only consent is withdrawn, Art 7(3); an objection can be outweighed, and 17(3)(b) keeps what a law requires."""
    assert article(Right.REFUSE_RECORDING, basis) == under
    assert fault is step_fault(
        Right.REFUSE_RECORDING, under, RequestState.RECEIVED, RequestState.REFUSED,
        level=Level.L0, reason="MiFID II", extended=False, in_first_month=True, erasing=False,
    )  # fmt: skip


@pytest.mark.parametrize("right", [each for each in Right if each is not Right.REFUSE_RECORDING])
def test_what_a_recording_rests_on_changes_another_right_than_its_refusal(right: Right) -> None:
    under = EFFECTS[right].article
    assert {article(right, basis) for basis in LegalBasis} == {under}
    assert refusable(right, "17") is refusable(right, under) is (right not in ABSOLUTE)


def test_a_right_ends_a_recording_that_it_leaves_or_is_told_to_end_one_where_there_is_none() -> None:
    """Agents read on their card what ends a recording."""
    ends = {
        basis: {right for right in Right if stops_recording(right, basis, RecordingMode.OPT_IN)}
        for basis in LegalBasis
    }
    agreed = {Right.ERASURE, Right.OBJECTION, Right.REFUSE_RECORDING, Right.WITHDRAW_CONSENT}
    assert ends == dict.fromkeys(LegalBasis, agreed)
    on_contract = campaign(recording={"mode": "opt_out", "legal_basis": "contract"}).recording
    assert set(ended_by(on_contract)) == agreed - {Right.WITHDRAW_CONSENT}
    assert ended_by(campaign(recording={"mode": "off"}).recording) == ()


def test_nobody_decides_on_what_was_agreed_to_and_taken_back_or_on_what_needs_no_decision() -> None:
    """Art 7(3): what rests on another basis was lawful, but the person who was asked was told that they may withdraw."""
    for right, basis, mode in product(Right, LegalBasis, RecordingMode):
        agreed = mode is RecordingMode.OPT_IN and basis is not LegalBasis.CONSENT
        taken_back = agreed and right is Right.WITHDRAW_CONSENT
        wanted = Stored.ERASE_OR_RESTRICT if taken_back else Stored(ROWS[right][3])
        for others in ([], [(LegalBasis.CONTRACT, RecordingMode.NOTICE)]):
            assert stored(right, [*others, (basis, mode)]) is wanted


@pytest.mark.parametrize("right", list(Right))
def test_a_request_is_closed_that_somebody_has_to_decide_upon(right: Right) -> None:
    """Only after a refusal before anything was recorded is there nothing left to do."""
    for recorded in (False, True):
        done = right is Right.REFUSE_RECORDING and not recorded
        assert begins(right, recorded=recorded) is RequestState("fulfilled" if done else "received")


def test_a_withdrawal_of_one_consent_bars_every_call_or_another_right_not_all() -> None:
    for right, purpose in product(Right, (None, "newsletter")):
        some = right is Right.WITHDRAW_CONSENT and purpose is not None
        assert list(barred_campaigns(right, purpose, ["spring"])) == (["spring"] if some else [""])


@pytest.mark.parametrize("state", list(RequestState))
def test_an_identity_is_verified_nobody_knows_how_or_a_closed_request_opened_by_it(
    state: RequestState,
) -> None:
    for how in ("", " \t", "passport"):
        unproven = None if how.strip() else StepFault.NO_PROOF
        assert verification_fault(state, how) is (StepFault.CLOSED if state in CLOSED else unproven)
    assert after_verification(state) is (RequestState.VERIFYING if state == "received" else state)


def test_a_caller_id_that_anybody_can_forge_makes_a_number_the_persons() -> None:
    assert {each: each.level.name for each in NumberFrom} == {
        "dialled": "L1",
        "caller_id": "L0",
        "given": "L0",
    }
