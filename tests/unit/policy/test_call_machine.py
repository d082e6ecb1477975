"""Answering machines: what is said to one, what it can press, and who is taken for a person."""

import pytest

from ccari.policy.call import Command, Direction, Event, Outcome, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import MACHINE_SECONDS
from ccari.policy.rights import Right
from tests.unit.policy.story import Story

AGENT_GONE, CALLEE_GONE = on.Gone(Party.AGENT), on.Gone(Party.CALLEE)
SILENT: dict[str, object] = {"answering_machine": {}}
MESSAGE: dict[str, object] = {"answering_machine": {"message": True}}
MESSAGE_SAID = on.Played("machine_message", whole=True)
MACHINE = ("no_answer", "machine")


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


def detecting(**changes: object) -> Story:
    """Somebody, or something, has answered."""
    return Story(**(SILENT | changes)).notice()


def of(kind: type[Command], story: Story) -> list[Command]:
    return [each for each in story.commands if isinstance(each, kind)]


def test_nothing_is_said_and_no_card_shown_before_it_is_known_who_answered() -> None:
    story = Story(**SILENT).ring()
    assert story.send(on.CalleeAnswered()) == [
        do.Note("callee_answered"),
        do.SetTimer(Timer.MACHINE, MACHINE_SECONDS),
        do.DetectMachine(),
    ]


@pytest.mark.parametrize("event", [on.HumanFound(), on.Failed(do.DetectMachine())])
def test_who_may_be_a_person_is_told_as_one(event: Event) -> None:
    assert detecting().send(event) == [says("identity"), do.ShowCard()]


def test_a_campaign_that_does_not_ask_hears_no_machine() -> None:
    assert of(do.DetectMachine, Story().notice()) == []


def test_a_machine_that_gets_no_message_is_hung_up_on_unheard() -> None:
    story = detecting()
    assert story.does(on.MachineFound()) == [
        do.HangUp(Party.CALLEE),
        do.GiveBack(Outcome.NO_ANSWER, "machine"),
    ]
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.ending == MACHINE
    assert of(do.Play, story) == of(do.CommitHeard, story) == of(do.ShowCard, story) == []


def test_a_machine_is_left_the_message_and_nothing_but_the_message() -> None:
    story = detecting(**MESSAGE)
    assert story.does(on.MachineFound()) == [says("machine_message")]
    assert story.does(MESSAGE_SAID)[0] == do.HangUp(Party.CALLEE)
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.ending == MACHINE
    assert of(do.Play, story) == [says("machine_message")]
    assert of(do.CommitHeard, story) == []


@pytest.mark.parametrize(
    "event",
    [
        on.Played("machine_message", whole=False),
        on.Failed(says("machine_message")),
        CALLEE_GONE,
        on.LetGo("shutdown"),
    ],
)
def test_a_message_that_is_broken_off_was_left_to_a_machine_all_the_same(event: Event) -> None:
    story = detecting(**MESSAGE)
    story.send(on.MachineFound(), event, CALLEE_GONE, AGENT_GONE)
    assert story.ending == MACHINE
    assert "notice_broken" not in story.notes


def test_an_agent_who_leaves_does_not_cut_the_message_short() -> None:
    story = detecting(**MESSAGE)
    story.send(on.MachineFound())
    assert story.does(AGENT_GONE) == []


def test_a_key_while_nobody_knows_who_answered_is_noted_and_is_no_right() -> None:
    story = detecting()
    assert story.send(on.KeyPressed("7")) == [
        do.Note("key_pressed", {"key": "7", "action": "erasure", "stage": "machine"})
    ]


def test_a_person_whose_key_came_too_early_can_press_it_again() -> None:
    story = detecting()
    story.send(on.KeyPressed("8"), on.HumanFound())
    assert story.does(on.KeyPressed("8")) == [do.RegisterRight(Right.ACCESS, "8")]


def test_a_machine_that_greets_in_tones_exercises_no_right_and_agrees_to_nothing() -> None:
    keys = {"1": "consent_recording", "7": "erasure"}
    story = detecting(**MESSAGE, keys=keys, recording={"mode": "opt_in", "legal_basis": "consent"})
    story.send(on.KeyPressed("1"), on.MachineFound())
    assert story.does(on.KeyPressed("1"), on.KeyPressed("7")) == []
    assert story.notes.count("recording_agreed") == 0


def test_a_key_while_it_rang_is_a_right_of_a_machine_or_keeps_it_from_its_message() -> None:
    story = Story(**MESSAGE).ring()
    assert story.does(on.KeyPressed("8")) == []
    assert story.does(on.CalleeAnswered(), on.MachineFound()) == [do.DetectMachine(), says("machine_message")]
    assert story.does(MESSAGE_SAID)[0] == do.HangUp(Party.CALLEE)


@pytest.mark.parametrize(
    "late", [on.MachineFound(), on.TimeRanOut(Timer.MACHINE), on.Failed(do.DetectMachine())]
)
def test_a_verdict_that_comes_after_the_notice_began_changes_nothing(late: Event) -> None:
    story = detecting()
    story.send(on.HumanFound())
    assert story.send(late) == []
    assert story.call.stage is Stage.NOTICE


def test_a_person_who_speaks_into_the_message_is_no_person_any_more() -> None:
    story = detecting(**MESSAGE)
    story.send(on.MachineFound())
    assert story.send(on.HumanFound()) == []


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        (CALLEE_GONE, ("callee_hangup", "")),
        (AGENT_GONE, ("agent_hangup", "")),
        (on.TimeRanOut(Timer.MACHINE), ("failed", "machine_timeout")),
    ],
)
def test_a_call_that_ends_before_it_is_known_who_answered_told_nobody_anything(
    event: Event, ending: tuple[str, str]
) -> None:
    story = detecting()
    story.send(event, CALLEE_GONE, AGENT_GONE)
    assert story.ending == ending
    assert of(do.Play, story) == []


def test_no_agent_is_called_for_a_machine_and_none_is_missed() -> None:
    story = Story(**SILENT, agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.CALLEE_FIRST), on.GateAllowed(story.campaign))
    assert story.does(on.CalleeCreated(), on.TokenSpent(), on.CalleeAnswered())[-1] == do.DetectMachine()
    story.send(on.AgentCreated(), on.MachineFound(), CALLEE_GONE)
    assert story.ending == MACHINE
    assert of(do.CallAgent, story) == []
    assert "call_abandoned" not in story.notes


def test_an_agent_is_called_once_it_is_known_that_a_person_answered() -> None:
    story = Story(**SILENT, agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.CALLEE_FIRST), on.GateAllowed(story.campaign))
    story.send(on.CalleeCreated(), on.TokenSpent(), on.CalleeAnswered())
    assert story.does(on.HumanFound()) == [says("identity"), do.CallAgent()]


def test_whoever_calls_is_taken_for_a_person() -> None:
    story = Story(**SILENT, agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.INBOUND))
    assert story.does(on.GateAllowed(story.campaign)) == [do.AnswerCallee()]
    assert story.does(on.CalleeAnswered()) == [says("identity_inbound")]
