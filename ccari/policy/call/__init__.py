"""The life of one call, as pure code: ``decide(state, event) -> (state, commands)``.

``events`` are all that can happen to a call, ``commands`` all that can be asked for; imported, they read ``on.KeyPressed``
and ``do.HangUp``. ``life`` says which event leads where; ``reaching`` brings the two on the line, ``telling`` says what has
to be said, ``recording`` records and bridges, ``keys`` and ``codes`` hear what the callee and the agent press, ``transfer``
puts a colleague in the agent's place, ``ending`` lets go.
"""

from ccari.policy.call.commands import Command
from ccari.policy.call.events import Event
from ccari.policy.call.life import decide
from ccari.policy.call.state import Call, Recorder, Stage
from ccari.policy.call.vocabulary import Direction, Outcome, Party, Timer

__all__ = [
    "Call",
    "Command",
    "Direction",
    "Event",
    "Outcome",
    "Party",
    "Recorder",
    "Stage",
    "Timer",
    "decide",
]
