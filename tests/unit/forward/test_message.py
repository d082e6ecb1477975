"""What a controller is told: signed as the specification says, and nothing that it cannot use."""

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ccari.forward.message import change_name, message, message_id, signature
from ccari.ports.forwarding import Forward
from tests.unit.documents.pages import CHECKOUT, blocks
from tests.unit.store.made import NUMBER

FORWARD = Forward(
    reference="ACME-2026-000123", seq=1, tries=1, done=frozenset(), controller="acme", campaign="renewals",
    purpose="odnowienie umowy", right="erasure", article="17", number=NUMBER.e164,
    received_at=datetime(2026, 11, 24, 12, tzinfo=UTC), at=datetime(2026, 11, 24, 12, 0, 1, tzinfo=UTC),
    state="received", level=1, due=date(2026, 12, 28), reason="",
)  # fmt: skip


def test_the_signature_is_another_than_the_specifications() -> None:
    """The worked example with which the specification's reference libraries test themselves."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_page_for_receivers_shows_another_message_than_they_get() -> None:
    (shown,) = (each for each in blocks(CHECKOUT / "docs" / "forwarding.md") if each.language == "json")
    assert json.loads(shown.text) == json.loads(message(FORWARD))


def test_a_receiver_who_copies_the_page_refuses_a_genuine_message_or_takes_another() -> None:
    (shown,) = (each for each in blocks(CHECKOUT / "docs" / "forwarding.md") if each.language == "python")
    shared: dict[str, Any] = {}
    exec(shown.text, shared)  # noqa: S102 - our own page
    secret, body, sent = b"s" * 32, message(FORWARD), int(time.time())
    headers = {"webhook-id": message_id(FORWARD), "webhook-timestamp": str(sent)}
    headers["webhook-signature"] = signature(secret, message_id(FORWARD), sent, body)
    line = f"whsec_{base64.b64encode(secret).decode()}\n"
    is_genuine = shared["is_genuine"]
    assert is_genuine(line, headers, body)
    assert not is_genuine(line, headers, body + b" ")
    old = sent - 3600
    headers |= {
        "webhook-timestamp": str(old),
        "webhook-signature": signature(secret, message_id(FORWARD), old, body),
    }
    assert not is_genuine(line, headers, body)


def test_a_field_of_the_message_is_missing_or_too_much() -> None:
    assert json.loads(message(FORWARD)) == {
        "type": "request.received",
        "timestamp": "2026-11-24T12:00:01Z",
        "reference": "ACME-2026-000123",
        "sequence": 1,
        "right": "erasure",
        "article": "17",
        "controller": "acme",
        "campaign": "renewals",
        "purpose": "odnowienie umowy",
        "number": NUMBER.e164,
        "received_at": "2026-11-24T12:00:00Z",
        "due": "2026-12-28",
        "state": "received",
        "level": "L1",
        "reason": "",
    }


def test_changes_of_a_request_pass_for_one() -> None:
    changed = replace(FORWARD, seq=2, number=None)
    assert json.loads(message(changed))["type"] == "request.changed"
    assert json.loads(message(changed))["number"] is None
    assert (change_name(FORWARD), change_name(changed)) == ("ACME-2026-000123-1", "ACME-2026-000123-2")
    assert message_id(FORWARD) == "ACME-2026-000123-1-20261124T120001000000"
    # the id is part of what is signed, and the full stop is its end
    assert "." not in message_id(FORWARD)


def test_a_request_with_the_reference_of_a_lost_one_is_taken_for_that() -> None:
    """A restored database gives the references out again that it does not know; receivers drop an id that they have had."""
    another = replace(FORWARD, at=FORWARD.at + timedelta(microseconds=1), number=None)
    assert message_id(another) != message_id(FORWARD)
    assert message_id(replace(FORWARD, tries=7, number=None)) == message_id(FORWARD)
    elsewhere = FORWARD.at.astimezone(ZoneInfo("Europe/Warsaw"))
    assert message_id(replace(FORWARD, at=elsewhere)) == message_id(FORWARD)
