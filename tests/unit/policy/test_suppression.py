"""The digest that stands for a number, and what a bar reaches."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.numbers import Number
from ccari.policy.suppression import SECRET_BYTES, Reason, bars, digest

NUMBER = Number("+48221234567")
OTHER = Number("+48221234568")
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


@pytest.mark.parametrize("basis", list(LegalBasis))
def test_an_objection_to_marketing_ends_marketing_and_nothing_else(basis: LegalBasis) -> None:
    assert bars(Reason.OBJECTION_MARKETING, basis=basis, marketing=True)
    assert not bars(Reason.OBJECTION_MARKETING, basis=basis, marketing=False)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("basis", [LegalBasis.LEGAL_OBLIGATION, LegalBasis.VITAL_INTEREST])
def test_nothing_bars_a_call_that_the_law_or_a_life_demands(basis: LegalBasis, reason: Reason) -> None:
    assert not bars(reason, basis=basis, marketing=False)


@pytest.mark.parametrize("reason", [Reason.ERASURE, Reason.DO_NOT_CALL])
def test_an_erasure_bars_even_a_contract(reason: Reason) -> None:
    assert bars(reason, basis=LegalBasis.CONTRACT, marketing=False)


def test_a_withdrawn_consent_leaves_a_contract_alone() -> None:
    assert not bars(Reason.WITHDRAW_CONSENT, basis=LegalBasis.CONTRACT, marketing=False)
    assert bars(Reason.WITHDRAW_CONSENT, basis=LegalBasis.CONSENT, marketing=False)
