"""Callers whom a busy service turns away."""

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.desk import Desk
from ccari.calls.strays import AT_ONCE, Strays
from ccari.calls.switchboard import Switchboard
from ccari.errors import AsteriskError

SECONDS = 30.0
CALLERS = 10 * AT_ONCE


class Busy:
    """An Asterisk that answers when it is told to. ``most``: the most callers that were asked for at once."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.asked: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.now = self.most = 0

    async def turn_away(self, channel: str, _reason: str) -> None:
        self.asked.append(channel)
        self.now += 1
        self.most = max(self.most, self.now)
        await self.answer.wait()
        self.now -= 1
        if channel in self.faults:
            raise self.faults[channel]


@pytest.fixture
def asterisk() -> Busy:
    return Busy()


@pytest.fixture
def full(asterisk: Busy) -> Switchboard:
    """It has room for no call."""
    made = Switchboard(Admission(0))
    made.attach(cast("Desk", SimpleNamespace(ari=asterisk)))
    return made


def event(kind: str, caller: int) -> dict[str, Any]:
    return {"type": kind, "channel": {"id": f"caller-{caller}"}, "args": ["inbound", "renewals"]}


async def drained(full: Switchboard, asterisk: Busy) -> list[str]:
    """Who was asked for in the end."""
    asterisk.answer.set()
    async with asyncio.timeout(SECONDS):
        await full.drain()
    return asterisk.asked


async def test_callers_who_are_turned_away_are_asked_for_all_at_once_or_never(
    full: Switchboard, asterisk: Busy
) -> None:
    for caller in range(CALLERS):
        full.take(event("StasisStart", caller))
    await asyncio.sleep(0)
    assert await drained(full, asterisk) == [f"caller-{caller}" for caller in range(CALLERS)]
    assert asterisk.most == AT_ONCE


async def test_a_caller_of_an_asterisk_whose_name_begins_like_ccaris_own_channels_is_hung_up(
    full: Switchboard, asterisk: Busy
) -> None:
    """With ``systemname = ccari-1`` in asterisk.conf, each of its channels begins like this."""
    caller = {"id": "ccari-1-1795565725.0"}
    full.take({"type": "StasisStart", "channel": caller, "args": ["inbound", "renewals"]})
    await asyncio.sleep(0)
    assert await drained(full, asterisk) == [caller["id"]]


@pytest.mark.parametrize("end", ["StasisEnd", "ChannelDestroyed"])
async def test_callers_who_have_hung_up_by_then_wait_for_ever_among_those_who_are_turned_away(
    full: Switchboard, asterisk: Busy, end: str
) -> None:
    for caller in range(CALLERS):
        full.take(event("StasisStart", caller))
    await asyncio.sleep(0)
    for caller in range(AT_ONCE, CALLERS - 1):
        full.take(event(end, caller))
    assert await drained(full, asterisk) == [f"caller-{each}" for each in (*range(AT_ONCE), CALLERS - 1)]


async def test_a_fault_in_turning_one_away_leaves_the_others_in_silence(
    full: Switchboard, asterisk: Busy
) -> None:
    asterisk.faults = {f"caller-{each}": RuntimeError("unforeseen") for each in range(AT_ONCE)}
    asterisk.faults["caller-1"] = AsteriskError("gone")
    with capture_logs() as logged:
        for caller in range(CALLERS):
            full.take(event("StasisStart", caller))
        await asyncio.sleep(0)
        assert len(await drained(full, asterisk)) == CALLERS
    assert [line["event"] for line in logged].count("stray_failed") == AT_ONCE - 1


async def test_a_caller_who_comes_as_the_last_request_is_answered_waits_for_another_to_be_turned_away(
    full: Switchboard, asterisk: Busy
) -> None:
    for caller in range(AT_ONCE):
        full.take(event("StasisStart", caller))
    await asyncio.sleep(0)
    asterisk.answer.set()
    # after the tasks whose requests are answered, and before anybody is told that these have ended
    asyncio.get_running_loop().call_soon(full.take, event("StasisStart", AT_ONCE))
    await asyncio.sleep(0)
    assert await drained(full, asterisk) == [f"caller-{caller}" for caller in range(AT_ONCE + 1)]


async def test_a_caller_who_comes_as_requests_are_given_up_waits_for_another() -> None:
    strays, asterisk, asked = Strays(), Busy(), asyncio.Event()
    for caller in range(AT_ONCE):
        strays.add(f"caller-{caller}", partial(asterisk.turn_away, f"caller-{caller}", ""))
    await asyncio.sleep(0)
    strays.abandon()

    async def ask() -> None:
        asked.set()

    strays.add(f"caller-{AT_ONCE}", ask)
    async with asyncio.timeout(SECONDS):
        await asked.wait()
