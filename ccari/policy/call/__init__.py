"""The life of one call, as pure code: ``decide(state, event) -> (state, commands)``.

``life`` says which event leads where; ``reaching`` brings the two on the line, ``telling`` says what has to be said,
``recording`` records and bridges, ``keys`` and ``codes`` hear what the callee and the agent press, ``ending`` lets go.
"""

from ccari.policy.call.life import decide
from ccari.policy.call.state import Call, Recorder, Stage

__all__ = ["Call", "Recorder", "Stage", "decide"]
