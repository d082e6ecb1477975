"""Declares every metric: its name, its labels with their possible values, and its meaning. docs/reference.md is generated from it.

No label has a telephone number or a call's id, and each has few values: those of a closed list; or the campaigns and registers of the
policy, whose names an operator has chosen, with at most :data:`MOST_CAMPAIGNS` campaigns.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ccari.policy.call import HANDED_BACK, Direction, Outcome
from ccari.policy.gate import Block
from ccari.policy.recording import RecordingState
from ccari.policy.retention import Why
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.metering import Filed, Registered, Step, Way, Work
from ccari.ports.requests import Intake

#: How many campaigns have their own series (some dozens each) in one run of the service. All others count as :data:`OTHER`.
MOST_CAMPAIGNS = 200
OTHER = "other"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """``values``: the closed list of its values. If empty, ``words`` say what limits them."""

    name: str
    values: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric. ``name``: without the ``_total`` that is added to an exposed counter. ``buckets``: in seconds."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exposed(self) -> tuple[str, ...]:
        """The names of its series in a query."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(f"{self.name}_{suffix}" for suffix in ("bucket", "count", "sum"))
        return (f"{self.name}_total",) if self.kind is Kind.COUNTER else (self.name,)

    @property
    def label_names(self) -> list[str]:
        return [each.name for each in self.labels]

    def listed(self, label: str, value: str) -> str:
        """The value if it is on that label's closed list, else :data:`OTHER`: unforeseen values must not create ever more series."""
        values = next(each.values for each in self.labels if each.name == label)
        return str(value) if value in values else OTHER


def _label(name: str, values: Iterable[str]) -> Label:
    return Label(name, tuple(values))


_CAMPAIGN = Label(
    "campaign", words=f"of the policy, at most {MOST_CAMPAIGNS} in a run, then {OTHER!r}; empty: of none"
)
_REGISTER = Label("register", words="of the policy, or loaded once")
_WAY = _label("way", Way)

#: Buckets for what a person on the line waits for, in seconds.
_WAITS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

CALLS = Family(
    "ccari_calls", Kind.COUNTER, "Calls that ended, by who started them and how they ended.",
    (_WAY, _label("direction", Direction), _label("outcome", (*Outcome, HANDED_BACK, OTHER)), _CAMPAIGN),
)  # fmt: skip
BLOCKED = Family(
    "ccari_calls_blocked", Kind.COUNTER, "Calls that the gate blocked, by reason.",
    (_label("reason", (*Block, OTHER)), _CAMPAIGN),
)  # fmt: skip
TURNED_AWAY = Family(
    "ccari_calls_turned_away", Kind.COUNTER,
    "Calls that were not started, because there are too many or the service is stopping; the dialplan took its other path.",
    (_label("reason", ("overload", "shutdown", OTHER)),),
)  # fmt: skip
UNDER_WAY = Family("ccari_calls_under_way", Kind.GAUGE, "Calls over Stasis in progress, at any stage.")
CALLS_MOST = Family("ccari_calls_most", Kind.GAUGE, "The limit on calls in progress: [calls] at_once.")
GATE = Family(
    "ccari_gate_seconds", Kind.HISTOGRAM, "How long a call waited for the gate's answer, or for its error.",
    (_label("step", Step),), _WAITS,
)  # fmt: skip
ANSWER_TO_NOTICE = Family(
    "ccari_answer_to_notice_seconds", Kind.HISTOGRAM,
    "From the answer to the first word of the notice; without campaigns that detect answering machines first.",
    buckets=_WAITS,
)  # fmt: skip
NOTICE_TO_BRIDGE = Family(
    "ccari_notice_to_bridge_seconds", Kind.HISTOGRAM,
    "From the end of the notice to the bridge, including the recorder's start; without calls in which somebody had to answer, "
    "or press a key, in between.", buckets=_WAITS,
)  # fmt: skip
NOTICES = Family(
    "ccari_notices", Kind.COUNTER,
    "The result of the notice in answered calls: heard to its end; failed, because it could not be played; or left, because "
    "somebody hung up or the call was ended before.", (_label("result", ("heard", "failed", "left")),),
)  # fmt: skip
RIGHTS = Family(
    "ccari_rights", Kind.COUNTER,
    "Rights that were exercised in calls on this node, by key or by an agent's code: registered, kept on this node until the "
    "database is back, or failed, of which the callee was told.",
    (_label("right", Right), _label("channel", Intake), _label("result", Registered)),
)  # fmt: skip
RECORDINGS_FILED = Family(
    "ccari_recordings_filed", Kind.COUNTER,
    "The result of recordings as they ended: stored; delayed, to be tried again; lost; discarded, because they must not be kept, or were "
    "over before there was a sound.",
    (_label("result", Filed),),
)  # fmt: skip
RECORDINGS_DELETED = Family(
    "ccari_recordings_deleted", Kind.COUNTER, "Recordings that this node deleted.", (_label("why", (*Why, OTHER)),)
)  # fmt: skip
NOT_DELETED = Family(
    "ccari_recordings_not_deleted", Kind.COUNTER,
    "Files that were to be deleted and could not be; each is tried again, and counted again.",
)  # fmt: skip

