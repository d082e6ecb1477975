"""Translates ARI's JSON to the events of ``ccari.policy``. Only this module knows what Asterisk's words mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ccari.calls.transport import HEARTBEAT_SECONDS
from ccari.policy.call import Direction, Event, Party
from ccari.policy.call import events as on
from ccari.policy.call.vocabulary import HOMES

#: How much of a file may be missing. Asterisk reports the end when it has sent the last frame, stamps events in whole
#: milliseconds, and may send 20 ms frames a little ahead of the clock. If more is missing, the end was not played.
TOLERANCE_MS = 150
#: How much older than its arrival an event may be: Asterisk may be busy, our event loop late, or packets lost
#: for a while. A connection silent for this long is given up. So an event older than this means that the
#: clocks differ, and its arrival counts.
LATE_SECONDS = 1.5 * HEARTBEAT_SECONDS
#: Stands for the beginning of a call that began at an unknown time.
EVER = datetime.min.replace(tzinfo=UTC)
#: SIP's 607 (RFC 8197): the callee has marked the call as one that they do not want. Asterisk reports it, and 608, as cause 127.
_UNWANTED = 607
#: SIP's 608 (RFC 8688): a network that judges calls has rejected this one.
_REJECTED_BY_NETWORK = 608
#: Q.850: call rejected.
_REJECTED = 21
#: The prefix of every name that ccari gives in Asterisk.
PREFIX = "ccari-"
#: The call's id must follow. The prefix alone may match other channels: Asterisk puts ``systemname`` of
#: asterisk.conf before its ids.
_MADE = re.compile(rf"{PREFIX}([0-9a-f-]{{36}})(?:-|\Z)")


@dataclass(slots=True)
class Ids:
    """The names of everything that a call makes in Asterisk. We choose them, so that no early event is missed.

    ``home``: the channel that the dialplan handed over, if any. ``agents``: how many agents were released by
    transfers, each with a channel of their own. ``bridge``, ``callee`` and ``agent`` are stored, because
    every event is compared with them.
    """

    call: UUID
    direction: Direction
    home: str | None
    agents: int = 0
    bridge: str = field(init=False)
    callee: str = field(init=False)
    agent: str = field(init=False)

    def __post_init__(self) -> None:
        self.bridge = f"{PREFIX}{self.call}"
        self.callee, self.agent = self._leg(Party.CALLEE), self._leg(Party.AGENT)

    @property
    def home_party(self) -> Party | None:
        """The party whose channel the dialplan must still get back."""
        home = HOMES.get(self.direction)
        return None if self.agents and home is Party.AGENT else home

    def hand_over(self) -> str:
        """Give the agent a new channel name, and return the former one."""
        former = self.agent
        self.agents += 1
        self.agent = self._leg(Party.AGENT)
        return former

    @property
    def former_agents(self) -> list[str]:
        """The channels that we made for former agents; the dialplan's own is not among them."""
        ours = 1 if self.home is not None and HOMES.get(self.direction) is Party.AGENT else 0
        return [self._made(Party.AGENT, count) for count in range(ours, self.agents)]

    def snoop(self, segment: int, spy: str = "both") -> str:
        """The snoop channel of the ``segment``-th recording, for one side or both."""
        return f"{self.bridge}-snoop{segment}{'' if spy == 'both' else f'-{spy}'}"

    def channel(self, party: Party) -> str:
        return self.agent if party is Party.AGENT else self.callee

    def _leg(self, party: Party) -> str:
        if self.home is not None and self.home_party is party:
            return self.home
        return self._made(party, self.agents if party is Party.AGENT else 0)

    def _made(self, party: Party, count: int) -> str:
        return f"{self.bridge}-{party}{count or ''}"


def call_of(name: str) -> str | None:
    """The id of the call that one of our channels or bridges was made for; None if it is not ours."""
    made = _MADE.match(name)
    return made[1] if made else None


