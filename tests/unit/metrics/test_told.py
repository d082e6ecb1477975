"""Those who do something report it: a failure that goes unseen here would page nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from ccari.calls.admission import Admission
from ccari.calls.switchboard import Switchboard
from ccari.errors import AsteriskError, RecordingDelayed, StoreError
from ccari.forward.courier import Courier
from ccari.forward.notifier import Notifier
from ccari.gating.journal import Journal
from ccari.gating.registering import register
from ccari.metrics.meter import Metrics
from ccari.office.deletion_clock import by_the_clock
from ccari.office.limits import LimitKeeper
from ccari.policy.rights import Right
from ccari.ports.metering import Way, Work
from ccari.ports.placing import CallToPlace
from ccari.recordings.backlog import Caretaker
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.evidence.stamper import Stamper
from ccari.recordings.housekeeping import Housekeeper
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.replaying import Replayer
from tests.lab.waiting import until
from tests.unit.calls.talking import IDLE_DESK
from tests.unit.metrics.scraped import scraped
from tests.unit.store import made

WITHIN = 30.0
Run = Callable[[], Coroutine[Any, Any, None]]


class Away:
    """A database, or a disk, that fails every question."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Callable[..., Awaitable[Any]]:
        async def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        raise self._error
        yield


def _sealing(metrics: Metrics, away: Any) -> Run:
    async def run() -> None:
        class Keys:
            def newest(self) -> Any:
                return cast("Any", None)

        async with Sealer(away, cast("Any", Keys()), metrics).running():
            await asyncio.Event().wait()

    return run


def _tending(metrics: Metrics) -> Run:
    async def run() -> None:
        holds = asyncio.Event()
        holds.set()
        gone = cast("Any", Away(RecordingDelayed("the spool cannot be read")))
        await Caretaker(gone, gone, gone, metrics).run(holds)

    return run


def _replaying(metrics: Metrics, folder: Path) -> Run:
    journal = LocalJournalFiles(folder / "no folder", lambda: bytes(32))
    journal.folder.parent.write_text("")
    return Replayer(journal, cast("Any", None), asyncio.Event(), metrics).run


@pytest.mark.parametrize("work", [each for each in Work if each is not Work.FIGURES])
async def test_work_that_fails_pages_nobody(work: Work, tmp_path: Path) -> None:
    metrics = Metrics()
    away = cast("Any", Away(StoreError("the database did not answer in time")))
    runs: dict[Work, Run] = {
        Work.HOUSEKEEPING: Housekeeper(away, tmp_path, None, meter=metrics).run,
        Work.EXPIRY: LimitKeeper(away, away, away, by_the_clock, metrics).run,
        Work.SEALING: _sealing(metrics, away),
        Work.TIME_STAMPS: Stamper(away, away, away, "http://127.0.0.1:9", timedelta(hours=1), metrics).run,
        Work.FORWARDING: Courier(away, away, away, away, meter=metrics).run,
        Work.WEBHOOKS: Notifier(away, away, [], away, meter=metrics).run,
        Work.REPLAYING: _replaying(metrics, tmp_path),
        Work.SPOOL: _tending(metrics),
    }
    running = asyncio.create_task(runs[work]())
    try:
        failures = f'ccari_work_failures_total{{work="{work}"}}'
        await until(lambda: running.done() or scraped(metrics)[failures] > 0, within=WITHIN)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert f'ccari_work_last_success_timestamp_seconds{{work="{work}"}}' not in scraped(metrics)
    assert scraped(metrics)[failures] > 0


async def test_a_call_that_is_turned_away_is_not_counted() -> None:
    metrics = Metrics()
    switchboard = Switchboard(Admission(0, metrics), metrics)
    order = CallToPlace(made.NUMBER.e164, "renewals", "anna")
    switchboard.attach(IDLE_DESK)
    with pytest.raises(AsteriskError, match="overload"):
        await switchboard.place(order)
    await switchboard.wind_down(0)
    with pytest.raises(AsteriskError, match="shutdown"):
        await switchboard.place(order)
    found = scraped(metrics)
    assert found['ccari_calls_turned_away_total{reason="shutdown"}'] == 1
    assert found['ccari_calls_turned_away_total{reason="overload"}'] == 1


async def test_a_loop_that_is_late_is_not_measured() -> None:
    metrics = Metrics()
    watching = asyncio.create_task(Admission(10, metrics).watch())
    try:
        await until(lambda: scraped(metrics)["ccari_event_loop_late_seconds_count"] >= 2, within=WITHIN)
    finally:
        watching.cancel()
        await asyncio.wait([watching])


@pytest.mark.parametrize(
    ("answer", "result"), [("ACME-2026-0001", "registered"), (None, "kept"), (StoreError("away"), "failed")]
)
async def test_a_right_that_is_lost_counts_as_registered(
    answer: str | StoreError | None, result: str
) -> None:
    class Store:
        async def register_right(self, *_: Any, **__: Any) -> str | None:
            if isinstance(answer, StoreError):
                raise answer
            return answer

    metrics = Metrics()
    journal = Journal(uuid4(), "anna", metrics.call(Way.STASIS, "outbound"))
    with contextlib.suppress(StoreError):
        await register(cast("Any", Store()), journal, made.call(), made.exercise(Right.ACCESS))
    counted = {
        each: value
        for each, value in scraped(metrics).items()
        if each.startswith("ccari_rights_total") and value
    }
    assert counted == {f'ccari_rights_total{{right="access",channel="key",result="{result}"}}': 1}
