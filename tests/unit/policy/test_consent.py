"""What a consent is worth at a moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Channel, Consent, ConsentState, state
from tests.unit.policy.campaigns import campaign

NOW = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(microseconds=1), NOW + timedelta(microseconds=1)
MOMENTS = st.sampled_from((NOW - timedelta(days=1), BEFORE, NOW, AFTER, NOW + timedelta(days=1)))


@pytest.mark.parametrize(
    ("consent", "worth"),
    [
        (None, ConsentState.NONE),
        (Consent(AFTER), ConsentState.NONE),
        (Consent(NOW), ConsentState.GIVEN),
        (Consent(BEFORE, withdrawn_at=NOW), ConsentState.WITHDRAWN),
        # a withdrawal that is dated ahead takes effect at once: it must be as easy as giving consent
        (Consent(BEFORE, withdrawn_at=AFTER), ConsentState.WITHDRAWN),
        (Consent(BEFORE, withdrawn_at=BEFORE, valid_until=BEFORE), ConsentState.WITHDRAWN),
        (Consent(BEFORE, valid_until=NOW), ConsentState.EXPIRED),
        (Consent(BEFORE, valid_until=AFTER), ConsentState.GIVEN),
        (Consent(AFTER, withdrawn_at=AFTER), ConsentState.NONE),
    ],
)
def test_a_consent_is_worth_more_or_less_than_it_says(consent: Consent | None, worth: ConsentState) -> None:
    assert state(consent, NOW) is worth


@given(MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS, MOMENTS)
def test_a_consent_that_is_over_comes_back(
    given_at: datetime,
    withdrawn_at: datetime | None,
    valid_until: datetime | None,
    one: datetime,
    other: datetime,
) -> None:
    consent = Consent(given_at, withdrawn_at, valid_until)
    earlier, later = sorted((one, other))
    if state(consent, earlier) in {ConsentState.WITHDRAWN, ConsentState.EXPIRED}:
        assert state(consent, later) is state(consent, earlier)


@pytest.mark.parametrize("basis", list(LegalBasis))
@pytest.mark.parametrize("required", [None, True, False])
@pytest.mark.parametrize("marketing", [False, True])
def test_a_campaign_needs_a_consent_that_the_law_does_not_ask_or_none_where_it_does(
    basis: LegalBasis,
    *,
    required: bool | None,
    marketing: bool,
) -> None:
    duty = basis in {LegalBasis.LEGAL_OBLIGATION, LegalBasis.VITAL_INTEREST}
    if (marketing and duty) or (required is False and basis is LegalBasis.CONSENT):
        with pytest.raises(ValueError, match=r"legal_basis|consent_required"):
            campaign(legal_basis=basis, marketing=marketing, consent_required=required)
        return
    declared = campaign(legal_basis=basis, marketing=marketing, consent_required=required)
    assert declared.needs_consent is (
        required if required is not None else marketing or basis is LegalBasis.CONSENT
    )


@pytest.mark.parametrize(
    ("changes", "purpose"),
    [
        ({}, "renewals"),
        ({"marketing": True}, "marketing"),
        ({"consent_purpose": "newsletter"}, "newsletter"),
        ({"consent_purpose": "newsletter", "marketing": True}, "newsletter"),
    ],
)
def test_a_consent_to_one_purpose_counts_for_another(changes: dict[str, object], purpose: str) -> None:
    declared = campaign(**changes)
    assert (declared.asks_consent_to, declared.consent_channel) == (purpose, Channel.PHONE)
