"""What Asterisk reports between the connection and the first call that can be made over it."""

from datetime import datetime
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.ears import MOST_EARLY_CALLS, MOST_EARLY_EVENTS, Ears
from ccari.calls.switchboard import Switchboard

KEY = {"type": "ChannelDtmfReceived", "channel": {"id": "ccari-callee-1"}, "digit": "7"}


class Heard:
    """Stands in for the switchboard: what calls would hear."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def take(self, event: dict[str, Any], _arrived: datetime) -> None:
        if event["type"] == "Odd":
            raise KeyError("channel")
        self.events.append(event)


def _go_on() -> None:
    """Nothing is sent over the connection anyway."""


def begins(number: int) -> dict[str, Any]:
    return {"type": "StasisStart", "channel": {"id": f"pbx-{number}"}}


def test_calls_beyond_what_is_kept_are_dropped_without_a_word_or_with_thousands() -> None:
    ears = Ears(Switchboard(Admission(1000)), _go_on)
    with capture_logs() as logged:
        for number in range(MOST_EARLY_CALLS + 100):
            ears.take(begins(number))
    assert [each["event"] for each in logged] == ["early_calls_dropped"]
    # a channel that is not known here is swept, so its agent is not left in silence
    assert len(ears.early_channels()) == MOST_EARLY_CALLS


def test_a_key_in_a_talk_that_is_to_be_taken_up_is_lost_in_a_flood_of_calls() -> None:
    ears = Ears(cast("Switchboard", heard := Heard()), _go_on)
    for number in range(MOST_EARLY_CALLS + 100):
        ears.take(begins(number))
        ears.take({"type": "ChannelDestroyed", "channel": {"id": f"pbx-{number}"}})
    ears.take(KEY)
    ears.open()
    assert heard.events[-1] == KEY
    # for those that were not kept, nothing was
    assert len(heard.events) == 2 * MOST_EARLY_CALLS + 1


@pytest.mark.parametrize("end", ["StasisEnd", "ChannelDestroyed"])
def test_callers_who_were_given_back_are_remembered_for_as_long_as_no_stock_can_be_taken(end: str) -> None:
    """For hours, if the local journal cannot be read."""
    ears = Ears(Switchboard(Admission(1000)), _go_on)
    for number in range(3):
        ears.take(begins(number))
        assert ears.hand_back() == [f"pbx-{number}"]
        ears.take({"type": end, "channel": {"id": f"pbx-{number}"}})
        # Asterisk may have been asked for its channels before
        assert f"pbx-{number}" in ears.early_channels()
    # the dialplan hands this one over once more
    ears.take(begins(2))
    assert ears.hand_back() == ["pbx-2"]
    assert ears.early_channels() == {"pbx-2"}
    assert (ears._unkept, ears._left) == ({"pbx-2"}, set())


def test_a_caller_who_comes_back_and_finds_no_room_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reported about them then would be kept, and take the room of a talk's keys."""
    monkeypatch.setattr("ccari.calls.ears.MOST_EARLY_CALLS", 1)
    ears = Ears(cast("Switchboard", heard := Heard()), _go_on)
    ears.take(begins(0))
    ears.hand_back()
    ears.take({"type": "StasisEnd", "channel": {"id": "pbx-0"}})
    ears.take(begins(1))
    ears.take(begins(0))
    ears.hand_back()
    ears.take({**KEY, "channel": {"id": "pbx-0"}})
    ears.open()
    assert heard.events == []


def test_events_that_cannot_be_kept_are_lost_and_the_connection_is_served_all_the_same() -> None:
    silenced: list[bool] = []
    ears = Ears(cast("Switchboard", Heard()), lambda: silenced.append(True))
    with capture_logs() as logged:
        for _ in range(MOST_EARLY_EVENTS):
            ears.take(KEY)
        assert not silenced
        assert not ears.overrun.is_set()
        ears.take(KEY)
        ears.take(KEY)
    # reported once, whatever else comes before the connection is closed
    assert silenced == [True]
    assert ears.overrun.is_set()
    assert [each["event"] for each in logged] == ["early_events_lost"]


def test_a_flood_of_keys_overruns_each_connection_that_follows() -> None:
    ears = Ears(cast("Switchboard", Heard()), _go_on)
    for _ in range(MOST_EARLY_EVENTS):
        ears.take(KEY)
    ears = Ears(cast("Switchboard", heard := Heard()), _go_on, ears.keys)
    ears.take(begins(0))
    ears.take(KEY)
    assert not ears.overrun.is_set()
    # what is pressed later comes later; nothing but keys is given on
    assert {each[0]["type"] for each in ears.keys} == {KEY["type"]}
    ears.open()
    assert heard.events[-2:] == [begins(0), KEY]
    assert not ears.keys


def test_one_odd_event_ends_the_service_or_takes_the_others_along() -> None:
    ears = Ears(cast("Switchboard", heard := Heard()), _go_on)
    for event in ({"type": "Odd"}, KEY):
        ears.take(event)
    with capture_logs() as logged:
        ears.open()
    assert heard.events == [KEY]
    assert [each["event"] for each in logged] == ["ari_event_failed"]
