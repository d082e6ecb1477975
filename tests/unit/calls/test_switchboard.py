"""What is kept of the names that the dialplan gives, and what a client that places a call is told."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import MOST_AT_GATE, OVERLOAD, Admission
from ccari.calls.ari import PJSIP, Ari
from ccari.calls.ears import Ears
from ccari.calls.events import Ids
from ccari.calls.order import Order, order_of
from ccari.calls.runner import CallRunner
from ccari.calls.switchboard import Switchboard
from ccari.calls.talks import Talk
from ccari.errors import AsteriskError
from ccari.gating.journal import Journal
from ccari.gating.labels import NAMELESS, agent_name, label, phone_name
from ccari.policy.call import Call, Direction, Party, Stage
from ccari.policy.call import events as on
from ccari.policy.rights import Right
from ccari.ports.placing import CallToPlace
from tests.unit.calls.talking import IDLE_DESK, Talking

SECONDS = 30.0


class Switching:
    """An Asterisk that hangs channels up."""

    def __init__(self) -> None:
        self.hung_up: list[str] = []

    async def hang_up(self, channel: str) -> bool:
        self.hung_up.append(channel)
        return True


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


@pytest.mark.parametrize(
    "written",
    [
        "+48600100001", "600 100 001", "600-100-001", "+48 600 100 001", "+48 (600) 100-001", "(22) 123 45 67",
        "600.100.001", "600_100_001", "600/100/001", "600\u00a0100\u00a0001", "600–100–001", "6-0-0-1-0-0-0", "100001",
    ],
)  # fmt: skip
def test_a_number_in_the_place_of_the_campaign_is_kept(written: str) -> None:
    assert label(written) == "…"


@pytest.mark.parametrize("name", ["desk-12-34-56", "renewals-2026-q4", "ring 4 of 12", "crm-2026-10"])
def test_a_name_that_holds_no_number_is_blacked_out(name: str) -> None:
    assert label(name) == name


@pytest.mark.parametrize(
    "args",
    [
        ["outbound", "600100001", "offers-20261001"],
        ["outbound", "600100001", "offers-20261001", "anna"],
        ["inbound", "offers-20261001"],
        ["inbound", "offers-20261001", "anna"],
    ],
    ids=["outbound", "outbound, of an agent", "inbound", "inbound, to an agent"],
)
async def test_a_campaign_that_is_named_by_a_date_is_asked_for_by_another_name(args: list[str]) -> None:
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    channel = {
        "id": "phone-1",
        "name": "PJSIP/anna-00000012",
        "state": "Ring",
        "caller": {"number": "600100001"},
    }
    board.take({"type": "StasisStart", "channel": channel, "args": args})
    ((runner, task),) = board._calls.items()
    assert runner._actions._order.campaign == "offers-20261001"
    task.cancel()
    await board.drain()


def _entering(phone: str) -> dict[str, object]:
    channel = {"id": phone, "name": "PJSIP/anna-00000012", "state": "Ring", "caller": {"number": "600100001"}}
    return {"type": "StasisStart", "channel": channel, "args": ["outbound", "600100001", "renewals"]}


async def test_a_call_that_is_cancelled_before_it_begins_counts_as_under_way_for_ever() -> None:
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    board.take(_entering("phone-1"))
    ((_, task),) = board._calls.items()
    task.cancel()
    await board.drain()
    assert board.under_way == []
    assert not board._at_gate
    assert board._runner_of("phone-1") is None


async def test_a_call_that_has_passed_the_gate_keeps_another_from_it() -> None:
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    for index in range(MOST_AT_GATE):
        board.take(_entering(f"phone-{index}"))
    assert board._no_room() == OVERLOAD
    (runner, *_), tasks = board._calls, list(board._calls.values())
    runner._answer_gate(None)
    await asyncio.wait([runner.gated])
    assert board._no_room() is None
    for each in tasks:
        each.cancel()
    await board.drain()


class Talker(CallRunner):
    """A talk that goes on until it is told to let go."""

    is_talking = has_talked = True

    async def run(self) -> None:
        await self._inbox.next(Stage.TALK)


def talker() -> Talker:
    return Talker.of(Order(Direction.OUTBOUND, "+48600100001", "renewals", "jan"), IDLE_DESK)


@pytest.mark.parametrize("stops", ["after", "meanwhile"])
async def test_a_service_that_stops_just_as_its_connection_was_lost_leaves_its_talks(stops: str) -> None:
    """They would go on with their recorders running, and nobody to hear a key."""
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    board._add(talker())
    board.detach("asterisk_lost")
    if stops == "after":
        await board.drain()
        assert board.under_way == []
    stopping = asyncio.create_task(board.wind_down(SECONDS))
    await asyncio.sleep(0)
    await board.drain()
    board.attach(IDLE_DESK)
    taken_up = talker()
    # as `resume` does with what it finds
    board._add(taken_up)
    board.resume([], IDLE_DESK)
    await asyncio.sleep(0)
    assert not stopping.done()
    taken_up.let_go("shutdown")
    async with asyncio.timeout(SECONDS):
        await stopping
    assert board.under_way == []


async def test_a_connection_that_was_lost_for_long_is_waited_for_by_a_service_that_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ccari.calls.switchboard.RETURN_SECONDS", 0.0)
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    board._add(talker())
    board.detach("asterisk_lost")
    await board.drain()
    # it counts from the loss, not from the stop
    monkeypatch.setattr("ccari.calls.switchboard.RETURN_SECONDS", 10 * SECONDS)
    with capture_logs() as logged:
        async with asyncio.timeout(SECONDS):
            await board.wind_down(10 * SECONDS)
    assert [each["event"] for each in logged] == ["waiting_for_talks", "talks_left"]


async def test_a_connection_is_not_waited_for_that_is_back_as_the_calls_of_the_lost_one_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The new connection takes up their talks only then, which may be longer after the loss than a connection is waited
    for.
    """
    monkeypatch.setattr("ccari.calls.switchboard.RETURN_SECONDS", 0.0)
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    board._add(talker())
    board.detach("asterisk_lost")
    monkeypatch.setattr("ccari.calls.switchboard.RETURN_SECONDS", SECONDS)
    with capture_logs() as logged:
        stopping = asyncio.create_task(board.wind_down(SECONDS))
        await asyncio.sleep(0)
        await board.drain()
        for _ in range(9):
            await asyncio.sleep(0)
        board.resume([], IDLE_DESK)
        async with asyncio.timeout(SECONDS):
            await stopping
    assert [each["event"] for each in logged] == ["waiting_for_talks"]


