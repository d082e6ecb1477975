"""The life of one call, as pure code: ``decide(state, event) -> (state, commands)``.

``state`` is what is known of a call. ``events`` lists everything that can happen to it, ``commands``
everything that can be asked for; they are imported as ``on`` and ``do``, to read ``on.KeyPressed`` and
``do.HangUp``. Begin at ``life``: it says which event leads where, and leaves the steps to the others:

- ``reaching``: gate, dialling, ringing, answering machines;
- ``telling``: which prompt is played next, to the callee and in whispers to the agent;
- ``recording``: from the heard notice to the talk, and the recorder;
- ``keys`` and ``codes``: what the callee and the agent press;
- ``transfer``: a colleague takes the agent's place;
- ``ending``: releasing everything;
- ``resuming``: a talk taken up again by a service that was restarted or has reconnected.
"""

from ccari.policy.call.commands import Command
from ccari.policy.call.events import Event
from ccari.policy.call.life import decide
from ccari.policy.call.state import Call, RecorderState, Stage
from ccari.policy.call.vocabulary import HANDED_BACK, ON_HOLD, Direction, Outcome, Party, Timer

__all__ = [
    "HANDED_BACK",
    "ON_HOLD",
    "Call",
    "Command",
    "Direction",
    "Event",
    "Outcome",
    "Party",
    "RecorderState",
    "Stage",
    "Timer",
    "decide",
]
