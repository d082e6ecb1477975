"""Whom a call is between, who begins it, what it waits for, and how it ends."""

from enum import StrEnum

#: Why a notice was not heard that could be played: the callee had put the call on hold, and did not come back.
ON_HOLD = "on_hold"


class Party(StrEnum):
    """``CALLEE`` is the person whose data it is: whoever was called, and in an inbound call whoever calls."""

    AGENT = "agent"
    CALLEE = "callee"


class Direction(StrEnum):
    """Who begins: the agent's phone over the dialplan; an API that rings the agent, or the callee, first; or somebody calls."""

    OUTBOUND = "outbound"
    AGENT_FIRST = "agent_first"
    CALLEE_FIRST = "callee_first"
    INBOUND = "inbound"


#: Whose channel the dialplan has handed over, and gets back.
HOMES = {Direction.OUTBOUND: Party.AGENT, Direction.INBOUND: Party.CALLEE}


class Timer(StrEnum):
    """What a call waits for, for a limited time. Each runs once at a time, and counts only if the call still waits for it."""

    #: The callee's channel.
    CREATE = "create"
    #: An answer of the callee; of the agent, who is called first; of the agent, for whom the callee waits.
    RING = "ring"
    AGENT = "agent"
    CONNECT = "connect"
    #: Asterisk's answer to who calls.
    ANSWER = "answer"
    #: Whether a person or a machine has answered.
    MACHINE = "machine"
    #: A callee who has put the call on hold in the notice, as they are asked to agree, or in the last words.
    HOLD = "hold"
    #: The hang-up that has cut the notice off.
    UNHEARD = "unheard"
    #: The key that agrees to the recording.
    AGREEMENT = "agreement"
    #: The recorder's begin, and its end once it was told to stop.
    RECORDER = "recorder"
    STOP = "stop"
    #: The next key of the agent's code.
    CODE = "code"
    #: All that was let go.
    CLOSE = "close"
    #: Another try at keeping what the talk is taken up with, by whoever runs the call: to the call it means nothing.
    KEEP = "keep"


class Outcome(StrEnum):
    """How a call ended, as the dialplan finds it in ``CCARI_OUTCOME``."""

    BRIDGED = "bridged"
    BLOCKED = "blocked"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    CALLEE_HANGUP = "callee_hangup"
    AGENT_HANGUP = "agent_hangup"
    RIGHT_EXERCISED = "right_exercised"
    RECORDING_REFUSED = "recording_refused"
    NOTICE_FAILED = "notice_failed"
    UNAVAILABLE = "unavailable"


#: Beside these, the outcome of a call that was allowed over FastAGI: the dialplan has it, and ccari does not learn what became of it.
HANDED_BACK = "handed_back"
