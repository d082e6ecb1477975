"""Which states of a walk count as one: whatever no later step can distinguish is forgotten, so that walks end."""

from collections.abc import Hashable

from ccari.policy import notices
from ccari.policy.call import Call, Command, Direction, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.campaign import Campaign
from tests.unit.policy.world import Side, Sounding, World

#: Everything that may fail, or be reported, in a call whose callee was dialled.
_EVERYTHING_ASKED = frozenset[Command](
    {
        do.CreateCallee(),
        do.Dial(),
        do.CallAgent(),
        do.DialAgent(),
        do.AnswerAgent(),
        do.AnswerCallee(),
        do.DetectMachine(),
        do.StartRecorder(),
        do.StopRecorder(keep=True),
    }
)
_OF_AN_AGENT = frozenset[Command]({do.CallAgent(), do.DialAgent(), do.HangUp(Party.AGENT)})
_HANG_UPS = frozenset[Command]({do.HangUp(Party.CALLEE), do.HangUp(Party.AGENT)})
_EVERY_TIMER = frozenset(Timer) - {Timer.KEEP}
_LAST_WORDS = frozenset(
    {Sounding(Party.CALLEE, notices.GOODBYE, ""), Sounding(Party.AGENT, notices.UNAVAILABLE, "")}
)
_NONE_HEARD = frozenset[tuple[str, str]]()
_GONE = Side("gone", created=True, dialled=True, answered=True, let_go=True)
_NO_WORLD = World()
#: Once the callee has answered; later commands are known by their results.
_CONVERSING = frozenset(
    {
        Stage.HEARD,
        Stage.AGREEMENT,
        Stage.CONNECT,
        Stage.TAG,
        Stage.RECORDER,
        Stage.DISCARD,
        Stage.QUIET,
        Stage.BRIDGE,
        Stage.TALK,
        Stage.HANDOVER,
        Stage.BRIEFING,
    }
)
_AFTER_THE_NOTICE = _CONVERSING - {Stage.HEARD}


def merge(campaign: Campaign, stage: Stage, world: World) -> World:
    """The world of a call in this stage. Forget what no later step can distinguish; for the rest assume the worst: every
    timer set, everything may yet fail.
    """
    if stage is Stage.CLOSED:
        return _NO_WORLD
    if world.heard_committed:
        # the notice is no longer proven, in any language
        world = world._replace(heard=_NONE_HEARD, language="", informed=False, sounding=_mute(world))
    if stage is Stage.CLOSE:
        return world._replace(
            asked=_everything(world) | _HANG_UPS,
            timers=_EVERY_TIMER,
            agent=_end(world.agent),
            callee=_end(world.callee),
            ringing=frozenset(),
            heard=_NONE_HEARD,
            language="",
            informed=False,
            token_spent=True,
            heard_committed=False,
            tagged=False,
            bridging=True,
            parted=True,
            on_hold=False,
            typed="",
            paused=False,
            agreed=False,
            durable=frozenset(),
            entered=frozenset(),
            abandoned=False,
            briefed=False,
            reheard=False,
            sounding=_LAST_WORDS if _reached(world) else world.sounding,
        )
    if stage is Stage.FAREWELL and world.callee.answered:
        agent = _end(world.agent) if _is_past(world.agent) else world.agent
        return world._replace(
            agent=agent,
            asked=_everything(world) | _HANG_UPS,
            timers=_EVERY_TIMER,
            heard=_NONE_HEARD,
            language="",
            informed=False,
            sounding=_mute(world),
            heard_committed=False,
            tagged=False,
            bridging=True,
            parted=True,
            typed="",
            paused=False,
            agreed=False,
            briefed=False,
            reheard=False,
        )
    if stage is Stage.TALK:
        return world._replace(asked=_everything(world), timers=_EVERY_TIMER)
    if stage is Stage.UNHEARD:
        world = world._replace(heard=_NONE_HEARD)
    elif world.heard:
        due = world.notice(campaign)
        world = world._replace(heard=frozenset(each for each in world.heard if each[0] in due))
    if _is_past(world.agent):
        world = world._replace(agent=_end(world.agent), asked=world.asked | _OF_AN_AGENT)
    return world


def _mute(world: World) -> frozenset[Sounding]:
    return frozenset(each._replace(language="") for each in world.sounding)


def _end(side: Side) -> Side:
    if side.there == "gone":
        return _GONE
    return side._replace(created=True, dialled=True, answered=True) if side.there == "made" else side


def _is_past(side: Side) -> bool:
    return side.let_go or side.there == "gone"


def _everything(world: World) -> frozenset[Command]:
    """Not for a call that never reached its callee: much of it cannot happen there."""
    return _EVERYTHING_ASKED if _reached(world) else world.asked


def _reached(world: World) -> bool:
    return do.Dial() in world.asked or do.AnswerCallee() in world.asked


def same(call: Call) -> Hashable:
    """Equal for states that nothing can distinguish: only the set of the rights counts, and only whether there is a
    reason.
    """
    stage = call.stage
    if stage is Stage.CLOSED:
        return stage
    if stage is Stage.CLOSE:
        return (
            stage,
            call.agent,
            call.callee,
            frozenset(call.exercised),
            call.registering,
            call.recorder,
            call.outcome,
        )
    before_the_end: Hashable = None
    if stage is not Stage.FAREWELL:
        # an agent who was called first hears ringing until the bridge
        rang = call.rang and (stage is Stage.RING or call.direction is Direction.AGENT_FIRST)
        heard = (
            None
            if stage in _CONVERSING or stage is Stage.UNHEARD
            else (call.heard, call.discounted, call.informed)
        )
        language = None if stage in _AFTER_THE_NOTICE else call.language
        handed_over = (
            call.briefed,
            call.due,
            call.untold,
            call.due is not None and call.discounted,
        )
        before_the_end = (
            rang,
            heard,
            language,
            call.agreed,
            call.paused,
            call.unrecordable,
            call.typed,
            handed_over,
        )
    return (
        stage, call.campaign is None, call.agent, call.callee, call.nobody, call.playing, call.upcoming, call.whisper,
        call.whispers, frozenset(call.exercised), call.registering, call.by_agent, call.refused, call.recorded,
        call.recorder, call.outcome, bool(call.reason), call.known, call.on_hold,
        before_the_end,
    )  # fmt: skip