ASTERISK_UP = Family(
    "ccari_asterisk_up", Kind.GAUGE, "1 while calls can be made over the connection to Asterisk."
)
ASTERISK_CONNECTIONS = Family(
    "ccari_asterisk_connections",
    Kind.COUNTER,
    "Connections made to Asterisk, including the first.",
)
FENCE_HELD = Family(
    "ccari_fence_held",
    Kind.GAUGE,
    "1 while this service holds the lock that keeps another one from driving the same Asterisk.",
)
LOOP_LATE = Family(
    "ccari_event_loop_late_seconds", Kind.HISTOGRAM, "How late the event loop was, measured five times a second.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0),
)  # fmt: skip
AGI_SESSIONS = Family("ccari_agi_sessions", Kind.GAUGE, "FastAGI conversations in progress.")
WORK_SUCCEEDED = Family(
    "ccari_work_last_success_timestamp_seconds", Kind.GAUGE,
    "When background work last succeeded; housekeeping, expiry and time_stamps also count if another node is doing them.",
    (_label("work", Work),),
)  # fmt: skip
WORK_FAILED = Family(
    "ccari_work_failures", Kind.COUNTER, "Rounds of background work that failed.", (_label("work", Work),)
)

DATABASE_UP = Family(
    "ccari_database_up", Kind.GAUGE, "1 if the database answered when it was last asked for these figures."
)
POOL = Family(
    "ccari_database_connections", Kind.GAUGE, "Connections of the pool that calls use.", (_label("state", ("busy", "idle")),)
)  # fmt: skip
POOL_MOST = Family("ccari_database_connections_most", Kind.GAUGE, "The limit on connections of the pool.")
REVISION = Family("ccari_policy_revision", Kind.GAUGE, "The policy revision in force here; 0: none.")

