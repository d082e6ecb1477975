"""Counts and times what happens, by the metrics of the catalogue."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import Counter

from ccari.metrics import catalogue
from ccari.metrics.catalogue import BLOCKED, CALLS, MOST_CAMPAIGNS, OTHER, Family
from ccari.metrics.registry import Registry
from ccari.policy.call import ON_HOLD, Outcome
from ccari.policy.rights import Right
from ccari.ports.metering import CallMeter, Filed, Registered, Step, Way, Work
from ccari.ports.requests import Intake

#: Events between the end of the notice and the bridge that need no answer or key press from anyone. After any other event, the time is
#: not measured.
_WITHOUT_WAIT = frozenset({"recording_tagged", "recording_started", "recording_impossible"})


class Metrics(Registry):
    """:class:`ccari.ports.metering.Meter`. ``clock``: seconds, for durations. ``now``: seconds since the epoch."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.clock: Final = clock
        self._now = now
        self._campaigns: set[str] = set()
        self.calls = self.counter(CALLS)
        self.blocked = self.counter(BLOCKED)
        self.gate = self.histogram(catalogue.GATE)
        self.answer_to_notice = self.histogram(catalogue.ANSWER_TO_NOTICE)
        self.notice_to_bridge = self.histogram(catalogue.NOTICE_TO_BRIDGE)
        self.notices = _from_zero(self.counter(catalogue.NOTICES), catalogue.NOTICES)
        self.rights = self.counter(catalogue.RIGHTS)
        for right, intake, what in itertools.product(Right, (Intake.KEY, Intake.AGENT), Registered):
            self.rights.labels(right.value, intake.value, what.value)
        self._turned_away = _from_zero(self.counter(catalogue.TURNED_AWAY), catalogue.TURNED_AWAY)
        self._filed = _from_zero(self.counter(catalogue.RECORDINGS_FILED), catalogue.RECORDINGS_FILED)
        self._deleted = _from_zero(self.counter(catalogue.RECORDINGS_DELETED), catalogue.RECORDINGS_DELETED)
        self._not_deleted = self.counter(catalogue.NOT_DELETED)
        self._late = self.histogram(catalogue.LOOP_LATE)
        self._done = self.gauge(catalogue.WORK_SUCCEEDED)
        self._failed = _from_zero(self.counter(catalogue.WORK_FAILED), catalogue.WORK_FAILED)
        self._http = self.histogram(catalogue.HTTP)

    def call(self, way: Way, direction: str) -> CallMeter:
        return _Call(self, way, direction)

    def turned_away(self, reason: str) -> None:
        self._turned_away.labels(catalogue.TURNED_AWAY.listed("reason", reason)).inc()

    def late(self, seconds: float) -> None:
        self._late.observe(max(seconds, 0.0))

    def done(self, work: Work) -> None:
        self._done.labels(work.value).set(self._now())

    def failed(self, work: Work) -> None:
        self._failed.labels(work.value).inc()

    def filed(self, what: Filed) -> None:
        self._filed.labels(what.value).inc()

    def deleted(self, why: str, recordings: int) -> None:
        self._deleted.labels(catalogue.RECORDINGS_DELETED.listed("why", why)).inc(recordings)

    def not_deleted(self, recordings: int) -> None:
        self._not_deleted.inc(recordings)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        listed = catalogue.HTTP.listed("method", method)
        self._http.labels(route, listed, f"{status // 100}xx").observe(seconds)

    def campaign(self, asked: str) -> str:
        """The label's value for a campaign: its id, or :data:`OTHER` if there are too many."""
        if asked in self._campaigns or len(self._campaigns) < MOST_CAMPAIGNS:
            self._campaigns.add(asked)
            return asked
        return OTHER


class _Call:
    """:class:`ccari.ports.metering.CallMeter`."""

    def __init__(self, metrics: Metrics, way: Way, direction: str) -> None:
        self._metrics = metrics
        self._way = way
        self._direction = CALLS.listed("direction", direction)
        self._campaign = ""
        self._answered: float | None = None
        self._heard: float | None = None
        self._notice_began = False

    def belongs_to(self, campaign: str) -> None:
        self._campaign = self._metrics.campaign(campaign)

    @contextlib.contextmanager
    def gate(self, step: Step) -> Iterator[None]:
        began = self._metrics.clock()
        try:
            yield
        finally:
            self._metrics.gate.labels(step.value).observe(self._metrics.clock() - began)

    def notice_began(self) -> None:
        if self._answered is not None and not self._notice_began:
            self._notice_began = True
            self._metrics.answer_to_notice.observe(self._metrics.clock() - self._answered)

    def right(self, right: Right, intake: Intake, what: Registered) -> None:
        self._metrics.rights.labels(right.value, intake.value, what.value).inc()

    def filed(self, what: Filed) -> None:
        self._metrics.filed(what)

    def noted(self, event: str, fields: Mapping[str, str]) -> None:
        match event:
            case "callee_answered":
                self._answered = self._metrics.clock()
            case "machine_found":
                # an answering machine hears no notice
                self._answered = None
            case "notice_heard":
                self._heard, self._answered = self._metrics.clock(), None
                self._metrics.notices.labels("heard").inc()
            case "call_bridged":
                if self._heard is not None:
                    self._metrics.notice_to_bridge.observe(self._metrics.clock() - self._heard)
                    self._heard = None
            case "call_blocked":
                reason = BLOCKED.listed("reason", fields["reason"])
                self._metrics.blocked.labels(reason, self._campaign).inc()
            case "call_ended":
                self._ended(fields["outcome"], fields["reason"])
            case _ if event not in _WITHOUT_WAIT:
                self._heard = None

    def _ended(self, outcome: str, reason: str) -> None:
        if self._answered is not None and self._way is Way.STASIS:
            failed = outcome == Outcome.NOTICE_FAILED and reason != ON_HOLD
            self._metrics.notices.labels("failed" if failed else "left").inc()
        listed = CALLS.listed("outcome", outcome)
        self._metrics.calls.labels(self._way.value, self._direction, listed, self._campaign).inc()


def _from_zero(counter: Counter, family: Family) -> Counter:
    """The counter with every series at 0, so that none is missing and the first event shows as an increase."""
    (label,) = family.labels
    for value in label.values:
        counter.labels(value)
    return counter
