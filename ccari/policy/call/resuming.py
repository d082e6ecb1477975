"""A talk that goes on without its service: what is stored of it, and how another run takes it up.

When the service dies or loses its connection, the two talk on in Asterisk, and a lawful recording runs on. What the
database has may be older than the latest events. If in doubt, nobody is recorded, and a right is confirmed twice rather
than not at all. What is said to a callee who had the talk on hold proves nothing until they are back.
"""

from collections.abc import Mapping
from typing import Any

from ccari.policy import notices
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.commands import Command
from ccari.policy.call.keys import confirm, right_registered
from ccari.policy.call.recording import running, stop_recorder, unrecorded, wants_recorder
from ccari.policy.call.state import Call, Leg, RecorderState, Stage, Step, replace
from ccari.policy.call.telling import farewell, owed, speak, whisper
from ccari.policy.call.vocabulary import Outcome
from ccari.policy.recording import stops_recording
from ccari.policy.rights import Right

#: The format of what is stored. A talk stored in another format is not taken up.
VERSION = 2
_FLAGS = (
    "informed", "known", "agreed", "refused", "paused", "unrecordable", "recorded", "handed_over", "briefed",
)  # fmt: skip
_WORDS = ("language", "reason", "due")
#: States in which a recorder runs, or is about to.
_RECORDERS = frozenset({RecorderState.TAGGING, RecorderState.STARTING, RecorderState.RUNNING})
#: The whispers about a right that the agent entered.
_WHISPERED = frozenset({notices.AGENT_RIGHT_REGISTERED, notices.AGENT_RIGHT_FAILED})


def to_keep(call: Call) -> Mapping[str, Any] | None:
    """What to store of a talk, as JSON; None if the two are not talking, since such a call cannot be taken up.

    A right that is not yet durable is left out of ``exercised``: its key may be pressed again. ``owed`` and
    ``whispers``: answers to rights that the callee and the agent have not heard to the end.
    """
    if call.stage is not Stage.TALK:
        return None
    lasting = [each.value for each in call.exercised if each not in call.registering]
    by_agent = sorted(each.value for each in call.by_agent - call.registering)
    copied: dict[str, Any] = {name: getattr(call, name) for name in (*_FLAGS, *_WORDS)}
    return copied | {
        "version": VERSION, "untold": call.untold, "heard": sorted(call.heard), "exercised": lasting, "by_agent": by_agent,
        "recorder": call.recorder.value, "owed": owed(call), "on_hold": call.on_hold or call.maybe_on_hold,
        "whispers": tuple(each for each in (call.whisper, *call.whispers) if each in _WHISPERED),
    }  # fmt: skip


def is_recording(kept: Mapping[str, Any]) -> bool:
    """True if a running recorder should go on, by what was stored."""
    return kept["recorder"] in _RECORDERS and not kept["refused"] and not kept["paused"]


def is_stricter(kept: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> bool:
    """True if the recording was paused or refused since ``before`` was stored."""
    return kept is not None and any(
        kept[each] and not (before and before[each]) for each in ("paused", "refused")
    )


def outdated(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was stored before the talk's newest recorder, which is on record: the state of that recorder is unknown."""
    return {**kept, "recorder": RecorderState.LOST.value}


def resumed(event: on.TalkResumed) -> Step:
    """The talk as stored, with the rights on record. Confirmations that were not heard to the end are said now.

    If its recorder has ended meanwhile, the reason is unknown: perhaps it was paused or refused. So no new
    one is started, except in a talk that never had one.

    The dialplan is told what it does not know after the next prompt, not now: an earlier prompt may still be
    playing to its channel, and until that ends Asterisk answers no request about the channel.
    """
    kept, recording, call = event.kept, event.campaign.recording, _as_kept(event)
    commands: list[Command] = [do.Note("talk_resumed", {"recorded": "yes" if event.recording else "no"})]
    was = call.reason
    if event.recording:
        # a recorder that was starting when the talk was left has started since
        call = replace(running(call), recorded=True)
    if any(stops_recording(each.right, recording.legal_basis, recording.mode) for each in event.registered):
        call = replace(call, refused=True)
    if call.refused and call.recorder is RecorderState.RUNNING:
        # the run that registered the refusal died, or lost Asterisk, before it stopped the recorder
        call, said = stop_recorder(call, keep=True)
        commands += said
    for right in event.registered:
        if right.right not in call.exercised:
            call, said = _confirmed(call, right)
            commands += said
    call, said = _as_recorded(call, kept)
    commands += said
    if call.stage is Stage.TALK:
        for prompt in kept.get("whispers", ()):
            call, said = whisper(call, prompt)
            commands += said
        call, said = speak(call)
        commands += said
    later: list[Command] = [each for each in commands if not isinstance(each, do.TellDialplan)]
    untold = call.untold or call.reason != was or len(later) < len(commands)
    return replace(call, untold=untold), later


def _as_kept(event: on.TalkResumed) -> Call:
    """The talk as it was stored."""
    kept = event.kept
    return Call(
        stage=Stage.TALK, direction=event.direction, campaign=event.campaign, agent=Leg.HERE, callee=Leg.HERE,
        heard=frozenset(kept["heard"]), exercised=tuple(map(Right, kept["exercised"])),
        by_agent=frozenset(map(Right, kept["by_agent"])), untold=kept.get("untold", True),
        maybe_on_hold=kept.get("on_hold", False),
        upcoming=tuple(kept.get("owed", ())), **{name: kept[name] for name in (*_FLAGS, *_WORDS)},
    )  # fmt: skip


def _confirmed(call: Call, right: on.RightOnRecord) -> Step:
    """Confirm a right that was not confirmed: the run that registered it died, or lost Asterisk, before."""
    by_agent = call.by_agent | {right.right} if right.by_agent else call.by_agent
    call = replace(call, exercised=(*call.exercised, right.right), by_agent=by_agent)
    if right.noted:
        return confirm(call, right.right, right.reference, right.due)
    return right_registered(call, on.RightRegistered(right.right, right.reference, right.due))


def _as_recorded(call: Call, kept: Mapping[str, Any]) -> Step:
    """Handle a talk that should be recorded but is not, or that must be recorded but may not be."""
    if call.stage is not Stage.TALK:
        return call, []
    if call.refused and call.declared.recording.must:
        return farewell(call, Outcome.RECORDING_REFUSED, "recording_refused")
    ended = call.recorder is not RecorderState.RUNNING and kept["recorder"] != RecorderState.IDLE
    if ended and wants_recorder(call):
        return unrecorded(replace(call, recorder=RecorderState.DONE))
    return call, []