REQUESTS_OPEN = Family(
    "ccari_requests_open", Kind.GAUGE,
    "Rights requests that are not closed: overdue, due within seven days by the controller's calendar, or later.",
    (_label("due", ("overdue", "soon", "later")),),
)  # fmt: skip
REQUESTS = Family(
    "ccari_requests", Kind.GAUGE, "All rights requests ever registered, by right and by how they came in.",
    (_label("right", Right), _label("channel", Intake)),
)  # fmt: skip
UNFINISHED = Family(
    "ccari_recordings_unfinished", Kind.GAUGE,
    "Recordings that are not in their place yet: tagged, recording, or finished and waiting in the spool.",
    (_label("state", [each for each in RecordingState if each.is_unfinished]),),
)  # fmt: skip
RECORDINGS_LATE = Family(
    "ccari_recordings_late",
    Kind.GAUGE,
    "Recordings that ended more than an hour ago and are still unencrypted in the spool, and those that have been running for eleven "
    "hours according to the database, without a transfer since: their Asterisk has another name now, or no service any more.",
)
RECORDINGS = Family(
    "ccari_recordings", Kind.GAUGE, "All recordings that have a row, by state.",
    (_label("state", RecordingState),),
)  # fmt: skip
SUPPRESSIONS = Family(
    "ccari_suppressions",
    Kind.GAUGE,
    "Suppressions in force, by reason; without registers.",
    (_label("reason", Reason),),
)
FORWARDS = Family(
    "ccari_forwards", Kind.GAUGE,
    "Messages to controllers about changes of requests: waiting, delivered, or given up.",
    (_label("state", ("waiting", "delivered", "given_up")),),
)  # fmt: skip
WEBHOOKS = Family(
    "ccari_webhook_messages", Kind.GAUGE, "Messages that a webhook of [[webhooks]] has not received: waiting, or given up.",
    (Label("webhook", words="its name in the settings"), _label("state", ("waiting", "given_up"))),
)  # fmt: skip
FORWARDS_AGE = Family(
    "ccari_forwards_oldest_seconds", Kind.GAUGE,
    "How long the oldest message to a controller has waited; 0: none waits.",
)  # fmt: skip
WEBHOOKS_AGE = Family(
    "ccari_webhook_oldest_seconds", Kind.GAUGE,
    "How long the oldest message to a webhook of [[webhooks]] has waited; no series: none waits.",
    (Label("webhook", words="its name in the settings"),),
)  # fmt: skip
REGISTER_AGE = Family(
    "ccari_register_age_seconds",
    Kind.GAUGE,
    "How old the newest copy of a register of objections is.",
    (_REGISTER,),
)
REGISTER_MOST = Family(
    "ccari_register_most_age_seconds", Kind.GAUGE,
    "How old a copy may be before the campaigns that use it are blocked: the strictest limit of any of them.", (_REGISTER,),
)  # fmt: skip

DATABASE_OLDER = Family(
    "ccari_database_older", Kind.GAUGE,
    "1 while this node calls nobody because the database is an older one, or because it cannot know whether it is.",
)  # fmt: skip
JOURNAL_RIGHTS = Family(
    "ccari_local_journal_rights", Kind.GAUGE,
    "Rights kept on this node's disk: waiting to be registered, or put aside for a person to deal with (while there is either, "
    "nobody is called); or torn, and never confirmed to anybody.", (_label("state", ("waiting", "aside", "torn")),),
)  # fmt: skip
JOURNAL_AGE = Family(
    "ccari_local_journal_oldest_seconds",
    Kind.GAUGE,
    "How long the oldest waiting right has waited; 0: none waits.",
)
JOURNAL_BYTES = Family("ccari_local_journal_bytes", Kind.GAUGE, "Disk space of the rights that wait.")
JOURNAL_FULL = Family(
    "ccari_local_journal_full", Kind.GAUGE, "1 if the local journal can take no further right."
)

HTTP = Family(
    "ccari_http_request_seconds", Kind.HISTOGRAM, "How long HTTP requests took, without streams.",
    (Label("route", words="the path's template, as in /openapi.json; empty: no such path"),
     _label("method", ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", OTHER)),
     _label("status", ("1xx", "2xx", "3xx", "4xx", "5xx"))), (0.005, 0.02, 0.1, 0.5, 2.0, 10.0),
)  # fmt: skip
LOG_LINES_LOST = Family(
    "ccari_log_lines_lost",
    Kind.COUNTER,
    "Log lines that could not be written: the disk was full, or the reader had gone or had stopped reading.",
)
BUILD = Family(
    "ccari_build_info", Kind.GAUGE, "Always 1.",
    (Label("version", words="of ccari"), Label("python", words="its version")),
)  # fmt: skip


def families() -> Iterator[Family]:
    """All metrics, in the order in which they are declared here."""
    yield from (each for each in globals().values() if isinstance(each, Family))
