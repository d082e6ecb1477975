"""A call told event by event."""

from typing import Any

from ccari.policy.call import Call, Command, Event, decide
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from tests.unit.policy.campaigns import campaign


class Story:
    """``commands``: what the call asked for, step after step."""

    def __init__(self, **changes: Any) -> None:
        self.campaign = campaign(**changes)
        self.call = Call()
        self.commands: list[Command] = []

    def send(self, *events: Event) -> list[Command]:
        """Every command that the call gives because of ``events``."""
        told: list[Command] = []
        for event in events:
            self.call, commands = decide(self.call, event)
            told += commands
        self.commands += told
        return told

    def does(self, *events: Event) -> list[Command]:
        """As :meth:`send`, without the commands that only note, set timers or inform."""
        untold = do.Note | do.SetTimer | do.TellDialplan | do.ShowCard
        return [each for each in self.send(*events) if not isinstance(each, untold)]

    def ring(self) -> "Story":
        self.send(on.CallRequested(), on.GateAllowed(self.campaign), on.CalleeCreated(), on.TokenSpent())
        return self

    def notice(self) -> "Story":
        self.ring().send(on.CalleeAnswered())
        return self

    def heard(self) -> "Story":
        """The notice was played whole, and its proof is being committed."""
        self.notice().send(*(on.Played(prompt, whole=True) for prompt in self.call.notice))
        return self

    def recorder(self) -> "Story":
        """The recorder is starting."""
        self.heard().send(on.HeardCommitted(), on.RecordingTagged())
        return self

    def talk(self) -> "Story":
        self.recorder().send(on.RecorderStarted(), on.Bridged())
        return self

    @property
    def notes(self) -> list[str]:
        return [each.event for each in self.commands if isinstance(each, do.Note)]

    @property
    def ending(self) -> tuple[str, str] | None:
        """The outcome and the reason with which the call was closed and returned to the dialplan."""
        closed = [
            (each.outcome.value, each.reason) for each in self.commands if isinstance(each, do.CloseCall)
        ]
        given = [(each.outcome.value, each.reason) for each in self.commands if isinstance(each, do.GiveBack)]
        assert given in ([], closed)
        return closed[0] if closed else None
