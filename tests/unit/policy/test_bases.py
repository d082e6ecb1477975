"""The six bases, the rights, and how long a recording is kept."""

from datetime import UTC, datetime

import pytest

from ccari.policy.bases import LegalBasis
from ccari.policy.confirmations import CONFIRMATIONS
from ccari.policy.keypad import KeyAction
from ccari.policy.retention import delete_at
from ccari.policy.rights import EFFECTS, Right


@pytest.mark.parametrize(
    ("basis", "letter"),
    [
        (LegalBasis.CONSENT, "a"),
        (LegalBasis.CONTRACT, "b"),
        (LegalBasis.LEGAL_OBLIGATION, "c"),
        (LegalBasis.VITAL_INTEREST, "d"),
        (LegalBasis.PUBLIC_TASK, "e"),
        (LegalBasis.LEGITIMATE_INTEREST, "f"),
    ],
)
def test_a_basis_has_the_letter_of_article_6(basis: LegalBasis, letter: str) -> None:
    assert basis.letter == letter
    assert basis.iri == f"https://w3id.org/dpv/legal/eu/gdpr#A6-1-{letter}"


def test_every_right_has_an_effect() -> None:
    assert set(EFFECTS) == set(Right)


def test_every_key_that_is_a_right_has_words_to_confirm_it() -> None:
    """Without them the call would fail when it confirms the right."""
    assert {action for action in KeyAction if action.right is not None} == set(CONFIRMATIONS)


def test_a_recording_is_kept_for_whole_days_whatever_the_clocks_do() -> None:
    recorded = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert delete_at(recorded, 90) == datetime(2026, 5, 30, 12, tzinfo=UTC)