class Hanging(CallRunner):
    """A call that is over, and whose recording is being moved on a disk that does not answer until ``answers`` is set."""

    answers: asyncio.Event

    async def run(self) -> None:
        moved = asyncio.create_task(self.answers.wait())
        try:
            await asyncio.shield(moved)
        finally:
            # as ccari.recordings.archive.seen_through
            await asyncio.wait([moved])


async def test_a_recording_that_is_moved_on_a_disk_that_hangs_keeps_a_lost_connection_from_being_taken_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anyone who calls then would wait in silence; and so would the phone whose call hangs, at its next call."""
    for name in ("DRAIN_SECONDS", "CUT_SECONDS"):
        monkeypatch.setattr(f"ccari.calls.switchboard.{name}", 0.05)
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    order = Order(Direction.OUTBOUND, "+48600100001", "renewals", "jan", channel="phone-1")
    hanging = Hanging.of(order, IDLE_DESK)
    hanging.answers = asyncio.Event()
    board._add(hanging)
    board.detach("asterisk_lost")
    with capture_logs() as logged:
        async with asyncio.timeout(SECONDS):
            await board.drain()
    assert [(each["event"], each["call_id"]) for each in logged] == [("call_hangs", str(hanging.ids.call))]
    assert board.under_way == []
    board.attach(IDLE_DESK)
    board.take(_entering("phone-1"))
    ((begun, task),) = board._calls.items()
    assert board._runner_of("phone-1") is begun
    (left,) = board._hanging
    # the two talk on, and their call is taken up
    resumed = talker()
    resumed.ids = hanging.ids
    board._add(resumed)
    next_call = Talker.of(order, IDLE_DESK)
    board._add(next_call)
    hanging.answers.set()
    await asyncio.wait([left])
    await asyncio.sleep(0)
    assert board._by_id[str(hanging.ids.call)] is resumed
    assert board._runner_of("phone-1") is next_call
    next_call.let_go("shutdown")
    resumed.let_go("shutdown")
    task.cancel()
    await board.drain()
    assert (board.under_way, board._hanging) == ([], set())


def test_an_order_shows_a_number_in_the_place_of_the_campaign() -> None:
    swapped = Order(Direction.OUTBOUND, "renewals", "+48600100001", "anna", channel="phone-1")
    assert "600100001" not in repr(swapped)


@pytest.mark.parametrize(
    ("args", "asked"),
    [
        (["outbound", "600100001", "renewals"], (Direction.OUTBOUND, "600100001", "renewals", "anna", None)),
        (["outbound", "600100001", "renewals", "jan"], (Direction.OUTBOUND, "600100001", "renewals", "jan", None)),
        (["inbound", "hotline"], (Direction.INBOUND, "600100002", "hotline", "hotline", None)),
        (["inbound", "hotline", "sales"], (Direction.INBOUND, "600100002", "hotline", "sales", "sales")),
        # an empty argument was meant to name something
        (["outbound", "600100001", ""], (Direction.OUTBOUND, "600100001", NAMELESS, "anna", None)),
        (["outbound", "600100001", "", "jan"], (Direction.OUTBOUND, "600100001", NAMELESS, "jan", None)),
        (["inbound", ""], (Direction.INBOUND, "600100002", NAMELESS, NAMELESS, None)),
        (["inbound", "", "sales"], (Direction.INBOUND, "600100002", NAMELESS, "sales", "sales")),
        # nothing says whom it is about
        (["inbound"], (Direction.INBOUND, None, "", "anna", None)),
        (["inbound", "hotline", "sales", "more"], (Direction.INBOUND, None, "", "anna", None)),
        (["outbound", "600100001"], (Direction.OUTBOUND, None, "", "anna", None)),
        ([], (Direction.OUTBOUND, None, "", "anna", None)),
    ],
)  # fmt: skip
def test_a_dialplan_gets_another_call_than_it_asks_for(args: list[str], asked: tuple[object, ...]) -> None:
    phone = {"id": "phone-1", "name": "PJSIP/anna-00000001", "caller": {"number": "600100002"}}
    for state, answered in (("Up", True), ("Ring", False)):
        order = order_of(phone | {"state": state}, args)
        assert (order.direction, order.number, order.campaign, order.agent, order.destination) == asked
        assert (order.channel, order.answered) == ("phone-1", answered)
        assert order.rings_agent is (asked[0] is Direction.INBOUND)


def test_the_transfers_of_a_phone_that_called_with_bad_arguments_are_left_to_asterisk() -> None:
    """The agent's phone is told that the call is blocked, and may ask for a transfer meanwhile."""
    phone = {"id": "phone-1", "name": "PJSIP/anna-00000001", "state": "Ring"}
    order = order_of(phone, ["outbound"])
    assert (order.technology, order.made_as) == (PJSIP, "PJSIP/anna")