@dataclass(slots=True)
class Playback:
    """One playback. ``whole`` is set once it has provably run its full length."""

    id: str
    party: Party
    prompt: str
    duration_ms: int
    #: By the loop's clock.
    asked_at: float
    started: datetime | None = None
    stopped_by_us: bool = False
    whole: bool = False

    def finished(self, state: str, at: datetime) -> on.Played:
        """The end of the playback. ``done`` alone does not prove that it was whole: Asterisk also reports it
        of one that was stopped.
        """
        elapsed_ms = (at - self.started).total_seconds() * 1000 if self.started else 0.0
        lasted = elapsed_ms >= self.duration_ms - TOLERANCE_MS
        self.whole = state == "done" and not self.stopped_by_us and lasted
        return on.Played(self.prompt, self.whole, self.party)


_CALLEE_STATES: dict[str, Event] = {"Up": on.CalleeAnswered(), "Ringing": on.CalleeRang()}


def translate(  # noqa: PLR0912 - one arm an event
    event: dict[str, Any],
    ids: Ids,
    playbacks: Mapping[Party, Playback],
    recording: str | None,
    began: datetime = EVER,
    arrived: datetime | None = None,
) -> Event | None:
    """The event of the call that an ARI event stands for; None if it stands for none. Also notes when a playback started.

    ``recording``: the name of the newest recording; no other can begin or end any more. ``began``: when the
    call began. ``arrived``: when the event came, if before now.
    """
    match event["type"]:
        case "StasisStart":
            return _entered(event, ids)
        case "StasisEnd":
            return _left(event, ids)
        case "ChannelDestroyed":
            return _destroyed(event, ids)
        case "ChannelStateChange":
            return _changed(event, ids)
        case "Dial" if event["peer"]["id"] == ids.callee:
            if event.get("forward"):
                return on.CalleeRedirected()
            return on.CalleeRang() if event.get("dialstatus") == "PROGRESS" else None
        case "ChannelHold" | "ChannelUnhold" as kind if event["channel"]["id"] == ids.callee:
            return on.HoldBegan() if kind == "ChannelHold" else on.HoldEnded()
        case "ChannelDtmfReceived":
            return _pressed(event, ids, began, arrived)
        case "ChannelLeftBridge" if event["bridge"]["id"] == ids.bridge:
            return _led_away(event, ids, began, arrived or datetime.now(UTC))
        case "ChannelTransfer":
            return _transfer_asked(event, ids)
        case "PlaybackStarted" | "PlaybackFinished":
            return _played(event, playbacks)
        case "RecordingStarted" if event["recording"]["name"] == recording:
            return on.RecorderStarted()
        case "RecordingFinished" | "RecordingFailed" if event["recording"]["name"] == recording:
            return on.RecorderStopped()
        case _:
            return None


def _entered(event: dict[str, Any], ids: Ids) -> Event | None:
    match event["channel"]["id"], event["args"]:
        case ids.callee, [_, verdict]:
            # back from AMD; NOTSURE counts as a person
            return on.MachineFound() if verdict == "MACHINE" else on.HumanFound()
        case ids.callee, _ if ids.callee != ids.home:
            return on.CalleeCreated()
        case ids.agent, _ if ids.agent != ids.home:
            return on.AgentCreated()
        case _:
            return None


def _left(event: dict[str, Any], ids: Ids) -> Event | None:
    if ids.home_party is None or event["channel"]["id"] != ids.home:
        return None
    return on.Gone(ids.home_party)


def _led_away(event: dict[str, Any], ids: Ids, began: datetime, arrived: datetime) -> on.LedAway | None:
    party = next((each for each in Party if ids.channel(each) == event["channel"]["id"]), None)
    return None if party is None else on.LedAway(party, moment(event, began, arrived))


def _changed(event: dict[str, Any], ids: Ids) -> Event | None:
    channel, state = event["channel"]["id"], event["channel"]["state"]
    if channel == ids.callee:
        return _CALLEE_STATES.get(state)
    return on.AgentAnswered() if channel == ids.agent and state == "Up" else None


