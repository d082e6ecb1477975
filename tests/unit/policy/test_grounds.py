"""What goes and what stays when an erasure is carried out."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from ccari.policy.bases import LegalBasis
from ccari.policy.erasure import (
    PROOF,
    REMAINS,
    ErasureTerms,
    Ground,
    Thing,
    What,
    count_deleted,
    count_kept,
    is_held_by,
    pattern,
    plan,
)
from ccari.policy.numbers import Number
from ccari.policy.retention import HoldKind
from ccari.policy.rights import Right

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TERMS = ErasureTerms(NOW)
DAY = timedelta(days=1)
LEGAL, REQUEST = (
    (HoldKind.LEGAL, "legal hold 7 (lawsuit)"),
    (HoldKind.REQUEST, "request ACME-2026-000001 (access)"),
)


@pytest.mark.parametrize("what", What)
def test_what_no_ground_keeps_stays(what: What) -> None:
    assert TERMS.ground(Thing(what, "1"), {}) is None


@pytest.mark.parametrize("what", REMAINS)
def test_what_stays_of_an_erased_person_rests_on_no_exemption_of_article_17(what: str) -> None:
    """Art 5(2) requires a controller to prove what it did, but 17(3)(b) allows it to keep what that takes."""
    assert REMAINS[what].startswith(("17(3)(b), ", "17(3)(e)"))


def test_the_controller_is_taken_for_a_recipient_of_its_processors_data() -> None:
    """Art 19 is about recipients; a processor passes a request on to its controller under 28(3)(e)."""
    assert Ground.UNTOLD.article == "28(3)(e)"


@pytest.mark.parametrize("basis", LegalBasis)
def test_only_a_legal_obligation_keeps_by_itself_and_only_so_long(basis: LegalBasis) -> None:
    def ground(limit: datetime | None) -> Ground | None:
        return TERMS.ground(Thing(What.RECORDING, "1", basis, limit), {})

    kept = Ground.LEGAL_OBLIGATION if basis is LegalBasis.LEGAL_OBLIGATION else None
    # without a limit nobody knows how long: 17(3)(b) keeps it
    assert (ground(None), ground(NOW + DAY), ground(NOW)) == (kept, kept, None)


def test_a_hold_is_passed_over_or_told_as_another() -> None:
    for holds, ground in (
        ((LEGAL,), Ground.CLAIMS),
        ((REQUEST,), Ground.REQUEST),
        ((REQUEST, LEGAL), Ground.CLAIMS),
    ):
        thing = Thing(What.RECORDING, "1", LegalBasis.CONSENT, holds=holds)
        assert TERMS.ground(thing, {}) is ground


def test_what_another_ground_keeps_is_erased() -> None:
    assert TERMS.ground(Thing(What.NUMBER, "1", needed=Ground.ANSWER), {}) is Ground.ANSWER


def test_a_report_counts_otherwise_than_was_erased_or_gives_another_ground() -> None:
    left = plan(
        [
            Thing(What.CALL, "1"), Thing(What.CALL, "2", count=2), Thing(What.CONTACT, "3"), Thing(What.HEARD, "4", holds=(LEGAL,)),
            Thing(What.CALL, "5", over=False, count=2), Thing(What.CALL, "6", over=False),
        ],
        TERMS,
    )  # fmt: skip
    assert count_deleted(left) == [{"what": "call", "count": 3}, {"what": "contact", "count": 1}]
    held, going_on = count_kept(left)
    assert held == {
        "what": "heard notice", "count": 1, "ground": "legal_hold", "article": "17(3)(e)", "why": "legal hold 7 (lawsuit)",
    }  # fmt: skip
    assert (going_on["count"], going_on["article"], going_on["why"]) == (3, "17(1)", Ground.UNDER_WAY.words)


def test_what_is_under_way_is_erased_under_somebodys_hands() -> None:
    assert TERMS.ground(Thing(What.CALL, "1", over=False, holds=(LEGAL,)), {}) is Ground.UNDER_WAY


def test_the_proof_of_a_consent_is_kept_for_ever_or_not_at_all() -> None:
    def ground(ago: timedelta, *, keep: bool = True) -> Ground | None:
        return ErasureTerms(NOW, keep).ground(Thing(What.CONSENT, "1", used_at=NOW - ago), {})

    assert (ground(PROOF - DAY), ground(PROOF), ground(DAY, keep=False)) == (Ground.PROOF, None, None)
    assert TERMS.ground(Thing(What.CONSENT, "1"), {}) is None


def test_the_proof_of_a_consent_that_german_law_has_kept_is_erased_or_another_countrys_kept() -> None:
    """Counted from when it was given, too (§7a(2) UWG), whether or not anybody was called on it."""

    def ground(
        country: str, given: timedelta, used: timedelta | None = None, *, keep: bool = True
    ) -> Ground | None:
        used_at = None if used is None else NOW - used
        consent = Thing(What.CONSENT, "1", given_at=NOW - given, used_at=used_at)
        return ErasureTerms(NOW, keep, ("PL", country)).ground(consent, {})

    assert (ground("DE", PROOF - DAY), ground("DE", PROOF)) == (Ground.GRANT, None)
    assert (ground("PL", DAY), ground("FR", DAY), ground("AT", DAY)) == (None, None, None)
    assert ground("DE", 2 * PROOF, PROOF - DAY) is ground("DE", DAY, DAY) is Ground.PROOF
    assert ground("DE", PROOF - DAY, keep=False) is None


def test_a_call_is_erased_from_under_the_recording_that_stays_and_its_consent() -> None:
    bound = Thing(What.RECORDING, "r", LegalBasis.LEGAL_OBLIGATION)
    call, other = Thing(What.CALL, "c", with_=("r",)), Thing(What.CALL, "d", with_=("s",))
    consent = Thing(What.CONSENT, "k", with_=("c",), used_at=NOW - 2 * PROOF)
    found = plan([bound, Thing(What.RECORDING, "s"), call, other, consent], TERMS)
    assert [each.id for each in found.goes] == ["s", "d"]
    assert [(each.thing.id, each.ground) for each in found.stays] == [
        ("r", Ground.LEGAL_OBLIGATION), ("c", Ground.LEGAL_OBLIGATION), ("k", Ground.LEGAL_OBLIGATION),
    ]  # fmt: skip


def test_an_erasure_is_refused_where_something_can_go_or_granted_where_nothing_can() -> None:
    held, free = Thing(What.CALL, "1", holds=(LEGAL,)), Thing(What.CONTACT, "2")
    number = Thing(What.NUMBER, "ACME-2026-000001")
    assert plan([held, number], TERMS).is_refused
    assert not plan([held, free], TERMS).is_refused
    assert not plan([held, free, number], TERMS).is_refused
    # a person known only from the request has nothing that could be refused
    assert not plan([number], TERMS).is_refused
    assert not plan([], TERMS).is_refused


@pytest.mark.parametrize("ground", Ground)
def test_a_ground_has_no_article_or_no_words(ground: Ground) -> None:
    assert ground.article
    assert ground.words


def test_a_request_holds_what_it_has_no_need_of() -> None:
    assert is_held_by(Right.PORTABILITY, LegalBasis.CONTRACT)
    assert not is_held_by(Right.PORTABILITY, LegalBasis.LEGITIMATE_INTEREST)
    assert not is_held_by(Right.PORTABILITY, None)
    assert is_held_by(Right.ACCESS, None)
    assert not any(is_held_by(Right.ERASURE, basis) for basis in (None, *LegalBasis))


@pytest.mark.parametrize(
    ("e164", "text"),
    [
        ("+48600100001", text)
        for text in (
            "+48600100001", "48600100001", "0048600100001", "600100001", "600 100 001", "600-100-001", "60 010 00 01",
            "(+48) 600 100 001", "+48\u00a0600\u00a0100\u00a0001", "tel:600.100.001", "nagranie_600100001.wav", "600/100001",
            "600–100–001", "600‑100‑001", "600, 100, 001", "600_100_001", "600:100:001", "600·100·001", "600 - 100 - 001",
            "600\u202f100\u202f001", "600\n100\n001", "[600] [100] [001]", "+48 — 600 — 100001", "600      100001",
        )
    ]
    + [("+493012345678", text) for text in (
        "030 12345678", "03012345678", "+49 (0)30 123 456 78", "+49 30 12345678", "+4903012345678", "0049 030 12345678",
    )]
    + [("+36201234567", text) for text in (
        "06201234567", "06 20 123 4567", "06-20/123-4567", "+36 (06) 20 123 4567", "+3606201234567", "36201234567",
        "+36 (0)20 123 4567", "+360201234567",
    )]
    + [("+37061234567", text) for text in (
        "861234567", "061234567", "8 612 34567", "8-612-34567", "+370 (8) 612 34567", "+370861234567", "61234567",
    )]
    + [(e164, text) for e164, texts in {
        "+375291234567": ("80291234567", "8029 1234567", "8 029 123-45-67", "+375 (29) 123-45-67", "0291234567"),
        "+380671234567": ("80671234567", "8 067 123 45 67", "8(067)1234567", "0671234567", "+380 67 123 45 67"),
        "+79123456789": ("89123456789", "8 (912) 345-67-89", "+7 912 345 67 89", "+7 (8) 912 345 67 89"),
        "+99365123456": ("865123456", "8 65 12-34-56"),
    }.items() for text in texts]
    # lines with a number in two countries
    + [("+442890123456", text) for text in (
        "028 9012 3456", "+44 28 9012 3456", "048 9012 3456", "04890123456", "+353 48 9012 3456", "0035348 90123456", "+353 (0)48 90123456",
    )]
    + [("+3780549886377", text) for text in (
        "0549 886377", "0549886377", "+378 0549 886377", "+390549886377", "+39 0549 886377", "00390549886377",
    )],
)  # fmt: skip
def test_a_way_of_writing_a_number_is_overlooked(e164: str, text: str) -> None:
    assert re.search(pattern(Number(e164)), f"see {text}, please")


@pytest.mark.parametrize(
    ("e164", "text"),
    [
        *(("+48600100001", text) for text in (
            "600100002", "1600100001", "6001000011", "+49600100001", "8600100001", "06600100001", "4800600100001",
            "form 12", "",
        )),
        *(("+36201234567", text) for text in ("0201234567", "106201234567", "062012345678", "3616201234567")),
        *(("+37061234567", text) for text in ("961234567", "1861234567", "8612345678", "3709861234567")),
        *(("+442890123456", text) for text in ("04890123457", "+4448 90123456", "9012 3456", "+3532890123456")),
        *(("+3780549886377", text) for text in ("886377", "+39 886377", "+390549886378", "1549886377")),
        ("+353489012345", "028 9012345"),
        *(("+380671234567", text) for text in ("90671234567", "180671234567", "806712345678")),
    ],
)  # fmt: skip
def test_another_number_is_taken_for_it(e164: str, text: str) -> None:
    assert re.search(pattern(Number(e164)), text) is None
