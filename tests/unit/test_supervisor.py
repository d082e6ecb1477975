"""What systemd is told of the service, on a socket as systemd has one."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ccari.supervisor import TELL_SECONDS, Supervisor

WORD_SECONDS = 30.0
SOON = 0.01


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        yield ear


@asynccontextmanager
async def telling(
    supervisor: Supervisor, stopping: asyncio.Event, connected: asyncio.Event
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(supervisor.tell(stopping, connected))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def word(systemd: socket.socket, wanted: str) -> list[str]:
    """The lines of the first message with that line in it."""
    async with asyncio.timeout(WORD_SECONDS):
        while True:
            lines = (await asyncio.get_running_loop().sock_recv(systemd, 4096)).decode().splitlines()
            if wanted in lines:
                return lines


async def test_systemd_waits_in_vain_for_a_service_that_is_up_or_kills_one_that_lives(
    systemd: socket.socket,
) -> None:
    stopping, connected = asyncio.Event(), asyncio.Event()
    async with telling(Supervisor(systemd.getsockname(), SOON), stopping, connected):
        lines = await word(systemd, "READY=1")
        assert lines[1:] == ["STATUS=Asterisk is away: it tries again by itself", "WATCHDOG=1"]
        connected.set()
        assert "WATCHDOG=1" in await word(systemd, "STATUS=connected to Asterisk")


async def test_systemd_kills_talks_that_come_to_their_end(systemd: socket.socket) -> None:
    stopping, connected = asyncio.Event(), asyncio.Event()
    connected.set()
    # only the stop itself can end such a long wait for the next message
    async with telling(Supervisor(systemd.getsockname(), 3600.0), stopping, connected):
        await word(systemd, "READY=1")
        stopping.set()
        lines = await word(systemd, "STOPPING=1")
        assert {"EXTEND_TIMEOUT_USEC=60000000", "WATCHDOG=1"} <= set(lines)
        assert "READY=1" not in lines


async def test_a_systemd_that_is_away_or_busy_holds_up_the_calls(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    async with telling(Supervisor(str(tmp_path / "nobody"), SOON), stopping, asyncio.Event()) as task:
        await asyncio.sleep(3 * SOON)
        assert not task.done()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        async with telling(Supervisor(str(tmp_path / "deaf"), 0.0), stopping, asyncio.Event()) as task:
            # more messages than its queue (net.unix.max_dgram_qlen) has room for
            for _ in range(2000):
                await asyncio.sleep(0)
            assert not task.done()


async def test_a_service_that_nobody_watches_fails() -> None:
    await Supervisor(None, TELL_SECONDS).tell(asyncio.Event(), asyncio.Event())


@pytest.mark.parametrize(
    ("watchdog", "pid", "interval"),
    [("6000000", "", 2.0), ("6000000", str(os.getpid()), 2.0), ("6000000", "1", TELL_SECONDS), ("", "", TELL_SECONDS),
     ("600000000", "", TELL_SECONDS), ("-1", "", TELL_SECONDS)],
    ids=["all", "us", "another", "none", "too long", "negative"],
)  # fmt: skip
def test_a_watchdog_is_not_fed_in_time_or_what_is_started_speaks_for_the_service(
    monkeypatch: pytest.MonkeyPatch, watchdog: str, pid: str, interval: float
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@of/systemd")
    monkeypatch.setenv("WATCHDOG_USEC", watchdog)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert Supervisor.from_environment() == Supervisor("\0of/systemd", interval)
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
    assert Supervisor.from_environment() == Supervisor(None, TELL_SECONDS)


async def test_systemd_is_told_of_an_asterisk_although_the_settings_name_none(systemd: socket.socket) -> None:
    telling_it = asyncio.create_task(
        Supervisor(systemd.getsockname(), SOON).tell(asyncio.Event(), connected=None)
    )
    try:
        assert "STATUS=without Asterisk, as [asterisk] url says" in await word(systemd, "READY=1")
    finally:
        telling_it.cancel()
        await asyncio.wait([telling_it])
