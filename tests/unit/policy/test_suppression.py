"""The digest that stands for a number, and what a bar reaches."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.numbers import Number, parse
from ccari.policy.suppression import SECRET_BYTES, Reason, bars, bars_all, digest, outlives

NUMBER = Number("+48221234567")
OTHER = Number("+48221234568")


def parsed(text: str) -> Number:
    number = parse(text, "PL")
    assert isinstance(number, Number)
    return number


secrets = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)


def test_a_digest_is_hmac_sha_256_of_the_number_in_full() -> None:
    secret = bytes(range(SECRET_BYTES))
    assert digest(secret, NUMBER) == hmac.digest(secret, b"+48221234567", hashlib.sha256)


@given(secrets, secrets)
def test_two_controllers_never_share_a_digest(one: bytes, another: bytes) -> None:
    assert (digest(one, NUMBER) == digest(another, NUMBER)) is (one == another)


@given(secrets)
def test_two_numbers_never_share_a_digest(secret: bytes) -> None:
    assert digest(secret, NUMBER) != digest(secret, OTHER)


@pytest.mark.parametrize("length", [0, 1, SECRET_BYTES - 1, SECRET_BYTES + 1, 2 * SECRET_BYTES])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        digest(bytes(length), NUMBER)


def test_a_digest_is_the_same_for_the_national_and_the_written_form() -> None:
    secret = bytes(SECRET_BYTES)
    assert len(digest(secret, NUMBER)) == 32
    assert (
        digest(secret, parsed("22 123 45 67"))
        == digest(secret, parsed("+48 22-123-45-67"))
        == digest(secret, NUMBER)
    )


#: What each bar affects: bases by their letter in Art 6(1), and whether all marketing, whatever its basis.
REACHES = {
    Reason.OBJECTION_MARKETING: ("", True),
    Reason.OBJECTION: ("ef", True),
    Reason.WITHDRAW_CONSENT: ("a", True),
    Reason.RESTRICTION: ("abef", False),
    Reason.ERASURE: ("abef", False),
    Reason.DO_NOT_CALL: ("abef", False),
}


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("basis", list(LegalBasis))
@pytest.mark.parametrize("marketing", [False, True])
def test_a_bar_reaches_another_call_than_the_law_says(
    reason: Reason, basis: LegalBasis, *, marketing: bool
) -> None:
    letters, all_marketing = REACHES[reason]
    wanted = basis.letter in letters or (marketing and all_marketing)
    assert bars(reason, basis=basis, marketing=marketing) is wanted


NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize(
    ("given_at", "undone"),
    [
        (None, False),
        (NOON - timedelta(days=1), False),
        # at the same moment the bar stands: in doubt, nobody is called
        (NOON, False),
        (NOON + timedelta(microseconds=1), True),
    ],
    ids=["never", "before", "at once", "after"],
)
def test_a_consent_lifts_a_bar_that_only_a_person_may_or_an_old_one_lifts_a_withdrawal(
    reason: Reason, given_at: datetime | None, *, undone: bool
) -> None:
    lifted = undone and reason is Reason.WITHDRAW_CONSENT
    assert outlives(reason, NOON, given_at) is not lifted


@pytest.mark.parametrize("reason", list(Reason))
def test_a_bar_on_some_calls_keeps_a_number_off_every_list_or_one_on_all_does_not(reason: Reason) -> None:
    assert bars_all(reason) is (reason in {Reason.RESTRICTION, Reason.ERASURE, Reason.DO_NOT_CALL})
