"""What a call that is told to let go does first, and what it waits for while the database is away."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Literal, cast
from uuid import uuid4

import pytest

from ccari.calls import keeping
from ccari.calls import runner as runners
from ccari.calls.actions import Actions
from ccari.calls.events import Playback
from ccari.calls.inbox import Inbox
from ccari.calls.keeping import TalkKeeper
from ccari.calls.order import Order
from ccari.calls.runner import CallRunner
from ccari.calls.transport import LinkLost, Refused
from ccari.errors import AsteriskError, StoreError
from ccari.policy.call import Call, Command, Direction, Event, Outcome, Party, Stage, Timer, decide, resuming
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import replace
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from tests.unit.calls.talking import IDLE_DESK
from tests.unit.policy.campaigns import campaign
from tests.unit.policy.story import Story

SECONDS = 30.0
Why = Literal["shutdown", "asterisk_lost"]


def press(runner: CallRunner, digit: str) -> on.KeyPressed:
    """The callee presses a key now; returns the event that comes of it."""
    at = datetime.now(UTC)
    told = {"digit": digit, "timestamp": at.isoformat(), "channel": {"id": runner.ids.callee}}
    runner.take({"type": "ChannelDtmfReceived", **told})
    return on.KeyPressed(digit, at)


async def soon(runner: CallRunner) -> Event:
    """What the call hears next."""
    async with asyncio.timeout(SECONDS):
        return await runner._inbox.next(runner._call.stage)


class Willing:
    """A service, and an Asterisk, that do at once what the call asks for.

    ``verdict``: the gate's; ``then``: what happens while one kind of command is carried out, once; ``kept``: what is kept for taking the talk up;
    ``passed_on``: how often cut keys were to be passed on.
    """

    def __init__(self, declared: Campaign) -> None:
        self.verdict: Event = on.GateAllowed(declared)
        self.kept: Mapping[str, Any] | None = None
        self.passed_on = 0
        self.is_on_board = True
        self.done: list[Command] = []
        self.then: dict[type[Command], Callable[[], object]] = {}
        self.playbacks: dict[Party, Playback] = {}
        self.player = SimpleNamespace(playbacks=self.playbacks)
        self.recorder = SimpleNamespace(name=None, started=self._hear, ended=self._hear)

    async def _hear(self, _at: datetime) -> None: ...

    def take_note(self, _event: Mapping[str, Any], _arrived: datetime | None = None) -> bool:
        return False

    def show(self, call: Call) -> None: ...

    async def pass_on_keys(self) -> None:
        self.passed_on += 1

    def leave_board(self) -> None:
        self.is_on_board = False

    async def keep_talk(self, told: Mapping[str, Any] | None) -> None:
        self.kept = told

    async def carry_out(self, command: Command) -> Event | None:
        self.done.append(command)
        self.then.pop(type(command), lambda: None)()
        match command:
            case do.CheckGate():
                return self.verdict
            case do.CreateCallee():
                return on.CalleeCreated()
            case do.SpendToken():
                return on.TokenSpent()
            case do.CommitHeard():
                return on.HeardCommitted()
            case do.TagRecording():
                return on.RecordingTagged()
            case do.StartRecorder():
                return on.RecorderStarted()
            case do.StopRecorder():
                return on.RecorderStopped()
            case do.Bridge():
                return on.Bridged()
            case do.RegisterRight(right):
                return on.RightRegistered(right, "ACME-2026-1")
            case do.HangUp(party):
                return on.Gone(party)
            case do.GiveBack():
                return on.Gone(Party.AGENT)
            case do.Play(party, prompt):
                self.playbacks[party] = Playback("", party, prompt, 1000, 0.0)
        return None


class OnHold(Willing):
    """Asterisk says that the caller has put the call on hold."""

    async def carry_out(self, command: Command) -> Event | None:
        came = await super().carry_out(command)
        return on.CalleeAnswered(on_hold=True) if isinstance(command, do.AnswerCallee) else came


def living(story: Story) -> tuple[CallRunner, Willing]:
    """A call that goes on from the point that ``story`` has reached; one that has not begun asks the gate."""
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "anna", channel="agent-channel"), IDLE_DESK
    )
    willing = Willing(story.campaign)
    runner._actions = cast("Actions", willing)
    if story.commands:
        runner._call, runner._first_event = story.call, on.TimeRanOut(Timer.KEEP)
    return runner, willing


async def over(runner: CallRunner) -> None:
    async with asyncio.timeout(SECONDS):
        await runner.run()


def asked(willing: Willing, *kinds: type[Command]) -> list[Command]:
    return [each for each in willing.done if isinstance(each, kinds)]


@pytest.mark.parametrize("under_way", [do.CheckGate, do.CreateCallee, do.SpendToken])
async def test_a_call_that_is_told_to_let_go_dials_first(under_way: type[Command]) -> None:
    """A service that stops would let a phone ring, and hang up."""
    runner, willing = living(Story())
    willing.then[under_way] = lambda: runner.let_go("shutdown")
    await over(runner)
    assert asked(willing, do.Dial, do.CloseCall) == [do.CloseCall(Outcome.UNAVAILABLE, "shutdown")]


async def test_a_caller_who_comes_back_from_hold_while_asterisk_is_asked_for_it_hears_no_notice() -> None:
    """That they are back comes before the answer, and would be taken for nothing."""
    order = Order(Direction.INBOUND, "+48600100001", "renewals", "anna", channel="caller-channel")
    runner, willing = CallRunner.of(order, IDLE_DESK), OnHold(campaign(agent="PJSIP/anna"))
    runner._actions = cast("Actions", willing)
    back = {"type": "ChannelUnhold", "channel": {"id": runner.ids.callee}}
    willing.then[do.AnswerCallee] = lambda: runner.take(back)
    willing.then[do.Play] = lambda: runner.let_go("shutdown")
    willing.then[do.GiveBack] = lambda: runner._inbox.put(on.Gone(Party.CALLEE))
    await over(runner)
    assert asked(willing, do.Play)


@pytest.mark.parametrize("under_way", [do.CommitHeard, do.TagRecording, do.StartRecorder])
async def test_a_call_that_is_told_to_let_go_brings_the_two_together_first(under_way: type[Command]) -> None:
    runner, willing = living(story := Story().notice())
    willing.then[under_way] = lambda: runner.let_go("shutdown")
    for prompt in story.call.notice:
        runner._inbox.put(on.Played(prompt, whole=True))
    await over(runner)
    assert asked(willing, under_way)
    assert asked(willing, do.Bridge, do.CloseCall) == [do.CloseCall(Outcome.UNAVAILABLE, "shutdown")]


async def test_a_recorder_that_came_before_the_word_to_let_go_brings_the_two_together() -> None:
    """Both wait while a database that hangs registers a right."""
    runner, willing = living(Story().recorder())
    press(runner, "8")

    def meanwhile() -> None:
        runner._inbox.put(on.RecorderStarted())
        runner.let_go("shutdown")

    willing.then[do.RegisterRight] = meanwhile
    await over(runner)
    assert asked(willing, do.Bridge, do.CloseCall) == [do.CloseCall(Outcome.UNAVAILABLE, "shutdown")]


async def test_a_colleague_is_called_for_a_call_that_is_told_to_let_go() -> None:
    """The former agent's phone goes away during the transfer, and then nothing is played any more that kept the two
    together.
    """
    story = Story(transfer="PJSIP/{extension}", agent_keys={"*9": "access"}).talk()
    story.send(*(on.AgentKeyPressed(key) for key in "*0"), on.TransferAsked("1002"), on.RecorderStopped())
    assert (story.call.stage, story.call.whisper) == (Stage.HANDOVER, "agent_code_unknown")
    runner, willing = living(story)
    runner.let_go("shutdown")
    runner._inbox.put(on.Gone(Party.AGENT))
    await over(runner)
    assert asked(willing, do.HandOver, do.CloseCall) == [do.CloseCall(Outcome.BRIDGED, "shutdown")]


async def test_two_who_are_together_are_told_as_a_call_that_did_not_come_about() -> None:
    """The dialplan would take its other path, and dial once more."""
    story = Story().recorder()
    story.send(on.RecorderStarted())
    runner, willing = living(story)
    runner.let_go("shutdown")
    runner._inbox.put(on.Bridged())
    await over(runner)
    assert asked(willing, do.CloseCall) == [do.CloseCall(Outcome.BRIDGED, "shutdown")]


async def test_a_number_that_is_barred_is_told_as_one_to_be_tried_again() -> None:
    runner, willing = living(Story())
    willing.verdict = on.GateBlocked(Block.SUPPRESSED_ERASURE)
    willing.then[do.CheckGate] = lambda: runner.let_go("shutdown")
    await over(runner)
    assert runner.gated.result() is Block.SUPPRESSED_ERASURE
    assert asked(willing, do.CloseCall) == [do.CloseCall(Outcome.BLOCKED, "suppressed_erasure")]


@pytest.mark.parametrize("why", ["shutdown", "asterisk_lost"])
async def test_a_right_is_lost_that_waits_when_the_call_is_told_to_let_go(why: Why) -> None:
    """Nor is a talk left to the next service before the fate of the right is known."""
    runner, willing = living(Story().talk())
    runner.let_go(why)
    press(runner, "8")
    runner.voice(Right.PORTABILITY)
    await over(runner)
    registered = [each.right for each in willing.done if isinstance(each, do.RegisterRight)]
    assert registered == [Right.ACCESS, Right.PORTABILITY]
    assert asked(willing, do.HangUp, do.LeaveTalk) == (
        [do.LeaveTalk()] if why == "asterisk_lost" else [do.HangUp(Party.CALLEE)]
    )


async def test_invariant_6_whoever_takes_a_talk_up_records_what_the_agent_had_paused_for() -> None:
    """The code was waiting when the connection was lost."""
    runner, willing = living(Story(agent_keys={"*1": "pause_recording"}).talk())
    runner.let_go("asterisk_lost")
    for key in "*1":
        runner._inbox.put(on.AgentKeyPressed(key))
    await over(runner)
    assert willing.done[-1] == do.LeaveTalk()
    assert willing.kept is not None
    assert willing.kept["paused"]


@pytest.mark.parametrize("ends", [on.Gone(Party.CALLEE), on.TransferAsked("1002")])
async def test_a_right_that_the_console_has_passed_on_is_lost_or_told_as_the_colleagues(ends: Event) -> None:
    """It comes behind what ends the talk, while a database that hangs registers another right.

    Whoever enters a right is on record by the name that the agent has when it is registered.
    """
    runner, willing = living(Story(transfer="PJSIP/{extension}").talk())
    runner.voice(Right.ACCESS)

    def meanwhile() -> None:
        runner._inbox.put(ends)
        assert runner.is_talking
        runner.voice(Right.ERASURE)

    willing.then[do.RegisterRight] = meanwhile
    willing.then[do.HandOver] = lambda: runner._inbox.put(on.Gone(Party.CALLEE))
    await over(runner)
    told = [
        each.right if isinstance(each, do.RegisterRight) else "handed over"
        for each in asked(willing, do.RegisterRight, do.HandOver)
    ]
    handed_over = ["handed over"] if isinstance(ends, on.TransferAsked) else []
    assert told == [Right.ACCESS, Right.ERASURE, *handed_over]


@pytest.mark.parametrize("under_way", [do.SettleRecording, do.CloseCall, do.LeaveTalk])
async def test_a_right_is_lost_that_is_pressed_while_its_call_is_closed(under_way: type[Command]) -> None:
    """Asterisk has not answered, and so may not have hung up; or it was lost, and the talk is left to the next connection."""
    runner, willing = living(Story().talk())

    def meanwhile() -> None:
        press(runner, "7")

    willing.then[under_way] = meanwhile
    runner.let_go("asterisk_lost" if under_way is do.LeaveTalk else "shutdown")
    await over(runner)
    (registered,) = asked(willing, do.RegisterRight)
    assert isinstance(registered, do.RegisterRight)
    assert registered.right is Right.ERASURE
    # and its journal is written, without a second end
    assert isinstance(willing.done[-1], do.LeaveTalk)
    told = [each.event for each in runner._journal.pending()]
    assert told.count("call_ended") == (under_way is not do.LeaveTalk)
    assert told[-2:] == ["key_pressed", "right_registered"]


@pytest.mark.parametrize("pressed", [on.KeyPressed("3"), on.AgentKeyPressed("3")])
async def test_the_other_party_is_deaf_after_a_key_that_a_prompt_has_cut(pressed: Event) -> None:
    """See ``Player.pass_on_keys``."""
    runner, willing = living(Story().talk())
    runner._inbox.put(pressed)
    runner._inbox.put(on.Gone(Party.CALLEE))
    await over(runner)
    assert willing.passed_on == 1


async def test_a_time_out_of_an_earlier_stop_is_taken_for_the_next_ones_and_ends_the_talk() -> None:
    """The recording was paused and resumed, and is paused once more; the first time-out has been waiting since, behind
    a slow command.
    """
    runner, willing = living(Story(agent_keys={"*1": "pause_recording"}).talk())
    waiting: list[Event] = [*map(on.AgentKeyPressed, "*1"), on.TimeRanOut(Timer.STOP), on.Gone(Party.CALLEE)]
    for each in waiting:
        runner._inbox.put(each)
    await over(runner)
    assert asked(willing, do.CloseCall) == [do.CloseCall(Outcome.BRIDGED, "")]


@pytest.mark.parametrize("begun", ["first", "second"])
async def test_a_recorders_end_that_is_told_late_is_taken_for_the_next_ones(
    monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    """The next recorder would run on, while the agent is told that nothing is recorded any more."""
    monkeypatch.setattr(runners, "HANG_UP_SECONDS", 0.0)
    runner, willing = living(Story().talk())
    willing.recorder.name, willing.recorder.is_stopping = "first", False
    runner.take({"type": "RecordingFinished", "recording": {"name": "first"}})
    willing.recorder.name = begun
    later = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.0, later.set_result, None)
    await later
    assert len(runner._inbox) == (begun == "first")


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_whoever_hangs_up_is_told_as_led_away_or_whoever_is_led_away_is_not_missed(
    monkeypatch: pytest.MonkeyPatch, *, hangs_up: bool
) -> None:
    """Either leaves the bridge first."""
    monkeypatch.setattr(runners, "LEAVE_SECONDS", 0.0)
    runner, willing = living(Story(recording={"mode": "off"}).heard())
    callee = {"channel": {"id": runner.ids.callee}}

    def leave() -> None:
        assert not runner.is_talking
        asyncio.get_running_loop().call_soon(left)

    def left() -> None:
        runner.take({"type": "ChannelLeftBridge", "bridge": {"id": runner.ids.bridge}, **callee})
        if hangs_up:
            runner.take({"type": "ChannelDestroyed", "cause": 16, **callee})

    runner._inbox.put(on.HeardCommitted())
    willing.then[do.Bridge] = leave
    await over(runner)
    assert told(runner, "leg_led_away") == ([] if hangs_up else [{"party": "callee"}])
    assert asked(willing, do.CloseCall) == [do.CloseCall(Outcome.BRIDGED, "")]


async def test_a_phone_that_hangs_up_as_it_transfers_takes_the_colleague_along() -> None:
    """The phone's end waits in the inbox while the transfer is decided, and is not the colleague's."""
    runner = CallRunner.of(Order(Direction.AGENT_FIRST, "+48600100001", "renewals", "anna"), IDLE_DESK)
    runner._actions = cast("Actions", willing := Willing(Story().campaign))
    gone = {"type": "ChannelDestroyed", "cause": 16}
    runner.take(gone | {"channel": {"id": runner.ids.agent}})
    key = press(runner, "7")

    def hand_over() -> None:
        runner.ids.hand_over()

    willing.then[do.HandOver] = hand_over
    await runner._act(do.HandOver("1002"))
    runner.take(gone | {"channel": {"id": runner.ids.agent}})
    assert [await soon(runner), await soon(runner)] == [key, on.Gone(Party.AGENT, 16)]
    assert len(runner._inbox) == 0


@pytest.mark.parametrize(
    ("leaves", "outcome", "reason"),
    [
        (Party.CALLEE, Outcome.CALLEE_HANGUP, ""),
        (Party.AGENT, Outcome.AGENT_HANGUP, ""),
        (None, Outcome.FAILED, "bridge_failed"),
    ],
)
async def test_whoever_hangs_up_as_the_two_are_brought_together_is_told_as_a_fault(
    monkeypatch: pytest.MonkeyPatch, leaves: Party | None, outcome: Outcome, reason: str
) -> None:
    """Asterisk refuses to bridge before it reports who has hung up. If it reports nobody, it is a fault."""
    monkeypatch.setattr(runners, "LEAVE_SECONDS", 0.0 if leaves is None else SECONDS)
    runner, willing = living(Story(recording={"mode": "off"}).heard())

    def refuse() -> None:
        if leaves is not None:
            asyncio.get_running_loop().call_soon(runner._inbox.put, on.Gone(leaves))
        raise Refused(422, "bridges/addChannel", "Channel not in Stasis application")

    runner._inbox.put(on.HeardCommitted())
    willing.then[do.Bridge] = refuse
    await over(runner)
    assert asked(willing, do.CloseCall) == [do.CloseCall(outcome, reason)]


@pytest.mark.parametrize("hands_over", [False, True])
async def test_an_agent_who_hands_over_and_hangs_up_is_led_away_from_the_colleagues_talk(
    monkeypatch: pytest.MonkeyPatch, *, hands_over: bool
) -> None:
    """The colleague's talk may have begun already, if they answer at once and next to nothing is said to either."""
    monkeypatch.setattr(runners, "LEAVE_SECONDS", 0.0)
    runner, _ = living(Story().talk())
    left = {"type": "ChannelLeftBridge", "bridge": {"id": runner.ids.bridge}}
    runner.take(left | {"channel": {"id": runner.ids.agent}})
    if hands_over:
        runner._forget_agent()
        runner.ids.hand_over()
    later = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.0, later.set_result, None)
    await later
    assert len(runner._inbox) == (not hands_over)


