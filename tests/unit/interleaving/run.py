"""One run: a service, an Asterisk and a database, a call, and what goes wrong. And what is wrong afterwards.

One run again, with everything that happened: ``python -m tests.unit.interleaving CALL [FAULT@PLACE:N …] [--seed N]``
"""

import asyncio
import contextlib
import contextvars
import random
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, MutableMapping, Sized
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from unittest import mock
from uuid import UUID

import structlog

from ccari.calls.admission import Admission
from ccari.calls.ari import Ari
from ccari.calls.board import Board
from ccari.calls.cards import Rack
from ccari.calls.desk import Desk
from ccari.calls.identity import Identity
from ccari.calls.link import Link
from ccari.calls.opening import Endpoints
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials, Transport
from ccari.errors import AsteriskError, RecordingError
from ccari.policy import confirmations, notices
from ccari.policy.call import Direction
from ccari.policy.campaign import Campaign
from ccari.policy.chain import fault as chain_fault
from ccari.policy.chain import start
from ccari.policy.recording import RecordingMode, stops_recording
from ccari.policy.rights import Right
from ccari.ports.placing import CallToPlace
from ccari.ports.recordings import Channels, RecordingTag, StoredFile
from ccari.ports.sounds import Script, Sound
from tests.unit.interleaving.asterisk import PROMPT_SECONDS, Asterisk, Channel, Operations
from tests.unit.interleaving.database import Database, MemoryCalls, MemoryRecordings, replaying
from tests.unit.interleaving.loop import BEGINNING, NothingLeft, SimulatedLoop, clock_of
from tests.unit.interleaving.plan import At, Fault, Place, Plan
from tests.unit.interleaving.stories import POLICY, STORIES, Story
from tests.unit.store import made

NUMBER = "+48600100001"
#: When everybody has hung up, whatever happened; and when everything must be over.
PATIENCE_SECONDS = 120.0
OVER_SECONDS = 600.0
#: Until a recorder has surely stopped that somebody is to stop.
STOPS_SECONDS = 15.0
#: How much of what was said after a refusal may be kept: none; the times of the world are in milliseconds.
_ROUNDING_SECONDS = 0.002
_RIGHTS = {"2": Right.REFUSE_RECORDING, "7": Right.ERASURE, "8": Right.ACCESS}
_CONFIRMS = {words: action.right for action, words in confirmations.CONFIRMATIONS.items()}
_RUN_BY: contextvars.ContextVar["Service | None"] = contextvars.ContextVar("run_by", default=None)
#: Log events that mean that something failed that nobody expected.
_UNEXPECTED = frozenset(
    {"call_failed", "call_not_closed", "ari_event_failed", "task_failed", "stray_failed", "abandoned_calls_left", "recording_left_untagged"}
)  # fmt: skip


class _Sounds(dict[str, Sound]):
    def __missing__(self, prompt: str) -> Sound:
        return _sound(prompt)


class _Versions(dict[tuple[str, ...], str]):
    def __missing__(self, prompts: tuple[str, ...]) -> str:
        return "+".join(prompts)


def _sound(prompt: str) -> Sound:
    return Sound(f"sound:{prompt}", round(PROMPT_SECONDS * 1000), prompt, "00")


