"""What a verdict rested on is kept with it, and is not in the log."""

import io
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from ccari import log
from ccari.gating.findings import findings
from ccari.gating.journal import Journal
from ccari.policy.consent import Consent
from ccari.policy.gate import AttemptsMade, Contact, Facts
from ccari.policy.suppression import Listing, Reason, Suppression

DAY = datetime(2026, 3, 10, 12, 0, 0, 5, tzinfo=UTC)
LATER = DAY + timedelta(days=1)


def test_a_fact_is_left_out_of_the_proof() -> None:
    facts = Facts(
        suppressions=[
            Suppression(Reason.OBJECTION_MARKETING, DAY, "renewals", LATER),
            Suppression(Reason.ERASURE, DAY),
        ],
        listings=[Listing("robinson", DAY)],
        registers={"robinson": LATER},
        consent=Consent(DAY, withdrawn_at=LATER, valid_until=LATER),
        contact=Contact(LATER),
        attempts=AttemptsMade(1, 2, 3),
        informed=["v2", "v1"],
    )
    assert findings(facts) == {
        "bars": "erasure since 2026-03-10T12:00:00+00:00; "
        "objection_marketing of renewals since 2026-03-10T12:00:00+00:00 until 2026-03-11T12:00:00+00:00",
        "listings": "robinson since 2026-03-10T12:00:00+00:00",
        "registers": "robinson as of 2026-03-11T12:00:00+00:00",
        "consent": "given 2026-03-10T12:00:00+00:00 until 2026-03-11T12:00:00+00:00, withdrawn 2026-03-11T12:00:00+00:00",
        "contact": "known until 2026-03-11T12:00:00+00:00",
        "attempts": "1 2 3",
        "informed": "v1; v2",
    }


def test_a_number_that_nothing_is_known_of_gives_empty_facts() -> None:
    assert findings(Facts()) == {"attempts": "0 0 0"}
    assert findings(Facts(contact=Contact()))["contact"] == "known"


@pytest.mark.usefixtures("logging_as_before")
def test_what_an_entry_rests_on_is_lost_or_logged_or_kept_with_the_next_one_too() -> None:
    written = io.StringIO()
    log.configure("json", "info", written)
    journal = Journal(uuid4(), "anna")
    journal.opened()
    journal.know({"attempts": "1 2 3"})
    journal.know({"informed": "v1"})
    journal.note("call_gated", {})
    journal.note("callee_dialled", {"to": "x"})
    assert [each.fields for each in journal.pending()] == [
        {"attempts": "1 2 3", "informed": "v1"},
        {"to": "x"},
    ]
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [each["event"] for each in lines] == ["call_gated", "callee_dialled"]
    assert "attempts" not in lines[0]


def test_two_entries_that_tell_the_same_have_one_salt() -> None:
    journal = Journal(uuid4(), "anna")
    journal.opened()
    journal.note("key_pressed", {"key": "7"})
    journal.note("key_pressed", {"key": "7"})
    one, other = journal.pending()
    assert one.commitment != other.commitment