class Away:
    """What a call does while the database is away. ``tried``: how often the talk was to be kept for taking it up."""

    def __init__(self) -> None:
        self.tried = 0
        self.done: list[Command] = []

    def show(self, call: Call) -> None: ...

    async def pass_on_keys(self) -> None: ...

    async def carry_out(self, command: Command) -> Event | None:
        self.done.append(command)
        return on.RightSpooled(command.right) if isinstance(command, do.RegisterRight) else None

    async def keep_talk(self, told: Mapping[str, Any] | None) -> None:
        self.tried += 1
        raise StoreError("the database did not answer in time")


def talking(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[CallRunner, Away]:
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "anna", channel="agent-channel"), IDLE_DESK
    )
    runner._call = Story(**changes).talk().call
    monkeypatch.setattr(runner, "_actions", away := Away())
    monkeypatch.setattr(runner, "_await_playback", lambda _party: None)
    return runner, away


@pytest.mark.parametrize(("key", "right"), [("8", Right.ACCESS), ("7", Right.ERASURE)])
async def test_whoever_pressed_waits_for_a_database_that_is_known_to_be_away(
    monkeypatch: pytest.MonkeyPatch, key: str, right: Right
) -> None:
    """Each attempt to keep the talk lasts as long as the database may take, and the answer comes after it.

    Not even a right that ends the recording has to be tried: it is on the disk.
    """
    runner, away = talking(monkeypatch)
    await runner._step(on.KeyPressed(key))
    await runner._step(await soon(runner))
    assert do.RegisterRight(right, key) in away.done
    assert do.Play(Party.CALLEE, f"right_registered_{right}") in away.done
    assert away.tried == 0


