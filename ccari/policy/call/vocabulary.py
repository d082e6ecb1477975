"""Whom a call is between, who begins it, and how it ends."""

from enum import StrEnum


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
