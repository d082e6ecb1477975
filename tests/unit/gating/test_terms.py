"""The terms of a call: what the callee has heard before, what a right is registered with, and the agent's card."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ccari.gating.terms import Terms
from ccari.policy import notices
from ccari.policy.bases import LegalBasis
from ccari.policy.call import Direction
from ccari.policy.gate import Facts
from ccari.policy.numbers import Number
from ccari.policy.rights import NumberFrom, Right
from ccari.ports.cards import Asked, Past
from ccari.ports.sounds import Script
from tests.unit.calls.talking import Talking
from tests.unit.policy.campaigns import campaign

AT = datetime(2026, 11, 25, 10, tzinfo=UTC)


def terms(direction: Direction = Direction.OUTBOUND, **declared: Any) -> Terms:
    made, of = Talking(direction).actions._terms, campaign(**declared)
    layers = {notices.information(of, inbound=inbound): f"heard {inbound}" for inbound in (False, True)}
    opened = replace(made.opened, direction=direction.value)
    scripts = {"pl": Script({}, layers), "en": Script({}, {})}
    return replace(made, campaign=of, scripts=scripts, opened=opened, number=Number("+48600100001"))


@pytest.mark.parametrize(
    ("direction", "heard", "informed"),
    [
        (Direction.OUTBOUND, "outbound", True),
        (Direction.OUTBOUND, "inbound", False),
        (Direction.INBOUND, "outbound", True),
        (Direction.INBOUND, "inbound", True),
        (Direction.OUTBOUND, "", False),
        (Direction.INBOUND, "", False),
    ],
)
def test_who_is_called_counts_as_informed_by_what_somebody_who_showed_their_number_has_heard(
    direction: Direction, heard: str, *, informed: bool
) -> None:
    asked = terms(direction)
    versions = [f"heard {heard == 'inbound'}"] if heard else []
    assert asked.has_informed(Facts(informed=[*versions, "another"])) is informed


@pytest.mark.parametrize("needs", [True, False])
def test_a_right_is_registered_without_what_its_campaign_says_of_it(*, needs: bool) -> None:
    """A withdrawal takes back the consent that the campaign needs or, if it needs none, everything. It bars all
    campaigns that ask for the same.
    """
    changes: dict[str, Any] = {"legal_basis": "consent", "consent_purpose": "surveys"} if needs else {}
    recording = {"mode": "notice", "legal_basis": "legal_obligation"}
    asked = replace(
        terms(recording=recording, **changes),
        heard_version="v1", language="en", consent_campaigns=("offers", "renewals"),
    )  # fmt: skip
    found = asked.exercise(Right.WITHDRAW_CONSENT, "6", AT)
    assert (found.key, found.notice_version, found.language) == ("6", "v1", "en")
    assert (found.purpose, found.consent_purpose) == ("odnowienie umowy", "surveys" if needs else None)
    assert found.consent_campaigns == ("offers", "renewals")
    assert found.recording_basis is LegalBasis.LEGAL_OBLIGATION
    assert (found.received_at, found.local_year, found.number_from) == (AT, 2026, NumberFrom.DIALLED)


@pytest.mark.parametrize("must", [True, False])
def test_an_agent_is_to_say_another_source_than_the_numbers_own(*, must: bool) -> None:
    """Or reads that a right ends the recording, and not the call."""
    without = {"without": "hang_up"} if must else {}
    asked = terms(recording={"mode": "opt_out", **without})
    past = Past("fair", AT, (asked_before := Asked(Right.ACCESS, "ACME-2026-000001", "received", AT),))
    known, unknown = asked.card(past), asked.card(None)
    assert (known.source, known.scripts["source"], known.heard_at) == ("fair", "fair", AT)
    assert (known.scripts["why"], list(known.asked or ())) == ("odnowienie umowy", [asked_before])
    assert (unknown.source, unknown.scripts["source"]) == ("umowa zawarta z ACME",) * 2
    assert (unknown.heard_at, unknown.asked) == (None, None)
    assert set(known.ends.values()) == {"call" if must else "recording"}
    own = terms(agent_scripts={"source": "z targów", "why": "bo kończy się umowa"}).card(past)
    assert own.scripts == {"source": "z targów", "why": "bo kończy się umowa"}