async def test_invariant_6_a_pause_waits_to_be_kept_for_a_database_that_was_away_a_moment_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried once: whoever takes the talk up before the pause is kept would record a card's number."""
    runner, away = talking(monkeypatch, agent_keys={"*1": "pause_recording"})
    await runner._step(on.KeyPressed("9"))
    assert (away.tried, runner._call.paused) == (1, False)
    paused: list[Event] = [on.AgentKeyPressed("*"), on.AgentKeyPressed("1"), on.RecorderStopped()]
    for event in paused:
        runner._call, _ = decide(runner._call, event)
        await runner._keeper.keep(runner._call, away.keep_talk)
    assert (away.tried, runner._call.paused) == (2, True)
    runner._inbox.close()


async def test_a_talk_that_looks_as_before_is_not_kept_though_nobody_knows_what_the_database_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Handed over to one colleague after the other: the former would be looked for, and the talk be ended."""
    monkeypatch.setattr(keeping, "AGAIN_SECONDS", 0.0)
    keeper, tried, is_away = TalkKeeper(uuid4(), inbox := Inbox()), [], False

    async def store(kept: Mapping[str, Any] | None) -> None:
        tried.append(kept)
        if is_away:
            raise StoreError("the database did not answer in time")

    talk = replace(Story(recording={"mode": "off"}).talk().call, handed_over=True)
    await keeper.keep(talk, store)
    is_away = True
    await keeper.keep(replace(talk, stage=Stage.CONNECT), store)
    is_away = False
    for _ in range(2):
        await keeper.keep(talk, store)
    assert tried == [resuming.to_keep(talk), None, resuming.to_keep(talk)]
    inbox.close()


async def test_a_talk_is_never_kept_again_once_the_database_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "AGAIN_SECONDS", 0.01)
    runner, away = talking(monkeypatch)
    await runner._step(on.KeyPressed("9"))
    for tries in (1, 2):
        assert away.tried == tries
        again = await soon(runner)
        assert again == on.TimeRanOut(Timer.KEEP)
        await runner._step(again)
    runner._inbox.close()


async def test_invariant_6_a_refusal_counts_from_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that hangs is registering another right: what is said meanwhile must not be kept."""
    runner, away = talking(monkeypatch)
    first, refusal = (on.KeyPressed(key, datetime.now(UTC)) for key in "82")
    for each in (first, refusal):
        runner._inbox.put(each)
    for _ in (first, refusal):
        await runner._step(await soon(runner))
    assert [each for each in away.done if isinstance(each, do.StopRecorder | do.RegisterRight)] == [
        do.RegisterRight(Right.ACCESS, "8", at=first.at),
        do.StopRecorder(keep=True, at=refusal.at),
        do.RegisterRight(Right.REFUSE_RECORDING, "2", at=refusal.at),
    ]
    runner._inbox.close()


