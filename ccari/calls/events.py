"""From ARI's JSON to the events of ``ccari.policy``: the one place that knows what Asterisk's words mean."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ccari.policy.messages import (
    CalleeAnswered,
    CalleeCreated,
    CalleeRang,
    CalleeRedirected,
    Event,
    Gone,
    KeyPressed,
    Party,
    Played,
    RecorderStarted,
    RecorderStopped,
)

#: Asterisk reports the end of a file when it has sent the last frame, and stamps events in whole milliseconds; frames
#: of 20 ms may be sent a little ahead of the clock. More than this missing means that the end was not played.
TOLERANCE_MS = 150


@dataclass(frozen=True, slots=True)
class Ids:
    """The names of everything a call makes in Asterisk, chosen by us, so that no early event is missed."""

    call: UUID
    agent: str
    recording: UUID

    @property
    def callee(self) -> str:
        return f"ccari-{self.call}-callee"

    @property
    def snoop(self) -> str:
        return f"ccari-{self.call}-snoop"

    @property
    def bridge(self) -> str:
        return f"ccari-{self.call}"


@dataclass(slots=True)
class Playback:
    """A playback under way, and what proves that it was whole."""

    id: str
    prompt: str
    duration_ms: int
    started: datetime | None = None
    stopped_by_us: bool = False

    def finished(self, state: str, at: datetime) -> Played:
        """``done`` alone proves nothing: Asterisk says it of a playback that was stopped, too."""
        elapsed_ms = (at - self.started).total_seconds() * 1000 if self.started else 0.0
        whole = state == "done" and not self.stopped_by_us and elapsed_ms >= self.duration_ms - TOLERANCE_MS
        return Played(self.prompt, whole)


_STATES: dict[str, Event] = {"Up": CalleeAnswered(), "Ringing": CalleeRang()}


def translate(event: dict[str, Any], ids: Ids, playback: Playback | None) -> Event | None:
    """What an ARI event means to the call; None if nothing. ``playback`` learns when it began."""
    match event["type"]:
        case "StasisStart":
            return CalleeCreated() if event["channel"]["id"] == ids.callee else None
        case "StasisEnd":
            return Gone(Party.AGENT) if event["channel"]["id"] == ids.agent else None
        case "ChannelDestroyed":
            return _destroyed(event, ids)
        case "ChannelStateChange" if event["channel"]["id"] == ids.callee:
            return _STATES.get(event["channel"]["state"])
        case "Dial" if event["peer"]["id"] == ids.callee:
            if event.get("forward"):
                return CalleeRedirected()
            return CalleeRang() if event.get("dialstatus") == "PROGRESS" else None
        case "ChannelDtmfReceived" if event["channel"]["id"] == ids.callee:
            return KeyPressed(str(event["digit"]))
        case "PlaybackStarted" | "PlaybackFinished":
            return _played(event, playback)
        case "RecordingStarted" if event["recording"]["name"] == str(ids.recording):
            return RecorderStarted()
        case "RecordingFinished" | "RecordingFailed" if event["recording"]["name"] == str(ids.recording):
            return RecorderStopped()
        case _:
            return None


def channel_of(event: dict[str, Any]) -> str | None:
    """The channel an event is about."""
    match event:
        case {"channel": {"id": str(channel)}} | {"peer": {"id": str(channel)}}:
            return channel
        case {"playback": {"target_uri": str(uri)}} | {"recording": {"target_uri": str(uri)}}:
            return uri.removeprefix("channel:")
        case _:
            return None


def _destroyed(event: dict[str, Any], ids: Ids) -> Gone | None:
    match event["channel"]["id"]:
        case ids.callee:
            return Gone(Party.CALLEE, int(event.get("cause", 0)))
        case ids.agent:
            return Gone(Party.AGENT, int(event.get("cause", 0)))
        case _:
            return None


def _played(event: dict[str, Any], playback: Playback | None) -> Played | None:
    if playback is None or event["playback"]["id"] != playback.id:
        return None
    at = datetime.fromisoformat(event["timestamp"])
    if event["type"] == "PlaybackStarted":
        playback.started = at
        return None
    return playback.finished(event["playback"]["state"], at)
