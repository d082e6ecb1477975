"""Calls get their sounds without waiting for a disk that hangs, and none is let through on what was known too long ago."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccari.errors import SoundError
from ccari.own_threads import OwnThreads
from ccari.ports.sounds import Script
from ccari.sounds import prompter, soundboard
from ccari.sounds.prompter import ANSWER_SECONDS, HUNG_SECONDS, Prompter
from ccari.sounds.soundboard import LOOK_SECONDS
from tests.unit.sounds.test_heard_sounds import CAMPAIGN, CONTROLLER, Desk

FILE = "pl/renewals/identity.sln12"


class Disk:
    """The disk of the sounds, which hangs from :meth:`hang` until :meth:`answer`. ``looks``: how many there were."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._answers = threading.Event()
        self._answers.set()
        self._dead = list[threading.Event]()
        self._stamp = soundboard._stamp
        self.looks = 0

    def stamp(self, path: str) -> "soundboard._Stamp":
        self.looks += path.endswith(FILE)
        self.asked.set()
        assert self._answers.wait(60), "the event loop has waited for the disk"
        return self._stamp(path)

    def hang(self) -> None:
        self.asked.clear()
        self._answers.clear()

    def mount_anew(self) -> None:
        """As if beside the old one, which goes on hanging for those who have asked it."""
        self._dead.append(self._answers)
        self._answers = threading.Event()
        self._answers.set()

    def answer(self) -> None:
        for each in (*self._dead, self._answers):
            each.set()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(soundboard, "_stamp", disk.stamp)
    yield disk
    disk.answer()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """A prompter with a clock of its own."""

    def __init__(self, desk: Desk) -> None:
        self.clock = Clock()
        self.prompter = Prompter(desk.board, desk.copies, self.clock)

    async def ask(self, *, lately: bool = False) -> "dict[str, Script]":
        return dict(await self.prompter.scripts(CONTROLLER, CAMPAIGN, lately=lately))

    def ask_at_once(self) -> "dict[str, Script]":
        """As of lately, without giving the event loop to anybody else."""
        with pytest.raises(StopIteration) as told:
            self.prompter.scripts(CONTROLLER, CAMPAIGN, lately=True).send(None)
        return dict(told.value.value)


@pytest.fixture
def desk(tmp_path: Path, shipped: Path) -> Desk:
    made = Desk(tmp_path, shipped)
    made.speak("anna")
    return made


@pytest.fixture
def gate(desk: Desk) -> Gate:
    return Gate(desk)


async def test_invariant_3_a_call_is_let_through_on_a_look_from_before_the_notice_was_spoilt(
    desk: Desk, gate: Gate
) -> None:
    await gate.ask()
    (desk.sounds / FILE).unlink()
    for _ in range(2):
        with pytest.raises(SoundError, match="pl/renewals/identity"):
            await gate.ask()


async def test_who_only_asks_is_told_nothing_of_a_spoilt_notice_for_more_than_a_moment(
    desk: Desk, gate: Gate
) -> None:
    before = await gate.ask(lately=True)
    (desk.sounds / FILE).unlink()
    gate.clock.now += LOOK_SECONDS / 2
    assert gate.ask_at_once() == before
    gate.clock.now += LOOK_SECONDS / 2
    with pytest.raises(SoundError, match="pl/renewals/identity"):
        await gate.ask(lately=True)


async def test_a_call_is_made_on_an_answer_given_to_somebody_who_only_asked(desk: Desk, gate: Gate) -> None:
    await gate.ask(lately=True)
    (desk.sounds / FILE).unlink()
    with pytest.raises(SoundError, match="pl/renewals/identity"):
        await gate.ask()


async def test_a_changed_campaign_gets_the_sounds_of_the_one_before(gate: Gate) -> None:
    await gate.ask()
    renamed = CONTROLLER.model_copy(update={"name": "Another"})
    with pytest.raises(SoundError, match="other words"):
        await gate.prompter.scripts(renamed, CAMPAIGN)


async def test_a_disk_of_sounds_that_hangs_stops_the_event_loop(gate: Gate, disk: Disk) -> None:
    """Each call of the node, its keys and its hang-ups waited until the disk answered."""
    before = await gate.ask()
    disk.hang()
    waits = asyncio.create_task(gate.ask())
    assert await asyncio.to_thread(disk.asked.wait, 30)
    assert not waits.done()
    disk.answer()
    assert await waits == before