async def test_a_recorder_that_was_taken_down_again_counts_as_one_that_runs() -> None:
    """Asterisk began it, and said so, before its answer to the request was lost: the talk would be on record as recorded."""
    runner, willing = living(story := Story().notice())

    def lost() -> None:
        runner._inbox.put(on.RecorderStarted())
        raise LinkLost("no answer in time")

    willing.then[do.StartRecorder] = lost
    willing.then[do.Bridge] = lambda: runner.lose(runner.ids.callee)
    for prompt in story.call.notice:
        runner._inbox.put(on.Played(prompt, whole=True))
    await over(runner)
    assert told(runner, "recording_started") == []
    assert told(runner, "recording_impossible") == [{"stage": "recorder"}]


async def test_a_prompt_that_is_played_anew_counts_as_over_when_its_earlier_playback_would_be_overdue() -> (
    None
):
    runner, willing = living(Story().talk())
    earlier, newer = (Playback(name, Party.CALLEE, "identity", 1000, 0.0) for name in ("first", "second"))
    willing.playbacks[Party.CALLEE] = newer
    runner._playback_overdue(earlier)
    assert len(runner._inbox) == 0
    runner._playback_overdue(newer)
    assert await soon(runner) == on.Played("identity", whole=False, party=Party.CALLEE)


