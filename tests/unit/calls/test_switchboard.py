"""What is kept of the names that the dialplan gives."""

import pytest

from ccari.gating.labels import agent_name, label, phone_name


@pytest.mark.parametrize(
    ("channel", "agent"),
    [
        ("PJSIP/anna-00000012", "anna"),
        ("PJSIP/anna-maria-00000012", "anna-maria"),
        ("Local/+48600100001@from-internal-0000001a;1", "…"),
        ("PJSIP/48600100001-00000012", "…"),
        ("PJSIP/trunk_48600100001-00000012", "trunk_…"),
        ("", "unknown"),
    ],
    ids=["phone", "hyphens", "local channel", "endpoint named by its number", "number within", "nothing"],
)
def test_a_number_is_logged_as_the_name_of_an_agent(channel: str, agent: str) -> None:
    assert agent_name(channel) == agent


@pytest.mark.parametrize(
    ("dial", "phone"),
    [
        ("PJSIP/anna", "anna"),
        ("PJSIP/desk-7@pbx.example", "desk-7"),
        ("SIP/sip:7@pbx", "7"),
        ("IAX2/anna", "anna"),
        ("PJSIP/48600100001@trunk", "…"),
        ("Local/renewals@queues", None),
        ("local/renewals@queues", None),
        ("PJSIP/{agent}", None),
        ("PJSIP/desk-{agent}@pbx", None),
    ],
    ids=["phone", "over a peer", "sip", "iax", "number", "queue", "queue, small", "named", "named in part"],
)
def test_a_phone_is_told_by_another_name_than_its_agents_or_a_queue_by_one(
    dial: str, phone: str | None
) -> None:
    assert phone_name(dial) == phone


def test_a_number_in_the_place_of_the_campaign_is_kept() -> None:
    assert label("+48600100001") == "…"


def test_a_name_without_end_is_kept() -> None:
    assert len(label("x" * 1000)) == 40
