"""Brings the two parties onto the line: the gate, the channels, the ringing, and how each of these can turn out."""

from ccari.policy import notices
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call import transfer
from ccari.policy.call.commands import Command
from ccari.policy.call.ending import end, hang_up, tell_dialplan
from ccari.policy.call.recording import record_or_bridge
from ccari.policy.call.state import (
    ANSWER_SECONDS,
    CREATE_SECONDS,
    MACHINE_SECONDS,
    Call,
    Leg,
    Stage,
    Step,
    replace,
    then,
)
from ccari.policy.call.telling import answers, put_off, speak, whisper
from ccari.policy.call.vocabulary import Direction, Outcome, Party, Timer
from ccari.policy.gate import Block

#: Q.850 causes of a leg that was never answered.
_BUSY = 17
_NO_ANSWER = frozenset({18, 19})
_FAILURES = {
    1: "unallocated",
    # a mobile telephone that is switched off, if the network gives its own cause (RFC 3326)
    20: "unreachable",
    21: "rejected",
    22: "number_changed",
    # the end of a redirected leg may be reported before its new target
    23: "redirected",
    27: "out_of_order",
    28: "invalid_number",
    34: "congestion",
    38: "network",
    41: "network",
    42: "congestion",
}


def allowed(call: Call, event: on.GateAllowed) -> Step:
    """The gate has allowed the call. A caller is answered; otherwise whoever is to be on the line first is called."""
    call = replace(call, campaign=event.campaign, informed=event.informed, known=event.known)
    gated = do.Note(
        "call_gated", {} if call.direction is Direction.OUTBOUND else {"direction": call.direction.value}
    )
    match call.direction:
        case Direction.INBOUND:
            telling = tell_dialplan(call, Outcome.CALLEE_HANGUP, "")
            timer = do.SetTimer(Timer.ANSWER, ANSWER_SECONDS)
            return replace(call, stage=Stage.ANSWER), [gated, *telling, timer, do.AnswerCallee()]
        case Direction.AGENT_FIRST:
            timer = do.SetTimer(Timer.AGENT, float(event.campaign.connect_seconds))
            return replace(call, stage=Stage.AGENT, agent=Leg.CALLED), [gated, timer, do.CallAgent()]
        case _:
            telling = tell_dialplan(call, Outcome.AGENT_HANGUP, "")
            return then([gated, *telling], create_callee(call))


def create_callee(call: Call) -> Step:
    """Create the callee's channel. It is not dialled before the token is spent."""
    call = replace(call, stage=Stage.CREATE, callee=Leg.CALLED)
    return call, [do.SetTimer(Timer.CREATE, CREATE_SECONDS), do.CreateCallee()]


def outcome_of(block: Block) -> Outcome:
    """The outcome of a call that the gate blocks. If the gate could not be asked, nobody was refused."""
    return Outcome.UNAVAILABLE if block is Block.STORE_UNAVAILABLE else Outcome.BLOCKED


def block(call: Call, why: Block) -> Step:
    """The gate has refused the call, at first or when the token was to be spent. An agent who is here is told why, in a whisper."""
    if why.startswith("suppressed"):
        prompt = notices.BLOCKED_SUPPRESSED
    elif why is Block.STORE_UNAVAILABLE:
        prompt = notices.UNAVAILABLE
    else:
        prompt = notices.BLOCKED
    outcome = outcome_of(why)
    commands: list[Command] = [
        do.Note("call_blocked", {"reason": why.value}),
        *tell_dialplan(call, outcome, why.value),
    ]
    if call.agent is not Leg.HERE:
        return then(commands, end(call, outcome, why.value))
    call, undialled = hang_up(call, Party.CALLEE)
    commands += undialled
    if call.direction is Direction.OUTBOUND:
        commands.append(do.AnswerAgent())
    call = replace(call, stage=Stage.FAREWELL, outcome=outcome, reason=why.value)
    return whisper(call, prompt, *commands)