async def test_invariant_2_the_agent_is_recorded_though_the_callees_recorder_never_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The agent's side of a stereo recording is begun first: it must not outlive the wait for the other."""
    ended: list[str] = []

    async def detach() -> None:
        ended.append("both")

    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "anna", channel="agent-channel"), IDLE_DESK
    )
    monkeypatch.setattr(runner._actions.recorder, "detach", detach)
    for call, left in ((Story().recorder().call, ["both"]), (Story().talk().call, [])):
        runner._call, ended[:] = call, []
        await runner._hear(on.TimeRanOut(Timer.RECORDER))
        assert ended == left


def breaks() -> None:
    raise RuntimeError("nobody has foreseen it")


def told(runner: CallRunner, event: str) -> list[Mapping[str, str]]:
    return [each.fields or {} for each in runner._journal.pending() if each.event == event]


@pytest.mark.parametrize("fails", [do.RegisterRight, do.StopRecorder])
async def test_invariant_5_a_fault_in_a_call_loses_the_rights_that_wait(fails: type[Command]) -> None:
    runner, willing = living(Story().talk())
    refused = press(runner, "2")
    # this ends nothing here: the call has failed
    runner._inbox.put(on.Gone(Party.CALLEE))
    erased = press(runner, "7")
    runner.voice(Right.ACCESS)
    willing.then[fails] = breaks
    await over(runner)
    registered = {(each.right, each.at) for each in willing.done if isinstance(each, do.RegisterRight)}
    assert {(Right.REFUSE_RECORDING, refused.at), (Right.ERASURE, erased.at)} < registered
    assert Right.ACCESS in {right for right, _ in registered}
    # nor is anything kept that was said since the refusal
    assert do.StopRecorder(keep=True, at=refused.at) in willing.done
    assert len(told(runner, "right_registered")) == 3
    assert not asked(willing, do.Play, do.Dial)