async def test_invariant_3_a_call_is_let_through_while_the_disk_of_sounds_hangs(
    gate: Gate, disk: Disk
) -> None:
    """And each call waits for the same look anew, or begins another, until no thread is left."""
    await gate.ask()
    disk.hang()
    waits = asyncio.create_task(gate.ask())
    assert await asyncio.to_thread(disk.asked.wait, 30)
    gate.clock.now += ANSWER_SECONDS
    looks = disk.looks
    for _ in range(100):
        with pytest.raises(SoundError, match="the disk does not say in time"):
            await gate.ask()
    with pytest.raises(SoundError, match="the disk does not say in time"):
        await gate.prompter.prepare(CONTROLLER, CAMPAIGN)
    disk.answer()
    looking = [each.working for each in gate.prompter._looks.values()]
    await asyncio.gather(waits, *looking, return_exceptions=True)
    assert await gate.ask()
    assert disk.looks <= looks + 3


async def test_calls_stay_refused_when_the_disk_of_sounds_was_mounted_anew(
    desk: Desk, gate: Gate, disk: Disk
) -> None:
    """The thread waited for ever for the one that was taken away, and every call for the thread, until the service was restarted."""
    before = await gate.ask()
    disk.hang()
    waits = asyncio.create_task(gate.ask())
    assert await asyncio.to_thread(disk.asked.wait, 30)
    disk.mount_anew()
    gate.clock.now += HUNG_SECONDS / 2
    with pytest.raises(SoundError, match="the disk does not say in time"):
        await gate.ask()
    late = [each.working for each in gate.prompter._looks.values()]
    gate.clock.now += HUNG_SECONDS / 2
    assert await gate.ask() == before
    (desk.sounds / FILE).unlink()
    disk.answer()
    await asyncio.gather(waits, *late, return_exceptions=True)
    assert gate.ask_at_once() == before
    with pytest.raises(SoundError, match="pl/renewals/identity"):
        await gate.ask()


async def test_a_dead_disk_of_sounds_takes_all_threads(
    gate: Gate, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompter, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(prompter, "MOST_HUNG", 3)
    begun = list[OwnThreads]()

    def begin() -> OwnThreads:
        begun.append(OwnThreads("ccari-sounds", threads=1))
        return begun[-1]

    monkeypatch.setattr(prompter, "_one_thread", begin)
    disk.hang()
    looking = []
    for _ in range(10):
        with pytest.raises(SoundError, match="the disk does not say in time"):
            await gate.ask()
        looking += [each.working for each in gate.prompter._looks.values()]
        gate.clock.now += 10 * HUNG_SECONDS
    assert len(begun) == 3
    monkeypatch.setattr(prompter, "ANSWER_SECONDS", 60.0)
    disk.answer()
    await asyncio.gather(*looking)
    assert await gate.ask()
    assert gate.prompter._hung == 0


async def test_a_talk_is_ended_when_it_is_taken_up_while_the_disk_of_sounds_hangs(
    gate: Gate, disk: Disk
) -> None:
    """A network that fails takes both the disk and the connection to Asterisk along."""
    before = await gate.ask()
    disk.hang()
    waits = asyncio.create_task(gate.ask())
    assert await asyncio.to_thread(disk.asked.wait, 30)
    gate.clock.now += 100 * ANSWER_SECONDS
    assert await gate.prompter.scripts(CONTROLLER, CAMPAIGN, heard=True) == before
    renamed = CONTROLLER.model_copy(update={"name": "Another"})
    with pytest.raises(SoundError):
        await gate.ask()
    disk.answer()
    looking = [each.working for each in gate.prompter._looks.values()]
    await asyncio.gather(waits, *looking, return_exceptions=True)
    with pytest.raises(SoundError, match="other words"):
        await gate.prompter.scripts(renamed, CAMPAIGN, heard=True)


async def test_a_notice_that_was_heard_counts_as_replaced_while_the_disk_of_sounds_hangs(
    gate: Gate, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = [(await gate.ask())["pl"].sounds["identity"]]
    monkeypatch.setattr(prompter, "ANSWER_SECONDS", 0.01)
    disk.hang()
    assert await gate.prompter.replaced(played) == []


async def test_a_call_is_let_through_on_a_look_that_began_before_it_or_each_begins_another(
    desk: Desk, gate: Gate, disk: Disk
) -> None:
    await gate.ask()
    disk.hang()
    first = asyncio.create_task(gate.ask())
    assert await asyncio.to_thread(disk.asked.wait, 30)
    looks = disk.looks
    later = [asyncio.create_task(gate.ask()) for _ in range(50)]
    await asyncio.sleep(0)
    disk.answer()
    await asyncio.gather(first, *later)
    assert disk.looks == looks + 2


async def test_a_prompt_outside_the_campaign_stops_the_event_loop_while_the_disk_hangs(
    gate: Gate, disk: Disk
) -> None:
    disk.hang()
    waits = asyncio.create_task(gate.prompter.common("goodbye", "pl"))
    assert await asyncio.to_thread(disk.asked.wait, 30)
    disk.answer()
    assert (await waits).text
