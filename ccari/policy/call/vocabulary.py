"""Who takes part in a call, who begins it, what it waits for, and how it ends."""

from enum import StrEnum

#: Why a playable notice was not heard: the callee had put the call on hold, and did not come back.
ON_HOLD = "on_hold"


class Party(StrEnum):
    """``CALLEE`` is the data subject: the person called, or in an inbound call the caller."""

    AGENT = "agent"
    CALLEE = "callee"


class Direction(StrEnum):
    """Who begins the call: the agent, dialling through the dialplan; an API, which has the agent or the callee rung first; or a caller."""

    OUTBOUND = "outbound"
    AGENT_FIRST = "agent_first"
    CALLEE_FIRST = "callee_first"
    INBOUND = "inbound"


#: Whose channel the dialplan has handed over, and gets back.
HOMES = {Direction.OUTBOUND: Party.AGENT, Direction.INBOUND: Party.CALLEE}


class Timer(StrEnum):
    """What a call waits for, for a limited time. One timer of each kind runs at a time. It counts only if the call still waits
    for that.
    """

    #: The callee's channel.
    CREATE = "create"
    #: An answer: of the callee; of the agent, who is called first; of the agent, for whom the callee waits.
    RING = "ring"
    AGENT = "agent"
    CONNECT = "connect"
    #: Asterisk's answer to a caller.
    ANSWER = "answer"
    #: Whether a person or a machine has answered.
    MACHINE = "machine"
    #: The return of a callee who has put the call on hold: in the notice, the question about the recording,
    #: or the last words.
    HOLD = "hold"
    #: The hang-up that has broken the notice off.
    UNHEARD = "unheard"
    #: The key that agrees to the recording.
    AGREEMENT = "agreement"
    #: The recorder's start, and its end after a stop.
    RECORDER = "recorder"
    STOP = "stop"
    #: The next key of the agent's code.
    CODE = "code"
    #: The release of everything.
    CLOSE = "close"
    #: The next attempt to store the talk, by the runner; it means nothing to the call.
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


#: Another outcome, of a call allowed over FastAGI: the dialplan has it, and ccari does not learn what became of it.
HANDED_BACK = "handed_back"