async def test_whoever_placed_a_call_that_fails_at_the_gate_waits_for_its_answer() -> None:
    runner, willing = living(Story())
    willing.then[do.CheckGate] = breaks
    await over(runner)
    async with asyncio.timeout(SECONDS):
        assert await runner.gated is Block.STORE_UNAVAILABLE


class Hanging(Willing):
    """As ``Willing``, but one command of one kind, the first or a later one, never ends. ``hangs``: set once it is under way."""

    def __init__(self, declared: Campaign, kind: type[Command], earlier: int = 0) -> None:
        super().__init__(declared)
        self._kind = kind
        self._earlier = earlier
        self.hangs = asyncio.Event()

    async def carry_out(self, command: Command) -> Event | None:
        if isinstance(command, self._kind) and not self.hangs.is_set():
            if self._earlier == 0:
                self.hangs.set()
                await asyncio.Event().wait()
            self._earlier -= 1
        return await super().carry_out(command)


async def cut(runner: CallRunner, hanging: Hanging, *keys: str) -> None:
    """Cut the call, as one that does not end in time. ``keys``: the callee presses them just before."""
    runner._actions = cast("Actions", hanging)
    call = asyncio.create_task(runner.run())
    await hanging.hangs.wait()
    for key in keys:
        press(runner, key)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    # otherwise the board, and whoever placed the call, would believe that it goes on for ever
    assert not hanging.is_on_board
    assert runner.gated.done()