class _Prompts:
    """:class:`ccari.ports.sounds.Prompts`: every prompt, of the same length."""

    async def scripts(
        self, _: object, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> Mapping[str, Script]:
        return {campaign.language: Script(_Sounds(), _Versions())}

    async def keep(self, _: Campaign) -> None: ...

    async def replaced(self, _: Iterable[Sound]) -> list[Sound]:
        return []

    async def common(self, prompt: str, _: str) -> Sound:
        return _sound(prompt)

    async def source(self, _: str, __: str) -> Sound:
        return _sound("source")


class _Book:
    revision, policy, sha256 = 1, POLICY, "00"

    async def reload(self) -> None: ...

    async def at(self, _: int) -> Any:
        return POLICY


class _Secrets:
    def digests(self, controller: str, number: Any) -> Any:
        return made.digests(controller, number)

    def listed_as(self, *_: object) -> tuple[()]:
        return ()

    def heed(self, *_: object) -> None: ...


class _Archive:
    """:class:`ccari.ports.recordings.Archive` on the spool of the simulated Asterisk. It outlives the services."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self.kept: dict[UUID, tuple[RecordingTag, datetime]] = {}
        self.discarded: set[str] = set()

    def check(self) -> None: ...

    def leave(self) -> None: ...

    async def keep(self, tag: RecordingTag, until: datetime | None = None, **_: Any) -> StoredFile:
        await asyncio.sleep(0.01)
        taping = self._run.asterisk.tapings.get(str(tag.recording_id))
        if (
            taping is None
            or taping.ended_at is None
            or taping.began_at is None
            or taping.name in self.discarded
        ):
            raise RecordingError("there is no file")
        end = BEGINNING + timedelta(seconds=taping.ended_at)
        end = min(end, until or end)
        lasts = (end - tag.started_at).total_seconds()
        if lasts <= 0:
            raise RecordingError("nothing of it may be kept")
        self.kept[tag.recording_id] = tag, end
        return StoredFile(
            f"acme/{tag.recording_id}.flac",
            "flac",
            round(lasts * 1000),
            b"0" * 32,
            1,
            b"1" * 32,
            (),
            silent=False,
        )

    async def has(self, recording_id: UUID) -> bool:
        return recording_id in await self.in_spool()

    async def in_spool(self) -> frozenset[UUID]:
        asterisk = self._run.asterisk
        return frozenset(
            UUID(name)
            for name in asterisk.tapings
            if len(name) == 36 and asterisk.has_file(name) and name not in self.discarded
        )

    async def discard(self, recording_id: UUID) -> None:
        await asyncio.sleep(0.001)
        self.discarded |= {str(recording_id), f"{recording_id}-agent"}


class _Fence:
    """:class:`ccari.ports.fencing.Fence`: services of one run follow one another."""

    database = "db"

    @contextlib.asynccontextmanager
    async def hold(self, *_: str) -> AsyncIterator[asyncio.Event]:
        yield asyncio.Event()


class Service:
    """One service on one Asterisk, from its start to its end or its death."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self.dead = False
        self.board, self.cards = Board(), Rack()
        self.calls = Switchboard(Admission(1000))
        credentials = Credentials("http://pbx", "ccari", "secret", "ccari")
        self.link = Link(credentials, _Fence(), self.calls, self._desk)
        _RUN_BY.set(self)
        self.running = asyncio.create_task(self.link.run())
        _RUN_BY.set(None)

    def _desk(self, ari: Ari, identity: Identity) -> Desk:
        run, database = self._run, self._run.database
        return Desk(
            identity.name, MemoryCalls(database, self.alive), _Secrets(), cast("Any", _Book()), _Prompts(), ari, Endpoints(ari),
            MemoryRecordings(database, self.alive), run.archive, self.cards, self.board,
            Channels.STEREO if run.story.stereo else Channels.MONO,
        )  # fmt: skip

    async def alive(self) -> None:
        if self.dead:
            await asyncio.get_running_loop().create_future()

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those that it has started and not ended."""
        return [each for each in asyncio.all_tasks() if self._run.loop.contexts[each].get(_RUN_BY) is self]

    def die(self) -> None:
        """As by SIGKILL: nothing that it does from now on has an effect."""
        self.dead = True
        self._run.asterisk.lose()
        self._run.background(self._bury())

    async def _bury(self) -> None:
        while tasks := self.tasks:
            for each in tasks:
                each.cancel()
            await asyncio.sleep(0)

    async def stop(self, seconds: float = 0.0) -> None:
        """As by SIGTERM: ``serve_until_stopped`` of ``ccari.app.stopping``."""
        _RUN_BY.set(self)
        stopping = asyncio.create_task(self._stop(seconds))
        _RUN_BY.set(None)
        await stopping

    async def _stop(self, seconds: float) -> None:
        await self.calls.wind_down(seconds)
        self.calls.detach("shutdown")
        await self.calls.drain()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def place(self, order: CallToPlace) -> None:
        """As over HTTP."""

        async def place() -> None:
            with contextlib.suppress(AsteriskError):
                await self.calls.place(order)

        _RUN_BY.set(self)
        self._placing = asyncio.create_task(place())
        _RUN_BY.set(None)

    def runs(self, channel: Channel) -> bool:
        """Whether it runs a call of the channel, so that what it hears now reaches the call."""
        return self.link.connected.is_set() and self.calls._runner_of(channel.id) is not None

    @property
    def is_idle(self) -> bool:
        return not self.calls.under_way and self.link.connected.is_set() and not self.calls._strays.tasks

    @property
    def left(self) -> list[str]:
        """What it has not let go of when all calls are over."""
        calls = self.calls
        found: dict[str, Sized] = {
            "calls": calls._calls, "by id": calls._by_id, "by home": calls._by_home, "hanging": calls._hanging, "at the gate": calls._at_gate,
            "strays": calls._strays.tasks, "stray channels": calls._strays._waiting, "leftovers": calls._leftovers._waiting,
            "board": self.board.now(),
        }  # fmt: skip
        return [f"{name}: {len(what)}" for name, what in found.items() if what]


@dataclass
class Pressed:
    """A key of the callee that has come to the service. ``by_call``: it ran the call then, or took it up later."""

    right: Right
    at: datetime
    by_call: bool


class Run:
    """``wrong``: what is wrong, in words. ``trace``: everything that happened."""

    def __init__(self, loop: SimulatedLoop, story: Story, plan: Plan, jitter: random.Random | None) -> None:
        self.loop = loop
        self.story = story
        self.plan = plan
        self.wrong: list[str] = []
        self.trace: list[str] = []
        self._seen: Counter[str] = Counter()
        self._background: set[asyncio.Task[Any]] = set()
        self.asterisk = Asterisk(loop, plan, self.note, self.happened, jitter)
        self.asterisk.watch = self.watch
        self.database = Database(loop.moment, plan, self.note, jitter)
        self.database.heard = self._watch_heard
        self.archive = _Archive(self)
        self.service: Service | None = None
        self.pressed: list[Pressed] = []
        #: When the service was killed, or a call was cancelled that had been cancelled before: what it was doing may be lost.
        self._killed_at: list[datetime] = []
        self._cancelled: set[asyncio.Task[Any]] = set()
        #: The newest recorder could not be started, and was taken down.
        self._taken_down = False
        #: How often recordings were left for the next connection, and how often there was one because of it.
        self._left = self._asked_again = 0
        loop.suspended = self._suspended
        loop.set_exception_handler(self._not_retrieved)

    def note(self, *what: object) -> None:
        self.trace.append(f"{self.loop.time():9.4f} {' '.join(str(each) for each in what)}")

    def fault(self, what: str) -> None:
        self.note("WRONG", what)
        self.wrong.append(what)

    def _not_retrieved(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fault(f"{context['message']}: {context.get('exception')!r}")

    def background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def log(self, _: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        by = _RUN_BY.get()
        if by is None or by.dead:
            raise structlog.DropEvent
        self.note(
            "log",
            method,
            event["event"],
            {k: v for k, v in event.items() if k in {"reason", "command", "right", "outcome"}} or "",
        )
        if event["event"] == "talk_resumed":
            for each in self.pressed:
                each.by_call = True
        if event["event"] == "recording_left":
            self._left = self._asked_again + 1
        self._look_at_recorder(event)
        if event["event"] == "asterisk_connected":
            self._look_at_stock(by)
        if event["event"] in _UNEXPECTED:
            self.fault(f"logged {event['event']}: {event.get('reason', '')}{_current()}")
        raise structlog.DropEvent

    def _look_at_recorder(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": "command_failed", "command": "StopRecorder", "reason": why} if not self.plan.came:
                self.fault(f"a recorder was taken for one that does not stop: {why}")
            case {"event": "command_failed", "command": "StartRecorder"}:
                self._taken_down = True
            case {"event": "recording_tagged"}:
                self._taken_down = False
            case {"event": "recording_started"} if self._taken_down:
                self.fault("a recorder that was taken down again is taken for one that runs")

    def _look_at_stock(self, by: Service) -> None:
        """What must be so when stock has been taken: later a caretaker would see to some of it."""
        for row in self.database.calls.values():
            if row.ended_at is None and str(row.id) not in by.calls._by_id:
                self.fault("a call that nobody runs is still open after taking stock")
        ends = any(self.database.unfinished(each).until for each in self.database.recordings.values())
        if ends or any(self._stops(each) for each in self._durable()):
            self.asterisk._later(STOPS_SECONDS, self._look_at_refused, by, by.link.connections)

    def _look_at_refused(self, by: Service, connection: int) -> None:
        """Some time after it was on record, when the ``connection`` began, that somebody is not to be recorded."""
        running = any(each.began_at and each.ended_at is None for each in self.asterisk.tapings.values())
        if (
            running
            and by is self.service
            and by.link.connected.is_set()
            and by.link.connections == connection
        ):
            self.fault("invariant 6: recorded on, although it was on record that they refuse it")

    # people

    def happened(self, what: str) -> None:
        if what.startswith("gone agent1"):
            what = "gone colleague"
        if what == "channel_answered":
            what = "transfer answered"
        self._seen[what] += 1
        self.note("happened", what, self._seen[what])
        if what == "rung callee":
            self._react(0.5, lambda run: run.pick_up("callee", answers=self.story.answers))
        elif what.startswith("rung agent"):
            self._react(0.5, lambda run: run.pick_up("agent", answers=True))
        for seconds, act in self.story.reactions(what, self._seen[what]):
            self._react(seconds, act)

    def _react(self, seconds: float, act: Callable[["Run"], None]) -> None:
        self.asterisk._later(seconds, act, self)

    def _leg(self, party: str) -> Channel | None:
        """The party's channel: the newest, if it has had several."""
        found = [each for each in self.asterisk.channels.values() if self._party(each) == party]
        return found[-1] if found else None

    def _party(self, channel: Channel) -> str | None:
        if channel.spies_on is not None:
            return None
        if channel.id == "phone-1":
            return "callee" if self.story.direction is Direction.INBOUND else "agent"
        return "callee" if channel.id.endswith("-callee") else "agent"

    def pick_up(self, party: str, *, answers: bool) -> None:
        channel = self._leg(party)
        if channel is None or channel.state != "Ringing":
            return
        if answers:
            self.asterisk.up(channel)
        else:
            self.asterisk.hang_up(channel, 17)

    def hang_up(self, party: str) -> None:
        channel = self._leg(party)
        if channel is not None and (channel.state in {"Up", "Ring"}):
            self.note("people", party, "hangs up")
            self.asterisk.hang_up(channel)

    def press(self, key: str) -> None:
        channel = self._leg("callee")
        if channel is None:
            return
        self.note("people", "callee presses", key)
        right, at = _RIGHTS.get(key), self.loop.moment()

        def arrived() -> None:
            if right is not None and self.service is not None:
                self.pressed.append(Pressed(right, at, by_call=self.service.runs(channel)))

        self.asterisk.press(channel, key, arrived)

    def type_code(self, code: str) -> None:
        for key in code:
            if (channel := self._leg("agent")) is not None:
                self.asterisk.press(channel, key)

    def end_recorder(self) -> None:
        """The recorder ends by itself, as it does when no packet comes for some seconds."""
        for snoop in [each for each in self.asterisk.channels.values() if each.spies_on is not None]:
            self.asterisk.hang_up(snoop)

    def refer(self, to: str) -> None:
        if (channel := self._leg("agent")) is not None:
            self.note("people", "agent refers")
            self.asterisk.refer(channel, to)

    # faults while a call waits

    def _suspended(self, task: asyncio.Task[Any]) -> None:
        by = self.loop.contexts[task].get(_RUN_BY)
        if by is None or by.dead:
            return
        fault = self.plan.at(Place.WAIT)
        if fault is None:
            return
        self.note("at a wait", fault)
        self.loop.call_soon(self._go_wrong, fault, task, context=contextvars.Context())

    def _go_wrong(self, fault: Fault, task: asyncio.Task[Any]) -> None:
        match fault:
            case Fault.CANCELLED:
                if task in self._cancelled:
                    self._killed_at.append(self.loop.moment())
                self._cancelled.add(task)
                task.cancel()
                self.asterisk.lose()
            case Fault.CUT:
                self.asterisk.lose()
            case Fault.SILENT:
                self.asterisk.lose(unnoticed=True)
            case Fault.KILLED:
                self.kill()
            case Fault.STOPPED:
                self.background(self._restart())
            case Fault.CALLEE_GONE:
                self.hang_up("callee")
            case Fault.AGENT_GONE:
                self.hang_up("agent")
            case Fault.PRESSED:
                self.press("7")
            case Fault.HELD:
                if (channel := self._leg("callee")) is not None:
                    self.asterisk.hold(channel)
                    self.asterisk._later(3.0, self.asterisk.hold, channel)
            case _:
                raise AssertionError(fault)

    def kill(self) -> None:
        if self.service is not None:
            self._killed_at.append(self.loop.moment())
            self.service.die()
            self.service = None
            self.background(self._start_later())

    async def _restart(self) -> None:
        service, self.service = self.service, None
        if service is not None:
            await service.stop()
            self._let_go_of_all(service)
            self.asterisk.lose()
            await self._start_later()

    async def _start_later(self) -> None:
        await asyncio.sleep(1.0)
        self.service = Service(self)

    # what is looked at while it happens

    def watch(self, what: str, *about: Any) -> None:
        getattr(self, f"_watch_{what}")(*about)

    def _watch_dial(self, channel: Channel) -> None:
        if not channel.id.endswith("-callee"):
            return
        row = self.database.calls.get(_call(channel.id))
        if row is None or row.dialled_at is None:
            self.fault("invariant 1: dialled without a spent token")
        if self.asterisk.dials[channel.id] > 1:
            self.fault("invariant 1: dialled twice")

    def _watch_stock(self) -> None:
        if self.service is not None and self.service.calls.under_way:
            self.fault("stock is taken while calls of the lost connection still run")

    def _watch_record(self, snoop: Channel, name: str) -> None:
        call = _call(snoop.id)
        earlier = [
            each
            for each in self.asterisk.channels.values()
            if each.spies_on and _segment(each) != _segment(snoop)
        ]
        if earlier and not self.plan.came:
            self.fault("the channel of an earlier recording still listens")
        tagged = self.database.recordings.get(UUID(name[:36]))
        if tagged is None:
            self.fault("invariant 4: recorded before the tag was committed")
        callee = self._leg("callee")
        if callee is not None:
            self._heard("invariant 2: recorded", call, callee)
        events = self.database.calls[call].events if call in self.database.calls else []
        if self.campaign.recording.mode is RecordingMode.OPT_IN and "recording_agreed" not in events:
            self.fault("invariant 2: recorded without the key")

    def _heard(self, what: str, call: UUID, callee: Channel) -> None:
        row = self.database.calls.get(call)
        if row is None or row.heard_at is None:
            self.fault(f"{what} before it was committed that the notice was heard")
        notice = notices.sequence(
            self.campaign, informed=False, inbound=self.story.direction is Direction.INBOUND
        )
        if not callee.heard.issuperset(notice):
            self.fault(f"{what} before the notice was heard")

    def _watch_heard(self, call: UUID) -> None:
        name = "phone-1" if self.story.direction is Direction.INBOUND else f"ccari-{call}-callee"
        callee = self.asterisk.channels.get(name) or self.asterisk.past[name]
        self._heard("invariant 2: committed as heard", call, callee)

    def _watch_together(self, *channels: Channel) -> None:
        callee = next((each for each in channels if self._party(each) == "callee"), None)
        if callee is not None and callee.bridge is not None:
            self._heard("invariant 3: bridged", _call(callee.bridge), callee)

    def _watch_play(self, channel: Channel, prompts: list[str]) -> None:
        for each in prompts:
            right = _CONFIRMS.get(each)
            if right is not None and right not in self._durable() and not self.story.withheld:
                self.fault(f"invariant 5: {each} said before it was durable")

    def _durable(self) -> Counter[Right]:
        database = self.database
        kept = {each.exercise.id: each.exercise.right for each in database.requests}
        kept |= {exercise.id: exercise.right for _, exercise, _ in database.spooled}
        return Counter(kept.values())

    # the run

    async def play(self) -> None:
        async with replaying(self.database):
            self.service = Service(self)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await self.service.link.connected.wait()
            self._begin(self.service)
            self.asterisk._later(PATIENCE_SECONDS, self._everybody_hangs_up)
            over = False
            while not over and self.loop.time() < OVER_SECONDS:
                await asyncio.sleep(1.0)
                over = self._is_over()
            await asyncio.sleep(1.0)
            service = self.service
            if not over:
                self.fault("it is not over: " + ", ".join([*self.asterisk.left, *self._rows_open()]))
            if service is not None:
                self._let_go_of_all(service)
                await service.stop()
                if tasks := service.tasks:
                    self.fault(f"tasks are left: {tasks}")
            for each in list(self._background):
                each.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            await self.asterisk.close()
        self._look_back()

    def _begin(self, service: Service) -> None:
        match self.story.direction:
            case Direction.INBOUND:
                presented = "prohib_not_screened" if self.story.withheld else "allowed_not_screened"
                shown = {"CALLERID(num)": NUMBER, "CALLERID(num-pres)": presented}
                self.asterisk.dial_in("phone-1", ["inbound", self.story.campaign, "1001"], shown)
            case Direction.OUTBOUND:
                self.asterisk.dial_in("phone-1", ["outbound", NUMBER, self.story.campaign], {})
            case first:
                agent = "1001" if first is Direction.AGENT_FIRST else None
                service.place(CallToPlace(NUMBER, self.story.campaign, agent))

    def _everybody_hangs_up(self) -> None:
        for party in ("callee", "agent"):
            self.hang_up(party)

    def _rows_open(self) -> list[str]:
        return [f"row of {row.id}" for row in self.database.calls.values() if row.ended_at is None]

    def _is_over(self) -> bool:
        asterisk, service = self.asterisk, self.service
        if (
            service is None
            or asterisk.socket is None
            or asterisk.channels
            or asterisk.left
            or self._rows_open()
        ):
            return False
        if self.database.spooled or not service.is_idle or self._background:
            return False
        if any(each.state in {"tagged", "recording"} for each in self.database.recordings.values()):
            # Asterisk did not say what became of it; whoever connects next asks again
            if self._left and self._left == self._asked_again + 1:
                self._asked_again += 1
                asterisk.lose()
            return False
        return True

    def _let_go_of_all(self, service: Service) -> None:
        for each in service.left:
            self.fault(f"not let go of: {each}")

    def _look_back(self) -> None:
        """What must hold when all is over."""
        database = self.database
        for row in database.calls.values():
            broken = chain_fault(start(row.id), row.journal, count=len(row.journal), last=row.last)
            if broken:
                self.fault(f"invariant 9: {broken}")
            if row.events.count("call_ended") != 1:
                self.fault(f"the journal tells of {row.events.count('call_ended')} ends: {row.events}")
        self._look_back_at_rights()
        self._look_back_at_recordings()

    def _look_back_at_rights(self) -> None:
        durable = self._durable()
        for right in set(_RIGHTS.values()):
            presses = [each for each in self.pressed if each.right is right and not self.story.withheld]
            if durable[right] > (0 if self.story.withheld else 1):
                self.fault(f"{right} registered {durable[right]} times")
            if presses and not durable[right] and self._must_be_known(presses[0]):
                self.fault(f"invariant 5: {right}, pressed at {presses[0].at:%M:%S}, is lost")

    def _look_back_at_recordings(self) -> None:
        database, durable = self.database, self._durable()
        for each in database.recordings.values():
            if each.state in {"tagged", "recording"}:
                self.fault(f"a recording stays {each.state}")
            if each.state == "finished" and not self.asterisk.has_file(str(each.tag.recording_id)):
                self.fault("a recording waits for a file that does not exist")
        for name in self.asterisk.tapings:
            if self.asterisk.has_file(name) and UUID(name[:36]) not in database.recordings:
                self.fault("a file has no tag")
        refused = [
            each.at
            for each in self.pressed
            if self._stops(each.right) and (durable[each.right] or self._must_be_known(each))
        ]
        for tag, end in self._kept():
            if refused and (end - min(refused)).total_seconds() > _ROUNDING_SECONDS:
                self.fault(
                    f"invariant 6: kept until {end:%M:%S.%f}, refused at {min(refused):%M:%S.%f} ({tag.recording_id})"
                )

    @property
    def campaign(self) -> Campaign:
        found = POLICY.campaign(self.story.campaign)
        assert found is not None
        return found

    def _stops(self, right: Right) -> bool:
        rules = self.campaign.recording
        return stops_recording(right, rules.legal_basis, rules.mode)

    def _must_be_known(self, press: Pressed) -> bool:
        """Only what the service heard, and had time for, must be durable."""
        return press.by_call and not any(
            press.at <= each <= press.at + timedelta(seconds=10) for each in self._killed_at
        )

    def _kept(self) -> Iterator[tuple[RecordingTag, datetime]]:
        """Every recording that is kept, or that the caretaker will keep, with its end."""
        yield from self.archive.kept.values()
        for each in self.database.recordings.values():
            found = self.database.unfinished(each)
            taping = self.asterisk.tapings.get(str(found.tag.recording_id))
            if (
                each.state == "finished"
                and found.may_be_kept
                and taping is not None
                and taping.ended_at is not None
            ):
                end = BEGINNING + timedelta(seconds=taping.ended_at)
                yield found.tag, min(end, found.until or end)


def _call(name: str) -> UUID:
    return UUID(name.removeprefix("ccari-")[:36])


def _segment(snoop: Channel) -> str:
    """Which of its call's recordings it is for."""
    return snoop.id.partition("-snoop")[2].partition("-")[0]


def _current() -> str:
    text = traceback.format_exc()
    return "" if text.startswith("NoneType") else "\n" + text


async def _connect(run: Run, _: object, credentials: Credentials) -> Transport:
    await asyncio.sleep(0.001)
    return run.asterisk.connect()


async def _identify(*_: object) -> Identity:
    return Identity("22.10.1", "pbx", "run")


async def _nothing(*_: object) -> None: ...


@contextlib.asynccontextmanager
async def _open_ari(transport: Transport, credentials: Credentials) -> AsyncIterator[Ari]:
    yield Ari(Operations(transport), transport, credentials)


@contextlib.asynccontextmanager
async def _no_session(**_: object) -> AsyncIterator[None]:
    yield None


def play(name: str, *chosen: At, seed: int | None = None, shuffled: bool = False) -> Run:
    """Play the call ``name`` with the faults ``chosen``, and with more and other times if there is a ``seed``."""
    jitter = random.Random(f"times {seed}") if seed is not None else None
    loop = SimulatedLoop(random.Random(f"order {seed}") if shuffled else None)
    loop.watched = frozenset({"CallRunner.run"})
    run = Run(loop, STORIES[name], Plan(*chosen, seed=seed), jitter)
    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, run.log],
                        cache_logger_on_first_use=False)  # fmt: skip
    random.seed(seed or 0)
    replaced = {
        "connect": partial(_connect, run), "identify": _identify, "refuse_strangers": _nothing, "open_ari": _open_ari,
        "Connector": lambda **_: None,
    }  # fmt: skip
    try:
        with contextlib.ExitStack() as stack:
            for each, by in replaced.items():
                stack.enter_context(mock.patch(f"ccari.calls.link.{each}", by))
            stack.enter_context(mock.patch("ccari.calls.link.aiohttp.ClientSession", _no_session))
            stack.enter_context(clock_of(loop, ("ccari.calls", "ccari.gating")))
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                try:
                    runner.run(run.play())
                except NothingLeft:
                    run.fault("everybody waits for somebody")
    finally:
        structlog.configure(**before)
    return run


def told(name: str, run: Run, *chosen: At, seed: int | None = None) -> str:
    """What is wrong with a run, how to play it again, and what happened."""
    again = " ".join([f"'{name}'", *map(str, chosen), *([f"--seed {seed}"] if seed is not None else [])])
    return "\n".join([*run.wrong, f"python -m tests.unit.interleaving {again}", *run.trace])
