"""A call told event by event."""

from typing import Any

from ccari.policy.call import Call, decide
from ccari.policy.messages import (
    Bridged,
    CalleeAnswered,
    CalleeCreated,
    CallRequested,
    CloseCall,
    Command,
    Event,
    GateAllowed,
    GiveBack,
    HeardCommitted,
    Note,
    Played,
    RecorderStarted,
    RecordingTagged,
    SetTimer,
    ShowCard,
    TellDialplan,
    TokenSpent,
)
from tests.unit.policy.campaigns import campaign


class Story:
    """``commands``: what the call asked for, step after step."""

    def __init__(self, **changes: Any) -> None:
        self.campaign = campaign(**changes)
        self.call = Call()
        self.commands: list[Command] = []

    def send(self, *events: Event) -> list[Command]:
        """All that the call asks for because of ``events``."""
        told: list[Command] = []
        for event in events:
            self.call, commands = decide(self.call, event)
            told += commands
        self.commands += told
        return told

    def does(self, *events: Event) -> list[Command]:
        """As :meth:`send`, without what only notes, times or tells."""
        untold = Note | SetTimer | TellDialplan | ShowCard
        return [each for each in self.send(*events) if not isinstance(each, untold)]

    def ring(self) -> "Story":
        self.send(CallRequested(), GateAllowed(self.campaign), CalleeCreated(), TokenSpent())
        return self

    def notice(self) -> "Story":
        self.ring().send(CalleeAnswered())
        return self

    def heard(self) -> "Story":
        """The notice was played whole, and is being proven."""
        self.notice().send(*(Played(prompt, whole=True) for prompt in self.call.notice))
        return self

    def recorder(self) -> "Story":
        """The recorder is starting."""
        self.heard().send(HeardCommitted(), RecordingTagged())
        return self

    def talk(self) -> "Story":
        self.recorder().send(RecorderStarted(), Bridged())
        return self

    @property
    def notes(self) -> list[str]:
        return [each.event for each in self.commands if isinstance(each, Note)]

    @property
    def ending(self) -> tuple[str, str] | None:
        """The outcome and the reason that the call closed with, and that the dialplan was given."""
        closed = [(each.outcome.value, each.reason) for each in self.commands if isinstance(each, CloseCall)]
        given = [(each.outcome.value, each.reason) for each in self.commands if isinstance(each, GiveBack)]
        assert given in ([], closed)
        return closed[0] if closed else None
