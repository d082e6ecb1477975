"""Work in threads of its own, for an event loop that is itself late."""

import asyncio
import errno
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ccari.errors import StoreError
from ccari.own_threads import OwnThreads
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
