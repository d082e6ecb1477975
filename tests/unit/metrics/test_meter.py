"""What is counted about calls and the work behind them."""

import pytest

from ccari.metrics.catalogue import MOST_CAMPAIGNS
from ccari.metrics.meter import Metrics
from ccari.policy.rights import Right
from ccari.ports.metering import CallMeter, Registered, Step, Way, Work
from ccari.ports.requests import Intake
from tests.unit.metrics.scraped import scraped


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(clock, clock)


@pytest.fixture
def call(metrics: Metrics) -> CallMeter:
    made = metrics.call(Way.STASIS, "outbound")
    made.belongs_to("renewals")
    return made


ENDED = 'ccari_calls_total{{way="stasis",direction="outbound",outcome="{}",campaign="{}"}}'


def test_a_call_is_counted_twice_or_as_another(metrics: Metrics, call: CallMeter) -> None:
    call.noted("call_blocked", {"reason": "suppressed_objection"})
    call.noted("call_ended", {"outcome": "blocked", "reason": "suppressed_objection"})
    found = scraped(metrics)
    assert {name: value for name, value in found.items() if name.startswith("ccari_calls_")} == {
        ENDED.format("blocked", "renewals"): 1,
        'ccari_calls_blocked_total{reason="suppressed_objection",campaign="renewals"}': 1,
        **{
            f'ccari_calls_turned_away_total{{reason="{each}"}}': 0
            for each in ("overload", "shutdown", "other")
        },
    }


def test_what_is_said_of_a_call_makes_series_without_end(metrics: Metrics) -> None:
    for each in range(MOST_CAMPAIGNS + 5):
        call = metrics.call(Way.STASIS, f"sideways {each}")
        call.belongs_to(f"campaign-{each}")
        call.noted("call_blocked", {"reason": f"+4860010{each:04}"})
        call.noted("call_ended", {"outcome": f"+4860010{each:04}", "reason": ""})
    found = scraped(metrics)
    assert not any("+4860010" in each for each in found)
    ended = [each for each in found if each.startswith("ccari_calls_total")]
    assert len(ended) == MOST_CAMPAIGNS + 1
    assert all('direction="other",outcome="other"' in each for each in ended)
    assert found['ccari_calls_blocked_total{reason="other",campaign="other"}'] == 5


def test_what_a_callee_waits_for_is_not_measured_or_with_what_somebody_did(
    metrics: Metrics, clock: Clock, call: CallMeter
) -> None:
    call.noted("callee_answered", {})
    clock.now += 0.03
    call.notice_began()
    clock.now += 9
    # the second prompt is not measured from the answer
    call.notice_began()
    call.noted("notice_heard", {})
    clock.now += 0.06
    for each in ("recording_tagged", "recording_started", "call_bridged"):
        call.noted(each, {})
    agreed = metrics.call(Way.STASIS, "outbound")
    agreed.noted("notice_heard", {})
    clock.now += 4
    for each in ("key_pressed", "recording_agreed", "call_bridged"):
        agreed.noted(each, {})
    found = scraped(metrics)
    assert found["ccari_answer_to_notice_seconds_count"] == 1
    assert found["ccari_answer_to_notice_seconds_sum"] == pytest.approx(0.03)
    assert found["ccari_notice_to_bridge_seconds_count"] == 1
    assert found["ccari_notice_to_bridge_seconds_sum"] == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("events", "outcome", "results"),
    [
        (("callee_answered", "notice_heard"), "bridged", (1, 0, 0)),
        (("callee_answered", "notice_broken"), "notice_failed", (0, 1, 0)),
        (("callee_answered",), "callee_hangup", (0, 0, 1)),
        (("callee_answered", "machine_found"), "no_answer", (0, 0, 0)),
        ((), "busy", (0, 0, 0)),
    ],
)
def test_a_notice_that_was_not_heard_counts_as_heard(
    metrics: Metrics, call: CallMeter, events: tuple[str, ...], outcome: str, results: tuple[int, ...]
) -> None:
    for each in events:
        call.noted(each, {})
    call.noted("call_ended", {"outcome": outcome, "reason": ""})
    found = scraped(metrics)
    told = tuple(found[f'ccari_notices_total{{result="{each}"}}'] for each in ("heard", "failed", "left"))
    assert told == results


def test_somebody_is_called_out_for_a_notice_that_its_callee_has_put_on_hold(
    metrics: Metrics, call: CallMeter
) -> None:
    for each in ("callee_answered", "notice_put_off"):
        call.noted(each, {})
    call.noted("call_ended", {"outcome": "notice_failed", "reason": "on_hold"})
    found = scraped(metrics)
    assert found['ccari_notices_total{result="failed"}'] == 0
    assert found['ccari_notices_total{result="left"}'] == 1


def test_a_gate_that_fails_is_not_timed(metrics: Metrics, clock: Clock, call: CallMeter) -> None:
    def ask() -> None:
        with call.gate(Step.DIAL):
            clock.now += 2
            raise TimeoutError

    with pytest.raises(TimeoutError):
        ask()
    assert scraped(metrics)['ccari_gate_seconds_sum{step="dial"}'] == 2


def test_a_right_goes_uncounted(metrics: Metrics, call: CallMeter) -> None:
    call.right(Right.ERASURE, Intake.KEY, Registered.KEPT)
    assert scraped(metrics)['ccari_rights_total{right="erasure",channel="key",result="kept"}'] == 1


def test_work_that_fails_passes_for_done(metrics: Metrics, clock: Clock) -> None:
    metrics.done(Work.HOUSEKEEPING)
    clock.now += 60
    metrics.failed(Work.HOUSEKEEPING)
    found = scraped(metrics)
    assert found['ccari_work_last_success_timestamp_seconds{work="housekeeping"}'] == 100
    assert found['ccari_work_failures_total{work="housekeeping"}'] == 1
    assert found['ccari_work_failures_total{work="sealing"}'] == 0


def test_two_services_in_one_process_count_for_one_another(metrics: Metrics) -> None:
    other = Metrics()
    other.turned_away("overload")
    assert scraped(metrics)['ccari_calls_turned_away_total{reason="overload"}'] == 0
    assert scraped(other)['ccari_calls_turned_away_total{reason="overload"}'] == 1