async def test_invariant_5_a_call_that_is_cut_as_the_service_stops_loses_the_rights_that_wait() -> None:
    """While the database hangs, each of them waits for it, and then goes to the disk: a handful takes longer than a
    call may take to end.
    """
    runner, _ = living(story := Story().talk())
    refused, erased = press(runner, "2"), press(runner, "7")
    await cut(runner, hanging := Hanging(story.campaign, do.RegisterRight))
    assert asked(hanging, do.RegisterRight) == [
        do.RegisterRight(Right.REFUSE_RECORDING, "2", at=refused.at),
        do.RegisterRight(Right.ERASURE, "7", at=erased.at),
    ]
    # it ends like that of a service that was killed
    assert asked(hanging, do.GiveBack, do.CloseCall) == []


@pytest.mark.parametrize("registered", [0, 1, 2])
async def test_invariant_5_a_call_that_has_failed_and_is_cut_loses_the_rights_that_wait(
    registered: int,
) -> None:
    """Or registers one twice. This many were registered when it was cut."""
    runner, _ = living(story := Story().talk())
    keys = [(Right.REFUSE_RECORDING, "2"), (Right.ERASURE, "7"), (Right.ACCESS, "8")]
    pressed = [do.RegisterRight(right, key, at=press(runner, key).at) for right, key in keys]
    hanging = Hanging(story.campaign, do.RegisterRight, registered)
    hanging.then[do.StopRecorder] = breaks
    await cut(runner, hanging)
    assert asked(hanging, do.RegisterRight) == pressed
    assert do.StopRecorder(keep=True, at=pressed[0].at) in hanging.done
    assert asked(hanging, do.GiveBack, do.CloseCall) == []


@pytest.mark.parametrize("under_way", [do.SettleRecording, do.CloseCall, do.RegisterRight])
async def test_invariant_5_a_call_that_is_cut_while_it_is_closed_loses_the_rights_pressed_meanwhile(
    under_way: type[Command],
) -> None:
    """The recording waits for a disk, or the end or a right for the database, until the service has stopped."""
    runner, _ = living(story := Story().talk())
    hanging = Hanging(story.campaign, under_way)
    if under_way is do.RegisterRight:
        hanging.then[do.SettleRecording] = lambda: press(runner, "7")
    runner.let_go("shutdown")
    await cut(runner, hanging, *("8" if under_way is do.RegisterRight else "78"))
    registered = [each.right for each in hanging.done if isinstance(each, do.RegisterRight)]
    assert registered == [Right.ERASURE, Right.ACCESS]
    # the next service ends what this one did not
    assert len(told(runner, "call_ended")) == (under_way is not do.SettleRecording)


@pytest.mark.parametrize("under_way", [do.SettleRecording, do.CloseCall])
async def test_invariant_5_a_call_that_fails_while_it_is_closed_loses_the_rights_pressed_meanwhile(
    under_way: type[Command],
) -> None:
    runner, willing = living(Story().talk())

    def meanwhile() -> None:
        press(runner, "7")
        # and the callee is there even after that
        willing.then[do.GiveBack] = lambda: press(runner, "8")
        breaks()

    willing.then[under_way] = meanwhile
    runner.let_go("shutdown")
    await over(runner)
    registered = [each.right for each in willing.done if isinstance(each, do.RegisterRight)]
    assert registered == [Right.ERASURE, Right.ACCESS]
    assert told(runner, "call_ended") == [{"outcome": "bridged", "reason": "shutdown"}]


async def test_whoever_placed_a_call_that_is_cut_at_the_gate_waits_for_its_answer() -> None:
    runner, _ = living(Story())
    await cut(runner, Hanging(Story().campaign, do.CheckGate))
    assert runner.gated.result() is Block.STORE_UNAVAILABLE