def _pressed(event: dict[str, Any], ids: Ids, began: datetime, arrived: datetime | None) -> Event | None:
    key, at = str(event["digit"]), _went_down(event, began, arrived or datetime.now(UTC))
    match event["channel"]["id"]:
        case ids.callee:
            return on.KeyPressed(key, at)
        case ids.agent:
            return on.AgentKeyPressed(key, at)
        case _:
            return None


def _went_down(event: dict[str, Any], began: datetime, arrived: datetime) -> datetime:
    """When a key was pressed, but not before the call ``began``. Asterisk reports a key on release; how long
    it was held is the telephone's word.
    """
    held = timedelta(milliseconds=max(0, event.get("duration_ms", 0)))
    # nor after its arrival, in case the clock was put back since the call began
    return min(arrived, max(began, moment(event, began, arrived) - held))


def moment(event: dict[str, Any], began: datetime, arrived: datetime) -> datetime:
    """When an event happened, in UTC: by Asterisk's clock if plausible, else when it ``arrived``.

    Asterisk's time is plausible if it is not after the arrival, at most :data:`LATE_SECONDS` before it, and
    not before the call ``began``.
    """
    earliest = max(began, arrived - timedelta(seconds=LATE_SECONDS))
    try:
        at = datetime.fromisoformat(event["timestamp"])
        believed = earliest <= at <= arrived
    except (KeyError, TypeError, ValueError):
        return arrived
    return at.astimezone(UTC) if believed else arrived


def came_at(event: Mapping[str, Any], read_at: datetime, stood_still_seconds: float) -> datetime:
    """When an event came, in UTC, if it is read late because the service stalled: Asterisk's time, within the stall."""
    try:
        at = datetime.fromisoformat(event["timestamp"])
        return min(read_at, max(at, read_at - timedelta(seconds=stood_still_seconds))).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return read_at


def _transfer_asked(event: dict[str, Any], ids: Ids) -> on.TransferAsked | None:
    """Translate a REFER. Asterisk repeats the event, with a ``state``, for each answer that we give."""
    if event["referred_by"]["source_channel"]["id"] != ids.agent or "state" in event:
        return None
    wanted = event["refer_to"]["requested_destination"]
    # a REFER with Replaces names a call to take over, not a number to dial
    return on.TransferAsked(None if "protocol_id" in wanted else wanted.get("destination"))


def channel_of(event: dict[str, Any]) -> str | None:
    """The channel that an event is about."""
    match event:
        case {"channel": {"id": str(channel)}} | {"peer": {"id": str(channel)}}:
            return channel
        case {"referred_by": {"source_channel": {"id": str(channel)}}}:
            return channel
        case {"playback": {"target_uri": str(uri)}} | {"recording": {"target_uri": str(uri)}}:
            return uri.removeprefix("channel:")
        case _:
            return None


def _destroyed(event: dict[str, Any], ids: Ids) -> on.Gone | None:
    match event["channel"]["id"]:
        case ids.callee:
            status = event.get("tech_cause")
            cause = _REJECTED if status == _REJECTED_BY_NETWORK else int(event.get("cause", 0))
            return on.Gone(Party.CALLEE, cause, unwanted=status == _UNWANTED)
        case ids.agent:
            return on.Gone(Party.AGENT, int(event.get("cause", 0)))
        case _:
            return None


def _played(event: dict[str, Any], playbacks: Mapping[Party, Playback]) -> on.Played | None:
    playback = next((each for each in playbacks.values() if each.id == event["playback"]["id"]), None)
    if playback is None:
        return None
    at = datetime.fromisoformat(event["timestamp"])
    if event["type"] == "PlaybackStarted":
        # reported for each file of several
        playback.started = playback.started or at
        return None
    return playback.finished(event["playback"]["state"], at)
