"""Work in threads of its own, for an event loop that is itself late."""

import asyncio
import contextlib
import errno
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ccari.errors import StoreError
from ccari.names import Names
from ccari.own_threads import MOST_UNDER_WAY, OwnThreads
from ccari.store import local_journal
from ccari.store.local_journal import LocalJournalFiles
from tests.unit.store.test_local_journal import KEY, pressed

LIMIT = 0.05
#: For a thread to be done, on a disk that others use too.
WORKS_SECONDS = 30.0
Waiting = Callable[[LocalJournalFiles], Coroutine[Any, Any, Any]]


async def is_late(waiting: Coroutine[Any, Any, Any], given: Sequence[Future[Any]]) -> Any:
    """The result of ``waiting``, while something else holds up the loop for longer than that may take, and for as long
    as the threads take for the work they were ``given``.
    """
    task = asyncio.create_task(waiting)
    while not task.done():
        # one thing after the other, as when many calls begin at once on a tenth of a processor
        wait(given, WORKS_SECONDS)
        time.sleep(2 * LIMIT)  # noqa: ASYNC251
        await asyncio.sleep(0)
    return task.result()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param(lambda journal: journal.unsettled(), id="look"),
        pytest.param(lambda journal: journal.passed_over(), id="passed over"),
        pytest.param(lambda journal: journal.keep(pressed()), id="keep"),
        pytest.param(lambda journal: journal.disk.within(LIMIT, journal.standing), id="within"),
        pytest.param(
            lambda journal: journal.disk.within(LIMIT, journal.standing, unwanted=print), id="within, or else"
        ),
    ],
)
def test_a_loop_that_is_late_takes_the_disk_for_one_that_does_not_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Coroutine[Any, Any, Any]], Any],
    waiting: Waiting,
) -> None:
    """A time-out was reported before what a thread had returned long ago: a call was refused, and a right that was kept
    counted as lost.
    """
    for name in ("ANSWER_SECONDS", "KEEP_SECONDS"):
        monkeypatch.setattr(local_journal, name, LIMIT)
    given, submit = list[Future[Any]](), OwnThreads._submit

    def noted(threads: OwnThreads, work: Callable[..., Any], *what: Any) -> Future[Any]:
        given.append(submit(threads, work, *what))
        return given[-1]

    monkeypatch.setattr(OwnThreads, "_submit", noted)
    run(is_late(waiting(LocalJournalFiles(tmp_path, lambda: KEY)), given))


@pytest.mark.parametrize("unwanted", [None, print])
async def test_a_disk_that_fails_after_it_was_given_up_is_reported_as_an_error_of_the_service(
    unwanted: Callable[[object], object] | None,
) -> None:
    """By asyncio, and without a word of what was given up; whoever gave it up has reported that."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: reported.append(told))
    threads, fails = OwnThreads("test"), threading.Event()

    def hangs() -> None:
        fails.wait()
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(StoreError, match="does not answer"):
        await threads.within(LIMIT, hangs, unwanted=unwanted)
    fails.set()
    await asyncio.to_thread(threads._threads.shutdown)
    # the loop learns of the failure, and nobody has it any more
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert reported == []


@contextlib.contextmanager
def no_thread_to_spare() -> Iterator[None]:
    """As under a limit on tasks, such as systemd's TasksMax= or a container's."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        yield


async def test_a_moment_without_threads_closes_the_gate_until_the_service_is_restarted(
    tmp_path: Path,
) -> None:
    """Each look that began no thread kept its place for ever, until the disk seemed dead."""
    journal = LocalJournalFiles(tmp_path, lambda: KEY)
    with no_thread_to_spare():
        for _ in range(MOST_UNDER_WAY + 1):
            with pytest.raises(StoreError, match="no more threads"):
                await journal.unsettled()
    assert (await journal.unsettled()).waiting == 0


async def test_a_lock_that_was_refused_for_want_of_a_thread_is_taken_later_and_never_given_back(
    tmp_path: Path,
) -> None:
    """By a thread that came to the job after all. Nothing that waited was registered until the service was restarted."""
    journal, may_end = LocalJournalFiles(tmp_path, lambda: KEY), threading.Event()
    busy = [journal.disk.begin(may_end.wait) for _ in range(2)]
    with no_thread_to_spare(), pytest.raises(StoreError, match="no more threads"):
        async with journal.registering():
            pass
    may_end.set()
    await asyncio.gather(*busy)
    # what was queued before is over once all threads have ended
    await asyncio.to_thread(journal.disk._threads.shutdown)
    async with LocalJournalFiles(tmp_path, lambda: KEY).registering() as ours:
        assert ours


async def test_a_name_that_no_thread_can_look_up_ends_the_service() -> None:
    """Whoever connects to Asterisk, or to a webhook, expects the errors of a network."""
    with no_thread_to_spare(), pytest.raises(OSError, match="no more threads"):
        await Names().resolve("pbx.example", 8088)