async def test_a_call_that_is_cut_as_its_recording_waits_for_a_disk_is_told_as_ended() -> None:
    runner, _ = living(story := Story().talk())
    runner.let_go("shutdown")
    await cut(runner, Hanging(story.campaign, do.SettleRecording))
    assert told(runner, "call_ended") == []


async def test_invariant_5_a_key_is_lost_whose_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(call: Call, event: Event) -> Any:
        if isinstance(event, on.KeyPressed):
            breaks()
        return decide(call, event)

    runner, willing = living(Story().talk())
    monkeypatch.setattr(runners, "decide", fails)
    keys = [press(runner, key) for key in "478"]
    press(runner, "9")
    await over(runner)
    rights = Right.RECTIFICATION, Right.ERASURE, Right.ACCESS
    assert asked(willing, do.RegisterRight) == [
        do.RegisterRight(right, each.key, Party.CALLEE, each.at)
        for right, each in zip(rights, keys, strict=True)
    ]


@pytest.mark.parametrize(
    ("story", "fails", "outcome"),
    [
        (Story().heard(), do.CommitHeard, Outcome.FAILED),
        (Story().talk(), do.RegisterRight, Outcome.BRIDGED),
        (Story().talk(), do.CloseCall, Outcome.BRIDGED),
    ],
    ids=["before the talk", "in the talk", "as it is closed"],
)
async def test_a_call_that_fails_ends_untold_or_as_another(
    story: Story, fails: type[Command], outcome: Outcome
) -> None:
    runner, willing = living(story)
    willing.then[fails] = breaks
    if story.call.stage is Stage.TALK:
        press(runner, "8")
        runner._inbox.put(on.Gone(Party.CALLEE))
    else:
        runner._call, runner._first_event = Story().notice().call, on.TimeRanOut(Timer.KEEP)
        for prompt in runner._call.notice:
            runner._inbox.put(on.Played(prompt, whole=True))
    await over(runner)
    (ended,) = told(runner, "call_ended")
    assert ended["outcome"] == outcome
    assert isinstance(last := willing.done[-1], do.CloseCall)
    assert (last.outcome, last.reason) == (outcome, ended["reason"])
    given = asked(willing, do.GiveBack)
    assert {each.outcome for each in given if isinstance(each, do.GiveBack)} == {outcome}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Refused(409, "dial", "Conflict"), "refused"), (LinkLost("no answer in time"), "unanswered")],
)
async def test_a_dial_of_which_nobody_knows_is_on_record_as_refused_or_the_other_way_round(
    error: AsteriskError, reason: str
) -> None:
    def fails() -> None:
        raise error

    runner, willing = living(Story())
    willing.then[do.Dial] = fails
    await over(runner)
    assert told(runner, "dial_failed") == [{"party": "callee", "reason": reason}]


@pytest.mark.parametrize(
    ("meanwhile", "outcome"),
    [
        # Asterisk has cut the channel, whose time was not extended
        ((on.CalleeAnswered(), on.Gone(Party.CALLEE, 16)), Outcome.FAILED),
        ((on.Gone(Party.CALLEE, 17),), Outcome.BUSY),
    ],
)
async def test_a_callee_who_was_cut_off_has_hung_up_or_one_who_was_busy_could_not_be_rung(
    meanwhile: tuple[Event, ...], outcome: Outcome
) -> None:
    def fails() -> None:
        for each in meanwhile:
            runner._inbox.put(each)
        raise LinkLost("no answer in time")

    runner, willing = living(Story())
    willing.then[do.Dial] = fails
    await over(runner)
    (closed,) = asked(willing, do.CloseCall)
    assert isinstance(closed, do.CloseCall)
    assert closed.outcome is outcome


@pytest.mark.parametrize("why", ["asterisk_lost", "shutdown"])
async def test_a_call_that_is_let_go_while_it_dials_is_told_as_one_that_could_not_ring(
    why: Literal["shutdown", "asterisk_lost"],
) -> None:
    """The dialplan would take it for the callee's doing, and not for ours."""

    def fails() -> None:
        runner.let_go(why)
        raise LinkLost("no answer in time")

    runner, willing = living(Story())
    willing.then[do.Dial] = fails
    await over(runner)
    assert told(runner, "dial_failed") == [{"party": "callee", "reason": "unanswered"}]
    assert asked(willing, do.CloseCall) == [do.CloseCall(Outcome.UNAVAILABLE, why)]