def agent_answered(call: Call) -> Step:
    """The agent has answered: go on with whatever waited for them."""
    if not call.agent.is_awaited:
        return call, []
    call, note = replace(call, agent=Leg.HERE), do.Note("agent_answered")
    match call.stage:
        case Stage.AGENT:
            return then([note], create_callee(call))
        case Stage.CONNECT:
            return then([note], transfer.brief(call) if call.handed_over else record_or_bridge(call))
        case _:
            return call, [note]


def dial(call: Call) -> Step:
    """The token is spent: dial the callee, and let it ring for as long as the campaign says."""
    return replace(call, stage=Stage.RING, nobody=True), [
        do.SetTimer(Timer.RING, float(call.declared.ring_seconds)),
        do.Dial(),
        do.Note("callee_dialled"),
    ]


def rang(call: Call) -> Step:
    """The callee's telephone rings: an agent who waits hears that."""
    ringing: list[Command] = [do.Ring(Party.AGENT)] if call.agent is Leg.HERE else []
    return replace(call, rang=True), [*ringing, do.Note("callee_rang")]


def answered(call: Call) -> Step:
    """The callee has answered. The notice begins at once, unless a machine may have answered."""
    note = do.Note("callee_answered")
    if call.declared.answering_machine is not None and not call.is_inbound:
        timer = do.SetTimer(Timer.MACHINE, MACHINE_SECONDS)
        return replace(call, stage=Stage.MACHINE), [note, timer, do.DetectMachine()]
    return begin_notice(call, note)


def begin_notice(call: Call, *first: Command) -> Step:
    """A person listens: begin the notice, and show the agent the card. In a callee-first call, call the agent meanwhile."""
    after: list[Command] = [do.ShowCard()]
    if call.direction is Direction.CALLEE_FIRST:
        call = replace(call, agent=Leg.CALLED)
        after.append(do.CallAgent())
    call, commands = speak(
        replace(call, stage=Stage.NOTICE, nobody=False, upcoming=(*answers(call), *call.notice)), *first
    )
    return call, [*commands, *put_off(call), *after]


def machine_found(call: Call) -> Step:
    """An answering machine counts as no answer. If the campaign says so, leave it a message."""
    note = do.Note("machine_found")
    rules = call.declared.answering_machine
    if rules is None or not rules.message:
        return then([note], end(call, Outcome.NO_ANSWER, "machine"))
    call = replace(
        call, stage=Stage.FAREWELL, outcome=Outcome.NO_ANSWER, reason="machine",
        upcoming=(notices.MACHINE_MESSAGE,),
    )  # fmt: skip
    return speak(call, note)


def agent_created(call: Call) -> Step:
    """The agent's channel exists: ring it, unless the agent is no longer wanted."""
    return (replace(call, agent=Leg.RINGING), [do.DialAgent()]) if call.agent is Leg.CALLED else (call, [])


def agent_not_called(call: Call) -> Step:
    """Calling the agent has failed. The channel may exist all the same, so hang it up: its end is reported either way."""
    return hang_up(call, Party.AGENT) if call.agent.is_awaited else (call, [])


def unanswered(call: Call, gone: on.Gone) -> Step:
    """The callee was not reached. That they do not want the call says more than its cause."""
    cause = gone.cause
    if gone.unwanted:
        return end(call, Outcome.FAILED, "unwanted")
    if cause == _BUSY:
        return end(call, Outcome.BUSY, "")
    if cause in _NO_ANSWER:
        return end(call, Outcome.NO_ANSWER, "")
    return end(call, Outcome.FAILED, _FAILURES.get(cause, f"cause_{cause}"))


def spend_token(call: Call) -> Step:
    """The callee's channel exists: ask the gate once more, and spend the token that lets one dial."""
    return replace(call, stage=Stage.TOKEN), [do.SpendToken()]
