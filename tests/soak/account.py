"""What a run has left behind, gathered from every source. All times are seconds since 1970, UTC."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.soak.plan import Fault


@dataclass(frozen=True)
class Window:
    """A fault, with its beginning and end."""

    kind: Fault
    began: float
    ended: float


@dataclass(frozen=True)
class Invite:
    """One INVITE outside a dialog that reached world: the first of its retransmissions."""

    at: float
    digits: str
    caller: str


@dataclass(frozen=True)
class Exit:
    """An exit of the service, with its status. ``served``: it had begun to take calls."""

    began: float
    at: float
    status: int
    served: bool = True


@dataclass(frozen=True)
class Sign:
    """What the service logged about itself or a call, at the time at which it was seen in the log: its own clock may be
    wrong.
    """

    at: float
    event: str
    call: str = ""


@dataclass(frozen=True)
class Press:
    """Keys that somebody in world sent, complete, with beginning and end; ``channel``: world's id of their channel.

    ``agent_call``: the call, if the agent sent them.
    """

    began: float
    ended: float
    channel: str
    keys: str
    agent_call: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of a call's journal."""

    seq: int
    at: float
    event: str
    fields: dict[str, str]


@dataclass(frozen=True)
class CallRow:
    """``fault``: what is inconsistent in its journal. ``digest``: the number's, under its controller's secret."""

    id: str
    controller: str
    campaign: str
    direction: str
    digest: bytes
    opened_at: float
    dialled_at: float | None
    heard_at: float | None
    ended_at: float | None
    outcome: str
    reason: str
    journal: tuple[Entry, ...] = ()
    fault: str | None = None

    def first(self, event: str) -> Entry | None:
        return next(self.all(event), None)

    def all(self, event: str) -> Iterator[Entry]:
        return (each for each in self.journal if each.event == event)

    def is_of_recording(self, event: str, recording: str) -> Entry | None:
        return next((each for each in self.all(event) if each.fields.get("recording") == recording), None)


@dataclass(frozen=True)
class RecordingRow:
    id: str
    call_id: str
    controller: str
    state: str
    mode: str
    tagged_at: float
    started_at: float | None
    duration_ms: int | None
    file: str | None


@dataclass(frozen=True)
class RequestRow:
    """``registered_at``: PostgreSQL's own time; ``received_at``: the service's time of the press."""

    reference: str
    call_id: str
    controller: str
    right: str
    received_at: float
    registered_at: float
    fault: str | None = None


@dataclass(frozen=True)
class Bar:
    """``committed_at``: the latest time from which everybody could see it; unknown if the row was written again.
    ``entered_at``: nobody could see it before. ``campaign``: "" for all of the controller's.
    """

    controller: str
    digest: bytes
    campaign: str
    reason: str
    committed_at: float
    removed_at: float | None = None
    call_id: str | None = None
    entered_at: float | None = None

    @property
    def earliest(self) -> float:
        return self.committed_at if self.entered_at is None else self.entered_at


@dataclass(frozen=True)
class RawFile:
    """A file of the spool. ``seen_at``: when it was first seen; ``left``: it is still there."""

    recording: str
    seen_at: float
    left: bool


@dataclass(frozen=True)
class Sounding:
    """A tone louder than everything except voices: ``hz``, and its beginning and end in seconds."""

    hz: float
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True)
class Heard:
    """What a callee heard in one call. ``began``: when world's channel ``channel`` was created; ``agent_call``: the
    caller's call, if an agent called.
    """

    digits: str
    began: float
    tones: tuple[Sounding, ...]
    agent_call: str = ""
    channel: str = ""


@dataclass(frozen=True)
class Kept:
    """A file in the recordings folder; ``tones``: those that are heard in it."""

    recording: str
    file: str
    tones: tuple[Sounding, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of a log. ``source``: the file and the line number."""

    source: str
    text: str
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """``calm``: everything has ended and recovered, so that what is open now stays open.

    ``digests``: of each number (its digits), by controller. ``of_agent_call``: the id of an inbound call, by world's
    id. ``left``: what Asterisk still holds, and what waits on the service's own disk. ``secrets``: what no log may
    contain. ``accused``: what ``evidence check`` and ``audit check`` take for tampering, other than the faults of calls and requests.
    """

    calm: bool = True
    windows: tuple[Window, ...] = ()
    exits: tuple[Exit, ...] = ()
    signs: tuple[Sign, ...] = ()
    presses: tuple[Press, ...] = ()
    invites: tuple[Invite, ...] = ()
    calls: tuple[CallRow, ...] = ()
    recordings: tuple[RecordingRow, ...] = ()
    requests: tuple[RequestRow, ...] = ()
    accused: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()
    raw: tuple[RawFile, ...] = ()
    kept: tuple[Kept, ...] = ()
    heard: tuple[Heard, ...] = ()
    lines: tuple[Line, ...] = ()
    secrets: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    #: Unencrypted audio in the work folders of the recordings folder.
    at_work: tuple[str, ...] = ()
    digests: dict[tuple[str, str], frozenset[bytes]] = field(default_factory=dict)
    of_agent_call: dict[str, str] = field(default_factory=dict)

    @property
    def by_id(self) -> dict[str, CallRow]:
        return {each.id: each for each in self.calls}

    def is_number_of(self, call: CallRow, digits: str) -> bool:
        return call.digest in self.digests.get((call.controller, digits), frozenset())

    def broken(self, began: float, ended: float, *kinds: Fault) -> bool:
        """Whether one of these faults overlapped that time."""
        return any(each.kind in kinds and each.began < ended and each.ended > began for each in self.windows)