def test_a_name_without_end_is_kept() -> None:
    assert len(label("x" * 1000)) == 40


async def test_an_asterisk_that_is_away_is_told_as_a_service_that_stops() -> None:
    board, order = Switchboard(Admission(1000)), CallToPlace("+48600100001", "renewals", "anna")
    with pytest.raises(AsteriskError, match="Asterisk is away"):
        await board.place(order)
    board.attach(IDLE_DESK)
    board.detach("asterisk_lost")
    with pytest.raises(AsteriskError, match="Asterisk is away"):
        await board.place(order)


def left() -> Talk:
    """A talk that an earlier connection has left, to be taken up."""
    call = uuid4()
    order = Order(Direction.OUTBOUND, "+48600100001", "renewals", "jan", channel="phone-1")
    ids = Ids(call, Direction.OUTBOUND, "phone-1")
    return Talk(order, ids, Journal(call, "jan"), Talking(Direction.OUTBOUND).actions._terms, {}, 0)


@pytest.mark.parametrize("clock", ["right", "unknown"])
async def test_invariant_6_a_refusal_that_is_pressed_while_stock_is_taken_counts_from_its_end(
    clock: str,
) -> None:
    """Otherwise what was said since then would be kept, and the request would have a later time."""
    talk = left()
    board = Switchboard(Admission(1000))
    ears = Ears(board, lambda: None)
    pressed = datetime.now(UTC) - timedelta(seconds=1)
    key = {"type": "ChannelDtmfReceived", "channel": {"id": talk.ids.callee}, "digit": "2"}
    ears.take(key | ({"timestamp": pressed.isoformat()} if clock == "right" else {}))
    heard = datetime.now(UTC)
    board.attach(IDLE_DESK)
    board.resume([talk], IDLE_DESK)
    ears.open()
    ((runner, task),) = board._calls.items()
    event = await runner._inbox.next(Stage.TALK)
    assert isinstance(event, on.KeyPressed)
    assert event.at is not None
    assert event.at == pressed if clock == "right" else pressed < event.at <= heard
    task.cancel()
    await board.drain()


