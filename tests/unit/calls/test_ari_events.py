"""What Asterisk's events mean: each one as a real Asterisk sent it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ccari.calls.events import (
    LATE_SECONDS,
    TOLERANCE_MS,
    Ids,
    Playback,
    came_at,
    channel_of,
    moment,
    translate,
)
from ccari.policy.call import Direction, Event, Party
from ccari.policy.call import events as on

Recorded = dict[str, dict[str, Any]]

IDS = Ids(UUID("9e46aa91-7039-4a2c-8381-ec2db109eba1"), Direction.OUTBOUND, "pbx-1795565725.0")
RECORDING = "f9e0890b-d9e3-4c50-8c0d-86b43751abe6"
OTHERS = Ids(UUID(int=1), Direction.OUTBOUND, "pbx-1.1")
DURATION_MS = 948
"""Of the file that was recorded being played."""
HELD = timedelta(milliseconds=180)
"""For how long the key was held down that was recorded."""


def playback(event: dict[str, Any], duration_ms: int = DURATION_MS) -> Playback:
    return Playback(event["playback"]["id"], Party.CALLEE, "identity", duration_ms, 0.0)


def meant(event: dict[str, Any], under_way: Playback | None = None) -> Event | None:
    return translate(event, IDS, {Party.CALLEE: under_way} if under_way else {}, RECORDING)


def played(recorded: Recorded, started: str, finished: str, under_way: Playback) -> Event | None:
    assert meant(recorded[started], under_way) is None
    return meant(recorded[finished], under_way)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("agent_entered", None),
        ("callee_created", on.CalleeCreated()),
        ("dial_begun", None),
        ("dial_ringing", None),
        ("callee_ringing", on.CalleeRang()),
        ("dial_answered", None),
        ("callee_up", on.CalleeAnswered()),
        ("redirected", on.CalleeRedirected()),
        ("callee_held", on.HoldBegan()),
        ("callee_took_back", on.HoldEnded()),
        ("snoop_entered", None),
        ("recording_started", on.RecorderStarted()),
        ("recording_finished", on.RecorderStopped()),
        ("callee_left", None),
        ("callee_destroyed_16", on.Gone(Party.CALLEE, 16)),
        ("callee_destroyed_17", on.Gone(Party.CALLEE, 17)),
        ("callee_destroyed_1", on.Gone(Party.CALLEE, 1)),
        ("callee_destroyed_21", on.Gone(Party.CALLEE, 21)),
        ("agent_left", on.Gone(Party.AGENT)),
        ("agent_destroyed", on.Gone(Party.AGENT, 16)),
        ("transfer_asked", on.TransferAsked("drops-4-recorded")),
        ("transfer_answered", None),
    ],
)
def test_an_event_is_taken_for_another(recorded: Recorded, name: str, meaning: Event | None) -> None:
    assert meaning == meant(recorded[name])


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (607, on.Gone(Party.CALLEE, 127, unwanted=True)),
        (608, on.Gone(Party.CALLEE, 21)),
        (500, on.Gone(Party.CALLEE, 127)),
    ],
)
def test_a_refusal_without_a_q850_cause_is_lost(recorded: Recorded, status: int, meaning: Event) -> None:
    refused = {"cause": 127, "cause_txt": "Interworking, unspecified", "tech_cause": status}
    assert meaning == meant(recorded["callee_destroyed_21"] | refused)


@pytest.mark.parametrize(
    ("ago", "began_ago", "counts"),
    [
        (0.2, 60, 0.2),
        (LATE_SECONDS - 0.5, 60, LATE_SECONDS - 0.5),
        (LATE_SECONDS + 0.5, 60, 0),
        (-0.5, 60, 0),
        (3, 1, 0),
    ],
    ids=["in time", "late", "clock behind", "clock ahead", "before the call"],
)
def test_invariant_6_a_key_counts_from_when_somebody_came_to_it_or_by_a_clock_that_is_wrong(
    recorded: Recorded, ago: float, began_ago: float, counts: float
) -> None:
    arrived = datetime.now(UTC)
    before = [arrived - timedelta(seconds=each) for each in (ago, began_ago)]
    event = recorded["key"] | {"timestamp": before[0].strftime("%Y-%m-%dT%H:%M:%S.%f+0000")}
    assert moment(event, before[1], arrived) == arrived - timedelta(seconds=counts)


@pytest.mark.parametrize("offset", ["+0000", "+0200", "-0500"])
def test_a_right_is_received_by_the_time_zone_of_asterisks_machine(recorded: Recorded, offset: str) -> None:
    arrived = datetime.now(UTC)
    at = arrived - timedelta(seconds=1)
    local = at.astimezone(datetime.strptime(offset, "%z").tzinfo)
    event = recorded["key"] | {"timestamp": local.strftime("%Y-%m-%dT%H:%M:%S.%f%z"), "duration_ms": 0}
    assert came_at(event, arrived, 9.0).isoformat() == at.isoformat()
    pressed = translate(event, IDS, {}, None, at - timedelta(minutes=1), arrived)
    assert isinstance(pressed, on.KeyPressed)
    assert pressed.at is not None
    assert pressed.at.isoformat() == at.isoformat()


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, "2026-11-25T10:00:00.000"])
def test_invariant_5_a_key_is_lost_whose_time_makes_no_sense(recorded: Recorded, time: object) -> None:
    arrived = datetime.now(UTC)
    assert moment(recorded["key"] | {"timestamp": time}, arrived, arrived) == arrived
    assert isinstance(meant({**recorded["key"], "timestamp": time}), on.KeyPressed)
    without = {name: told for name, told in recorded["key"].items() if name != "timestamp"}
    assert isinstance(meant(without), on.KeyPressed)


def test_a_key_is_another_or_has_no_time(recorded: Recorded) -> None:
    at = datetime.now(UTC) - timedelta(seconds=1)
    event = recorded["key"] | {"timestamp": (at + HELD).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")}
    assert meant(event) == on.KeyPressed("9", at)
    assert meant(event | {"channel": {"id": IDS.agent}}) == on.AgentKeyPressed("9", at)


def test_invariant_6_what_is_said_while_a_key_is_held_down_is_said_before_it(recorded: Recorded) -> None:
    """Asterisk reports a key when it is released."""
    let_go = datetime.now(UTC) - timedelta(seconds=1)
    event = recorded["key"] | {"timestamp": let_go.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"), "duration_ms": 3000}
    assert meant(event) == on.KeyPressed("9", let_go - timedelta(seconds=3))
    began = let_go - timedelta(seconds=2)
    assert translate(event, IDS, {}, None, began) == on.KeyPressed("9", began)


def test_a_right_is_received_days_after_it_was_pressed_where_the_clock_was_put_right_in_the_call(
    recorded: Recorded,
) -> None:
    """The clock was three days fast when the call began. The answer would be due three days late."""
    pressed = datetime.now(UTC)
    event = recorded["key"] | {"timestamp": pressed.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")}
    assert translate(event, IDS, {}, None, pressed + timedelta(days=3), pressed) == on.KeyPressed(
        "9", pressed
    )


def test_invariant_6_a_key_that_waited_for_a_database_counts_from_when_somebody_came_to_it(
    recorded: Recorded,
) -> None:
    """It was heard an hour ago, while stock was taken."""
    arrived = datetime.now(UTC) - timedelta(hours=1)
    at = arrived - timedelta(seconds=1)
    event = recorded["key"] | {"timestamp": (at + HELD).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")}
    assert translate(event, IDS, {}, None, arrived=arrived) == on.KeyPressed("9", at)


@pytest.mark.parametrize(
    ("ago", "counts"), [(8, 8), (30, 9), (-1, 0)], ids=["meanwhile", "clock behind", "clock ahead"]
)
def test_invariant_6_a_key_that_waited_for_a_service_that_stood_still_counts_from_when_it_went_on(
    recorded: Recorded, ago: float, counts: float
) -> None:
    """The service stood still for nine seconds. If Asterisk's clock is behind, the key counts from their beginning:
    what was said since may be after the key.
    """
    read_at = datetime.now(UTC)
    let_go = read_at - timedelta(seconds=ago)
    event = recorded["key"] | {"timestamp": let_go.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")}
    arrived = came_at(event, read_at, 9.0)
    assert arrived == read_at - timedelta(seconds=counts)
    assert translate(event, IDS, {}, None, arrived=arrived) == on.KeyPressed("9", arrived - HELD)


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, "2026-11-25T10:00:00.000"])
def test_an_event_whose_time_makes_no_sense_came_at_another_time_than_it_was_read(
    recorded: Recorded, time: object
) -> None:
    read_at = datetime.now(UTC)
    assert came_at(recorded["key"] | {"timestamp": time}, read_at, 9.0) == read_at


@pytest.mark.parametrize("name", ["callee_held", "callee_took_back"])
def test_an_agent_who_holds_is_taken_for_the_callee(recorded: Recorded, name: str) -> None:
    assert meant({**recorded[name], "channel": {"id": IDS.agent}}) is None


def test_an_event_of_another_call_moves_this_one(recorded: Recorded) -> None:
    assert {
        name: translate(event, OTHERS, {}, "another") for name, event in recorded.items()
    } == dict.fromkeys(recorded)


def test_a_playback_to_its_end_is_not_believed(recorded: Recorded) -> None:
    under_way = playback(recorded["playback_started"])
    assert on.Played("identity", whole=True) == played(
        recorded, "playback_started", "playback_whole", under_way
    )


def test_a_reference_that_is_read_out_to_its_end_is_not_believed(recorded: Recorded) -> None:
    """It is one playback of several files. Asterisk reports each of them as its start."""
    first, last = recorded["playback_started"], recorded["playback_whole"]
    under_way = playback(first)
    for each in (first, {**first, "timestamp": last["timestamp"]}):
        assert meant(each, under_way) is None
    assert meant(last, under_way) == on.Played("identity", whole=True)


def test_a_stopped_playback_counts_as_heard_because_it_is_done(recorded: Recorded) -> None:
    """Asterisk reports such a playback as ``done``: here at 348 of 948 ms, and without saying that somebody stopped it."""
    assert recorded["playback_stopped"]["playback"]["state"] == "done"
    under_way = playback(recorded["playback_stopped"])
    assert on.Played("identity", whole=False) == played(
        recorded, "playback_stopped_started", "playback_stopped", under_way
    )


def test_a_playback_that_we_stopped_in_its_last_moment_counts_as_heard(recorded: Recorded) -> None:
    under_way = playback(recorded["playback_started"])
    under_way.stopped_by_us = True
    assert on.Played("identity", whole=False) == played(
        recorded, "playback_started", "playback_whole", under_way
    )


def test_a_playback_broken_by_a_hangup_counts_as_heard(recorded: Recorded) -> None:
    under_way = playback(recorded["playback_broken"], duration_ms=0)
    assert on.Played("identity", whole=False) == played(
        recorded, "playback_broken_started", "playback_broken", under_way
    )


def test_a_playback_whose_start_was_never_reported_counts_as_heard(recorded: Recorded) -> None:
    under_way = playback(recorded["playback_whole"])
    assert on.Played("identity", whole=False) == meant(recorded["playback_whole"], under_way)


def test_a_playback_shorter_than_its_file_counts_as_heard(recorded: Recorded) -> None:
    under_way = playback(recorded["playback_started"], duration_ms=DURATION_MS + TOLERANCE_MS + 2)
    assert on.Played("identity", whole=False) == played(
        recorded, "playback_started", "playback_whole", under_way
    )


def test_the_end_of_an_earlier_playback_ends_this_one(recorded: Recorded) -> None:
    under_way = playback(recorded["playback_broken"])
    under_way.started = datetime.now(UTC)
    assert meant(recorded["playback_whole"], under_way) is None


@pytest.mark.parametrize("kind", ["TextMessageReceived", "ChannelToneDetected", "SomethingOfAsterisk23"])
def test_an_unknown_type_means_something(recorded: Recorded, kind: str) -> None:
    assert meant({**recorded["callee_up"], "type": kind}) is None


def test_a_transfer_to_another_call_is_taken_for_one_to_an_extension(recorded: Recorded) -> None:
    """From what Asterisk's source says about a REFER with Replaces; the laboratory's phones send none."""
    event = json.loads(json.dumps(recorded["transfer_asked"]))
    event["refer_to"]["requested_destination"]["protocol_id"] = "a84b4c76e66710"
    assert meant(event) == on.TransferAsked(None)


@pytest.mark.parametrize(
    ("direction", "home", "former"),
    [(Direction.OUTBOUND, "pbx-1795565725.0", "pbx-1795565725.0"), (Direction.AGENT_FIRST, None, "-agent")],
)
def test_what_the_agent_who_was_does_is_taken_for_the_colleagues(
    recorded: Recorded, direction: Direction, home: str | None, former: str
) -> None:
    ids = Ids(IDS.call, direction, home)
    assert ids.hand_over().endswith(former)
    assert (ids.agent, ids.home_party) == (f"ccari-{IDS.call}-agent1", None)
    for name in ("agent_left", "agent_destroyed", "transfer_asked"):
        assert translate(recorded[name], ids, {}, None) is None
    destroyed = recorded["agent_destroyed"] | {"channel": {"id": ids.agent}}
    assert translate(destroyed, ids, {}, None) == on.Gone(Party.AGENT, 16)


@pytest.mark.parametrize(
    ("direction", "home", "gets_back", "callee", "former"),
    [
        # the dialplan's own channel is not ours to hang up
        (Direction.OUTBOUND, "phone-1", None, "-callee", ["-agent1"]),
        (Direction.INBOUND, "phone-1", Party.CALLEE, "phone-1", ["-agent", "-agent1"]),
        (Direction.AGENT_FIRST, None, None, "-callee", ["-agent", "-agent1"]),
    ],
)
@pytest.mark.parametrize("taken_up", [False, True])
def test_after_transfers_the_callee_is_lost_or_an_agent_who_was_stays_on_the_line(
    direction: Direction, home: str | None, gets_back: Party | None, callee: str, former: list[str], *, taken_up: bool
) -> None:  # fmt: skip
    """Whether this run of the service made the transfers, or takes the talk up after them."""
    ids = Ids(IDS.call, direction, home, agents=2 if taken_up else 0)
    if not taken_up:
        ids.hand_over()
        ids.hand_over()
    ours = f"ccari-{IDS.call}"
    assert ids.callee == (callee if callee == home else f"{ours}{callee}")
    assert (ids.agent, ids.home_party) == (f"{ours}-agent2", gets_back)
    assert ids.former_agents == [f"{ours}{each}" for each in former]


@pytest.mark.parametrize(
    ("verdict", "meaning"),
    [("MACHINE", on.MachineFound()), ("HUMAN", on.HumanFound()), ("NOTSURE", on.HumanFound())],
)
def test_whoever_answers_is_taken_for_a_machine_or_one_for_a_person(
    recorded: Recorded, verdict: str, meaning: Event
) -> None:
    assert meant(recorded["callee_created"] | {"args": ["callee", verdict]}) == meaning


def test_the_channel_of_an_agent_who_is_called_is_not_known_to_be_there(recorded: Recorded) -> None:
    ids = Ids(IDS.call, Direction.AGENT_FIRST, None)
    created = recorded["callee_created"] | {"channel": {"id": ids.agent}, "args": []}
    assert translate(created, ids, {}, None) == on.AgentCreated()


def test_an_event_is_handed_to_no_call_or_to_the_wrong_one(recorded: Recorded) -> None:
    channels = {name: channel_of(event) for name, event in recorded.items()}
    assert channels["redirected"] == channels["dial_ringing"] == channels["playback_whole"] == IDS.callee
    assert channels["recording_finished"] == IDS.snoop(1)
    assert channels["agent_left"] == channels["transfer_asked"] == IDS.agent
    assert channel_of({"type": "PeerStatusChange", "endpoint": {"resource": "trunk"}}) is None
    assert channel_of({"type": "BridgeMerged", "playback": {"target_uri": None}}) is None