async def test_whoever_is_led_away_while_stock_is_taken_leaves_the_other_party_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They were still together when Asterisk was asked for its bridges, and it reports the change only once."""
    monkeypatch.setattr("ccari.calls.runner.LEAVE_SECONDS", 0.0)
    talk = left()
    board = Switchboard(Admission(1000))
    ears = Ears(board, lambda: None)
    ears.take(
        {"type": "ChannelLeftBridge", "bridge": {"id": talk.ids.bridge}, "channel": {"id": talk.ids.callee}}
    )
    board.attach(IDLE_DESK)
    board.resume([talk], IDLE_DESK)
    ears.open()
    ((runner, task),) = board._calls.items()
    task.cancel()
    async with asyncio.timeout(SECONDS):
        event = await runner._inbox.next(Stage.TALK)
    assert isinstance(event, on.LedAway)
    assert event.party is Party.CALLEE
    await board.drain()


class StoodStill(Admission):
    @property
    def stood_still_seconds(self) -> float:
        return 60.0


async def test_invariant_6_a_refusal_that_waited_for_a_service_that_stood_still_counts_from_when_it_went_on() -> (
    None
):
    talk = left()
    board = Switchboard(StoodStill(1000))
    board.attach(IDLE_DESK)
    board.resume([talk], IDLE_DESK)
    # longer ago than any connection is late
    pressed = datetime.now(UTC) - timedelta(seconds=40)
    key = {"type": "ChannelDtmfReceived", "channel": {"id": talk.ids.callee}, "digit": "2"}
    board.take(key | {"timestamp": pressed.isoformat()})
    ((runner, task),) = board._calls.items()
    assert await runner._inbox.next(Stage.TALK) == on.KeyPressed("2", pressed)
    task.cancel()
    await board.drain()


async def test_a_phone_that_has_transferred_its_call_waits_in_silence_when_it_dials_the_next_one() -> None:
    """The talk was taken up, and says on which channel it began; that channel is the dialplan's again."""
    call = uuid4()
    ids = Ids(call, Direction.OUTBOUND, "phone-1", agents=1)
    order = Order(Direction.OUTBOUND, "+48600100001", "renewals", "jan", channel="phone-1")
    talk = Talk(order, ids, Journal(call, "jan"), Talking(Direction.OUTBOUND).actions._terms, {}, 0)
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    board.resume([talk], IDLE_DESK)
    channel = {"id": "phone-1", "name": "PJSIP/anna-00000012", "state": "Ring"}
    board.take({"type": "StasisStart", "channel": channel, "args": ["outbound", "600100002", "renewals"]})
    assert len(board.under_way) == 2
    for task in board._calls.values():
        task.cancel()
    await board.drain()


@pytest.mark.parametrize("party", Party)
async def test_whoever_takes_the_place_of_a_leg_leaves_the_other_party_in_silence_or_stays_on_the_line(
    party: Party,
) -> None:
    """As Asterisk reports a call pickup, and an INVITE with Replaces."""
    asterisk = Switching()
    board = Switchboard(Admission(1000))
    board.attach(replace(IDLE_DESK, ari=cast("Ari", asterisk)))
    board.take(_entering("phone-1"))
    ((runner, task),) = board._calls.items()
    former = runner.ids.channel(party)
    channel = {"id": "phone-2", "name": "PJSIP/ewa-00000013", "state": "Ring", "caller": {"number": "102"}}
    board.take({"type": "StasisStart", "channel": channel, "args": [], "replace_channel": {"id": former}})
    assert list(board._calls) == [runner]
    assert await runner._inbox.next(Stage.TALK) == on.Gone(party)
    task.cancel()
    await board.drain()
    assert asterisk.hung_up == ["phone-2", former]


async def test_invariant_5_a_right_counts_as_passed_on_to_a_call_that_hears_none() -> None:
    """Whoever entered it would be told that it is being dealt with."""
    board = Switchboard(Admission(1000))
    board.attach(IDLE_DESK)
    board.take(_entering("phone-1"))
    ((runner, task),) = board._calls.items()
    task.cancel()
    taken = []
    for stage in (Stage.GATE, Stage.TALK, Stage.CLOSE):
        runner._call = Call(stage=stage)
        taken.append((board.voice(runner.ids.call, Right.ACCESS), len(runner._inbox)))
    assert taken == [(False, 0), (True, 1), (False, 1)]
    await board.drain()
    assert not board.voice(runner.ids.call, Right.ACCESS)
