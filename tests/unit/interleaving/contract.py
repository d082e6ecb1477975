"""What Asterisk does, as far as calls depend on it: stories that the simulated Asterisk passes, and a real one too
(``test_same_as_asterisk.py``, ``tests/integration/test_same_as_simulated.py``).

Compared are the answers to requests, and the events that ccari asks for, with what it reads of them. Their order is compared for each
channel by itself: Asterisk serves each channel, and each connection, in a thread of its own, so that events of two channels, and an event and
an answer, come in any order. How long something takes is not compared.

Not simulated, and so not compared, are media, early media and what is pressed in it, redirections, answering machine detection, a request for a
channel that is just being hung up, and a second service that takes the application over.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Protocol

from ccari.calls.ari import Ari
from ccari.calls.events import channel_of
from ccari.calls.transport import Refused, Transport
from ccari.gating.variables import OUTCOME
from ccari.policy.call import Outcome

#: How long anything may take.
PATIENCE_SECONDS = 45.0
#: The length of each prompt, in seconds. While the long one plays there is time for whatever must happen meanwhile.
LENGTHS = {"brief": 0.5, "short": 2.0, "long": 40.0}
_LIMIT = "TIMEOUT(absolute)"
#: What names a thing that the story has made, in a request.
_NAMED = frozenset({"channelId", "snoopId", "bridgeId", "playbackId", "recordingName", "name"})


class Far(StrEnum):
    """What a telephone does when it is called."""

    ANSWERS = "answers"
    RINGS = "rings"
    RINGS_AND_ANSWERS = "rings and answers"
    BUSY = "busy"
    DECLINES = "declines"
    UNKNOWN = "unknown"
    HOLDS = "answers, puts the call on hold, and takes it back"


class Caller(Protocol):
    """Somebody who calls in, and whom the dialplan hands over."""

    async def hang_up(self) -> None: ...

    async def press(self, key: str) -> None: ...

    async def refused(self) -> bool:
        """Wait for the end of the call; True if nobody ever answered it."""


class World(Protocol):
    """What is around the Asterisk: its telephones, its connections, its sound files and its dialplan."""

    def endpoint(self, far: Far) -> str:
        """A telephone that has not been called yet, for a dial string."""

    async def hang_up(self, endpoint: str) -> None:
        """Who answered there hangs up."""

    async def press(self, endpoint: str, key: str, channel: str) -> None:
        """Who answered there presses a key; returns when Asterisk has heard it on their channel, whether it reports it or not."""

    async def call_in(self, campaign: str, *, transfers: bool = False) -> Caller:
        """Somebody calls. ``transfers``: an agent, who asks for a transfer to 1002 once they are answered."""

    def media(self, prompt: str) -> str:
        """A prompt, for a request to play it."""

    #: A context of the dialplan that keeps a channel.
    context: str

    def connected(
        self, app: str, on_event: Callable[[dict[str, Any]], None]
    ) -> contextlib.AbstractAsyncContextManager[tuple[Ari, Transport]]:
        """A connection for an application, which is closed at the end."""

    async def rest(self) -> None:
        """Wait until everything has come that Asterisk has sent about any channel."""


class Pbx:
    """An Asterisk in a story. What the story makes gets a name of its own, so that stories can be played side by side."""

    def __init__(self, world: World, ari: Ari, transport: Transport, story: str) -> None:
        self.world = world
        self._api = ari._api
        self._url = ari._base
        self._app = ari._app
        self._transport = transport
        self._prefix = f"{story}-"
        self._endpoints: dict[str, str] = {}
        #: The names that the dialplan's channels have in Asterisk.
        self._handed_over: dict[str, str] = {}
        self._heard: list[dict[str, Any]] = []
        self._more = asyncio.Event()
        self._quiet = 0

    def know(self, earlier: "Pbx") -> None:
        """Take up what an earlier connection made."""
        self._endpoints, self._quiet = earlier._endpoints, earlier._quiet

    def take(self, event: dict[str, Any]) -> None:
        self._heard.append(event)
        self._more.set()
        self._more = asyncio.Event()

    # names

    def _full(self, name: str) -> str:
        return self._handed_over.get(name, f"{self._prefix}{name}")

    def _short(self, name: str) -> str:
        return {full: short for short, full in self._handed_over.items()}.get(
            name, name.removeprefix(self._prefix)
        )

    # requests

    async def ask(self, operation: str, **given: Any) -> int:
        """Make a request: its HTTP status, 200 for each that says that it was done."""
        return (await self._answer(operation, given))[0]

    async def read(self, operation: str, **given: Any) -> Any:
        """The body of an answer."""
        status, body = await self._answer(operation, given)
        assert status == HTTPStatus.OK, f"{operation}: {status}"
        return body

    async def beside(self, resource: str, name: str, operation: str, **given: str) -> int:
        """As :meth:`ask`, over a connection of its own."""
        sent = {key: self._full(value) if key == "channel" else value for key, value in given.items()}
        url = f"{self._url}/{resource}/{self._full(name)}/{operation}"
        try:
            await self._transport.post_beside(url, sent, PATIENCE_SECONDS)
        except Refused as refusal:
            return refusal.status
        return HTTPStatus.OK

    async def _answer(self, operation: str, given: dict[str, Any]) -> tuple[int, Any]:
        resource, _, does = operation.partition(".")
        sent = {key: self._full(value) if key in _NAMED else value for key, value in given.items()}
        if "channel" in sent:
            sent["channel"] = [self._full(each) for each in sent["channel"]]
        try:
            reply = await getattr(getattr(self._api, resource), does)(**sent)
        except Refused as refusal:
            return refusal.status, None
        return HTTPStatus.OK, json.loads(reply.text) if reply.text else None

    async def create(self, party: str, far: Far = Far.ANSWERS, limit: float = 600) -> int:
        """Make a channel for the application, and wait until it is there."""
        self._endpoints[party] = endpoint = self.world.endpoint(far)
        status = await self.ask(
            "channels.create", channelId=party, endpoint=endpoint, app=self._app, appArgs=party, variables={_LIMIT: str(limit)}
        )  # fmt: skip
        await self.until(party, f"StasisStart {party}")
        return status

    async def dial(self, party: str, far: Far = Far.ANSWERS, seconds: int = 600) -> None:
        await self.create(party, far)
        assert await self.ask("channels.dial", channelId=party, timeout=seconds) == HTTPStatus.OK

    async def answered(self, *parties: str, far: Far = Far.ANSWERS) -> None:
        """Make and dial channels, whose telephones answer."""
        for each in parties:
            await self.dial(each, far)
        for each in parties:
            await self.until(each, UP)

    async def called(self, *, transfers: bool = False) -> Caller:
        """Somebody calls; the dialplan hands over their channel, ``caller``."""
        campaign = self._prefix.rstrip("-").replace("_", "")
        calling = await self.world.call_in(campaign, transfers=transfers)
        came = await self._wait(
            lambda: next(
                (each for each in self._heard if each["type"] == "StasisStart" and campaign in each["args"]),
                None,
            )
        )
        self._handed_over["caller"] = came["channel"]["id"]
        return calling

    async def play(self, party: str, playback: str, *prompts: str) -> int:
        media = ",".join(map(self.world.media, prompts))
        return await self.ask("channels.playWithId", channelId=party, playbackId=playback, media=media)

    async def snoop(self, party: str, snoop: str) -> int:
        return await self.ask(
            "channels.snoopChannelWithId",
            channelId=party,
            snoopId=snoop,
            spy="both",
            app=self._app,
            appArgs="snoop",
        )

    async def record(self, party: str, recording: str) -> int:
        return await self.ask(
            "channels.record", channelId=party, name=recording, format="wav", ifExists="fail"
        )

    async def stop(self, recording: str) -> int:
        return await self.ask("recordings.stop", recordingName=recording)

    async def no_longer_live(self, recording: str) -> None:
        """Asterisk reports that a recording is over a moment before it forgets it, and refuses meanwhile to stop it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.ask("recordings.getLive", recordingName=recording) == HTTPStatus.OK:
                assert await self.stop(recording) in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}
        assert await self.stop(recording) == HTTPStatus.NOT_FOUND

    async def is_stored(self, recording: str) -> bool:
        return await self.ask("recordings.getStored", recordingName=recording) == HTTPStatus.OK

    async def bridge(self, *parties: str) -> None:
        assert (
            await self.ask("bridges.createWithId", bridgeId="bridge", type="mixing,dtmf_events")
            == HTTPStatus.OK
        )
        assert await self.add(*parties) == HTTPStatus.OK

    async def add(self, *parties: str) -> int:
        return await self.ask("bridges.addChannel", bridgeId="bridge", channel=list(parties))

    async def remove(self, party: str) -> int:
        return await self.ask("bridges.removeChannel", bridgeId="bridge", channel=[party])

    async def bridged(self) -> set[str]:
        """Who is in the story's bridge."""
        found = {each["id"]: each["channels"] for each in await self.read("bridges.list")}
        return {self._short(each) for each in found[self._full("bridge")]}

    async def is_ours(self, party: str) -> bool:
        """Whether the application lists the channel."""
        return (
            self._full(party)
            in (await self.read("applications.get", applicationName=self._app))["channel_ids"]
        )

    async def variable(self, party: str, name: str) -> str | None:
        status, body = await self._answer("channels.getChannelVar", {"channelId": party, "variable": name})
        assert status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}
        return None if body is None else str(body["value"])

    async def hang_up(self, party: str) -> int:
        return await self.ask("channels.hangup", channelId=party)

    async def gone(self, party: str) -> None:
        """Wait until there is no such channel, and everything of it has been reported."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.ask("channels.get", channelId=party) != HTTPStatus.NOT_FOUND:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until what has happened has been reported: what happens to another channel is reported after it."""
        self._quiet += 1
        another = f"another{self._quiet}"
        await self.create(another)
        assert await self.hang_up(another) == HTTPStatus.OK
        await self.until(another, "ChannelDestroyed 16")
        await self.world.rest()

    # people

    async def far_hangs_up(self, party: str) -> None:
        await self.world.hang_up(self._endpoints[party])

    async def far_presses(self, party: str, key: str) -> None:
        await self.world.press(self._endpoints[party], key, self._full(party))

    # events

    async def until(self, party: str, what: str, times: int = 1) -> None:
        """Wait until it has been reported of the channel so many times."""
        await self._wait(lambda: self.of(party).count(what) >= times or None)

    async def _wait(self, found: Callable[[], Any]) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (what := found()) is None:
                    await self._more.wait()
        except TimeoutError:
            told = [f"{each['type']} {self._short(channel_of(each) or '')}" for each in self._heard]
            raise AssertionError(f"it did not come to be told of: {told}") from None
        return what

    def of(self, party: str) -> list[str]:
        """What was reported of a channel, in order, but for :meth:`dials`."""
        return [self._words(each) for each in self._of(party) if each["type"] != "Dial"]

    def dials(self, party: str) -> set[str]:
        """What was reported of how it was dialled, in any order: one thread dials, another hears what comes of it."""
        return {each["dialstatus"] for each in self._of(party) if each["type"] == "Dial"}

    def _of(self, party: str) -> list[dict[str, Any]]:
        return [each for each in self._heard if channel_of(each) == self._full(party)]

    def _words(self, event: Mapping[str, Any]) -> str:
        match event["type"]:
            case "StasisStart":
                words = event["args"]
            case "ChannelStateChange":
                words = [event["channel"]["state"]]
            case "ChannelDestroyed":
                words = [str(event["cause"])]
            case "ChannelDtmfReceived":
                # a telephone says how long it was held down
                assert 40 <= event["duration_ms"] <= 1000
                words = [event["digit"]]
            case "ChannelLeftBridge":
                words = [self._short(event["bridge"]["id"])]
            case "PlaybackStarted" | "PlaybackFinished":
                words = [self._short(event["playback"]["id"]), event["playback"]["state"]]
            case "RecordingStarted" | "RecordingFinished" | "RecordingFailed":
                words = [self._short(event["recording"]["name"])]
            case "ChannelTransfer":
                words = [event["refer_to"]["requested_destination"]["destination"], event.get("state", "")]
            case _:
                words = []
        return " ".join([event["type"], *filter(None, words)])


Story = Callable[[Pbx], Awaitable[None]]
#: The stories that may be played side by side, and those of the one application to which the dialplan hands calls over.
STORIES: list[Story] = []
HANDED_OVER: list[Story] = []
#: That application.
APP = "ccari"
OK, NO, GONE, NOT_OURS = HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT
UP, RINGING = "ChannelStateChange Up", "ChannelStateChange Ringing"


def _story(story: Story) -> Story:
    STORIES.append(story)
    return story


def _of_a_caller(story: Story) -> Story:
    HANDED_OVER.append(story)
    return story


async def play(story: Story, world: World) -> None:
    """Play a story, over a connection of its own."""
    app = APP if story in HANDED_OVER else story.__name__
    async with _connected(world, app, story.__name__) as pbx:
        await story(pbx)


@contextlib.asynccontextmanager
async def _connected(world: World, app: str, story: str) -> AsyncIterator[Pbx]:
    made: list[Pbx] = []
    async with world.connected(app, lambda event: made[0].take(event) if made else None) as (ari, transport):
        made.append(Pbx(world, ari, transport, story))
        yield made[0]


# channels that are made


@_story
async def a_channel_waits(pbx: Pbx) -> None:
    assert await pbx.create("callee") == OK
    taken = {
        "channelId": "callee",
        "endpoint": pbx.world.endpoint(Far.ANSWERS),
        "app": APP,
        "appArgs": "",
        "variables": {_LIMIT: "9"},
    }
    assert await pbx.ask("channels.create", **taken) == HTTPStatus.CONFLICT
    assert await pbx.play("callee", "prompt", "brief") == HTTPStatus.PRECONDITION_FAILED
    assert await pbx.ask("channels.rtpstatistics", channelId="callee") == NO
    assert await pbx.is_ours("callee")
    assert await pbx.variable("callee", "ANY") is None
    assert await pbx.ask("channels.setChannelVar", channelId="callee", variable="ANY", value="it") == OK
    assert await pbx.variable("callee", "ANY") == "it"
    assert await pbx.hang_up("callee") == OK
    await pbx.gone("callee")
    assert not await pbx.is_ours("callee")
    assert pbx.of("callee") == ["StasisStart callee", "StasisEnd", "ChannelDestroyed 16"]


@_story
async def nothing_is_done_with_what_is_not_there(pbx: Pbx) -> None:
    assert await pbx.hang_up("callee") == NO
    assert await pbx.ask("channels.dial", channelId="callee", timeout=9) == NO
    assert await pbx.ask("channels.answer", channelId="callee") == NO
    assert await pbx.ask("channels.continueInDialplan", channelId="callee") == NO
    assert await pbx.ask("channels.setChannelVar", channelId="callee", variable="ANY", value="it") == NO
    assert await pbx.ask("channels.rtpstatistics", channelId="callee") == NO
    assert await pbx.variable("callee", "ANY") is None
    assert await pbx.play("callee", "prompt", "brief") == NO
    assert await pbx.snoop("callee", "snoop") == NO
    assert await pbx.record("snoop", "recording") == NO
    assert await pbx.ask("playbacks.stop", playbackId="prompt") == NO
    assert await pbx.stop("recording") == NO
    for each in ("cancel", "getLive", "getStored"):
        assert await pbx.ask(f"recordings.{each}", recordingName="recording") == NO
    assert await pbx.ask("bridges.destroy", bridgeId="bridge") == NO
    assert await pbx.add("callee") == NO
    assert await pbx.remove("callee") == NO
    assert await pbx.ask("bridges.createWithId", bridgeId="bridge", type="mixing,dtmf_events") == OK
    assert await pbx.add("callee") == GONE
    assert await pbx.remove("callee") == GONE
    assert await pbx.ask("bridges.destroy", bridgeId="bridge") == OK


@_story
async def a_channel_ends_when_its_time_is_over(pbx: Pbx) -> None:
    await pbx.create("undialled", limit=4)
    await pbx.dial("ringing", Far.RINGS)
    await pbx.until("ringing", RINGING)
    await pbx.answered("talking")
    for each in ("ringing", "talking"):
        assert await pbx.ask("channels.setChannelVar", channelId=each, variable=_LIMIT, value="1") == OK
    for each in ("undialled", "ringing", "talking"):
        await pbx.gone(each)
    assert pbx.of("undialled") == ["StasisStart undialled", "StasisEnd", "ChannelDestroyed 21"]
    assert pbx.of("ringing") == ["StasisStart ringing", RINGING, "StasisEnd", "ChannelDestroyed 16"]
    assert pbx.of("talking") == ["StasisStart talking", UP, "StasisEnd", "ChannelDestroyed 16"]


@_story
async def nobody_is_reached(pbx: Pbx) -> None:
    causes = {Far.BUSY: 17, Far.DECLINES: 21, Far.UNKNOWN: 1}
    for far, cause in causes.items():
        await pbx.dial(far.value, far)
        await pbx.gone(far.value)
        assert pbx.of(far.value) == [f"StasisStart {far.value}", "StasisEnd", f"ChannelDestroyed {cause}"]
        assert pbx.dials(far.value) == {""}


@_story
async def nobody_answers(pbx: Pbx) -> None:
    await pbx.dial("callee", Far.RINGS, seconds=4)
    await pbx.gone("callee")
    assert pbx.of("callee") == ["StasisStart callee", RINGING, "StasisEnd", "ChannelDestroyed 19"]
    assert pbx.dials("callee") == {"", "RINGING"}


@_story
async def a_ringing_telephone_is_left_alone(pbx: Pbx) -> None:
    await pbx.dial("callee", Far.RINGS)
    await pbx.until("callee", RINGING)
    assert await pbx.ask("channels.dial", channelId="callee", timeout=9) == HTTPStatus.CONFLICT
    assert await pbx.play("callee", "prompt", "brief") == HTTPStatus.PRECONDITION_FAILED
    assert await pbx.hang_up("callee") == OK
    await pbx.gone("callee")
    assert pbx.of("callee") == ["StasisStart callee", RINGING, "StasisEnd", "ChannelDestroyed 16"]


@_story
async def somebody_answers_and_hangs_up(pbx: Pbx) -> None:
    await pbx.answered("callee", far=Far.RINGS_AND_ANSWERS)
    assert await pbx.ask("channels.dial", channelId="callee", timeout=9) == HTTPStatus.CONFLICT
    assert await pbx.ask("channels.rtpstatistics", channelId="callee") == OK
    await pbx.far_hangs_up("callee")
    await pbx.gone("callee")
    assert pbx.of("callee") == ["StasisStart callee", RINGING, UP, "StasisEnd", "ChannelDestroyed 16"]
    assert pbx.dials("callee") == {"", "RINGING", "ANSWER"}


# prompts


@_story
async def prompts_are_played_one_after_the_other(pbx: Pbx) -> None:
    await pbx.answered("callee")
    assert await pbx.play("callee", "first", "brief") == OK
    assert await pbx.play("callee", "second", "brief", "brief") == OK
    await pbx.until("callee", "PlaybackFinished second done")
    await pbx.quiet()
    assert await pbx.ask("playbacks.stop", playbackId="second") == NO
    assert pbx.of("callee")[2:] == [
        "PlaybackStarted first playing", "PlaybackFinished first done",
        # a list is told of with each of its files
        "PlaybackStarted second playing", "PlaybackStarted second playing", "PlaybackFinished second done",
    ]  # fmt: skip


@_story
async def prompts_are_stopped(pbx: Pbx) -> None:
    await pbx.answered("callee")
    for each in ("first", "second"):
        assert await pbx.play("callee", each, "long") == OK
    assert await pbx.play("callee", "third", "brief") == OK
    await pbx.until("callee", "PlaybackStarted first playing")
    # one that waits ends in its turn, without having begun
    for _ in range(2):
        assert await pbx.ask("playbacks.stop", playbackId="second") == OK
    await pbx.quiet()
    assert pbx.of("callee")[2:] == ["PlaybackStarted first playing"]
    assert await pbx.ask("playbacks.stop", playbackId="first") == OK
    await pbx.until("callee", "PlaybackFinished third done")
    await pbx.quiet()
    for each in ("first", "second"):
        assert await pbx.ask("playbacks.stop", playbackId=each) == NO
    assert pbx.of("callee")[2:] == [
        "PlaybackStarted first playing", "PlaybackFinished first done", "PlaybackFinished second done",
        "PlaybackStarted third playing", "PlaybackFinished third done",
    ]  # fmt: skip


@_story
async def who_hangs_up_in_a_prompt_hears_no_more(pbx: Pbx) -> None:
    for party, hangs_up in (("callee", pbx.far_hangs_up), ("agent", pbx.hang_up)):
        await pbx.answered(party)
        assert await pbx.play(party, f"{party}-first", "long") == OK
        assert await pbx.play(party, f"{party}-second", "brief") == OK
        await pbx.until(party, f"PlaybackStarted {party}-first playing")
        await hangs_up(party)
        await pbx.gone(party)
        assert pbx.of(party)[2:] == [
            f"PlaybackStarted {party}-first playing", f"PlaybackFinished {party}-first failed", "StasisEnd", "ChannelDestroyed 16"
        ]  # fmt: skip


@_story
async def a_variable_is_set_when_the_prompt_is_over(pbx: Pbx) -> None:
    await pbx.answered("callee")
    assert await pbx.play("callee", "prompt", "long") == OK
    await pbx.until("callee", "PlaybackStarted prompt playing")
    async with asyncio.TaskGroup() as group:
        setting = group.create_task(pbx.beside("channels", "callee", "variable", variable="ANY", value="it"))
        await pbx.quiet()
        assert await pbx.variable("callee", "ANY") is None
        assert not setting.done()
        assert await pbx.ask("playbacks.stop", playbackId="prompt") == OK
    assert setting.result() == OK
    assert await pbx.variable("callee", "ANY") == "it"


@_story
async def an_answer_that_waits_for_a_prompt_holds_up_all_others(pbx: Pbx) -> None:
    await pbx.answered("callee")
    assert await pbx.play("callee", "prompt", "short") == OK
    await pbx.until("callee", "PlaybackStarted prompt playing")
    answered: list[str] = []

    async def ask(operation: str, **given: str) -> None:
        assert await pbx.ask(operation, **given) == OK
        answered.append(operation)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask("channels.setChannelVar", channelId="callee", variable="ANY", value="it"))
        group.create_task(ask("asterisk.ping"))
    assert answered == ["channels.setChannelVar", "asterisk.ping"]


@_story
async def what_waits_for_a_prompt_is_done_when_its_channel_ends(pbx: Pbx) -> None:
    await pbx.answered("callee", "agent")
    await pbx.bridge("callee", "agent")
    for each in ("callee", "agent"):
        assert await pbx.play(each, f"to-{each}", "long") == OK
        await pbx.until(each, f"PlaybackStarted to-{each} playing")
    async with asyncio.TaskGroup() as group:
        setting = group.create_task(pbx.beside("channels", "callee", "variable", variable="ANY", value="it"))
        parting = group.create_task(pbx.beside("bridges", "bridge", "removeChannel", channel="agent"))
        await pbx.quiet()
        assert not setting.done()
        assert not parting.done()
        for each in ("callee", "agent"):
            assert await pbx.hang_up(each) == OK
    assert setting.result() == parting.result() == OK
    for each in ("callee", "agent"):
        await pbx.gone(each)
        assert pbx.of(each)[2:] == [
            f"PlaybackStarted to-{each} playing", f"PlaybackFinished to-{each} failed", "ChannelLeftBridge bridge", "StasisEnd",
            "ChannelDestroyed 16",
        ]  # fmt: skip


# keys, holds and transfers


@_story
async def keys_are_told_of_alone_in_a_prompt_and_in_a_bridge(pbx: Pbx) -> None:
    await pbx.answered("callee", "agent")
    await pbx.far_presses("callee", "1")
    await pbx.until("callee", "ChannelDtmfReceived 1")
    assert await pbx.play("callee", "prompt", "long") == OK
    await pbx.until("callee", "PlaybackStarted prompt playing")
    await pbx.far_presses("callee", "2")
    await pbx.until("callee", "ChannelDtmfReceived 2")
    assert await pbx.ask("playbacks.stop", playbackId="prompt") == OK
    await pbx.bridge("callee", "agent")
    await pbx.far_presses("callee", "*")
    await pbx.until("callee", "ChannelDtmfReceived *")
    await pbx.far_presses("agent", "#")
    await pbx.until("agent", "ChannelDtmfReceived #")
    await pbx.quiet()
    assert pbx.of("callee")[2:] == [
        "ChannelDtmfReceived 1", "PlaybackStarted prompt playing", "ChannelDtmfReceived 2", "PlaybackFinished prompt done",
        "ChannelDtmfReceived *",
    ]  # fmt: skip
    assert pbx.of("agent")[2:] == ["ChannelDtmfReceived #"]


@_story
async def a_hold_is_told_of(pbx: Pbx) -> None:
    await pbx.answered("callee", far=Far.HOLDS)
    await pbx.until("callee", "ChannelUnhold")
    assert pbx.of("callee")[2:] == ["ChannelHold", "ChannelUnhold"]


@_of_a_caller
async def a_transfer_that_is_asked_for_is_told_of_and_so_is_its_answer(pbx: Pbx) -> None:
    await pbx.called(transfers=True)
    handling = {"variable": "PJSIP_TRANSFER_HANDLING()", "value": "ari-only"}
    assert await pbx.ask("channels.setChannelVar", channelId="caller", **handling) == OK
    assert await pbx.ask("channels.answer", channelId="caller") == OK
    await pbx.until("caller", "ChannelTransfer 1002")
    assert await pbx.variable("caller", "CHANNEL(pjsip,call-id)")
    assert await pbx.ask("channels.transfer_progress", channelId="caller", states="channel_answered") == OK
    await pbx.until("caller", "ChannelTransfer 1002 channel_answered")
    assert pbx.of("caller")[1:] == [UP, "ChannelTransfer 1002", "ChannelTransfer 1002 channel_answered"]


# bridges


@_story
async def a_bridge_is_made_and_left(pbx: Pbx) -> None:
    await pbx.answered("callee", "agent")
    await pbx.bridge("callee")
    assert (
        await pbx.ask("bridges.createWithId", bridgeId="bridge", type="mixing,dtmf_events")
        == HTTPStatus.CONFLICT
    )
    # either all or none
    assert await pbx.add("agent", "nobody") == GONE
    assert await pbx.bridged() == {"callee"}
    assert await pbx.remove("agent") == HTTPStatus.UNPROCESSABLE_ENTITY
    assert await pbx.add("agent", "callee") == OK
    assert await pbx.bridged() == {"callee", "agent"}
    assert await pbx.remove("callee") == OK
    assert await pbx.remove("callee") == HTTPStatus.UNPROCESSABLE_ENTITY
    assert await pbx.bridged() == {"agent"}
    assert await pbx.ask("bridges.destroy", bridgeId="bridge") == OK
    assert await pbx.ask("bridges.destroy", bridgeId="bridge") == NO
    await pbx.until("agent", "ChannelLeftBridge bridge")
    await pbx.quiet()
    # who is in it already leaves it first
    assert pbx.of("callee")[2:] == ["ChannelLeftBridge bridge", "ChannelLeftBridge bridge"]
    assert pbx.of("agent")[2:] == ["ChannelLeftBridge bridge"]


@_story
async def who_hangs_up_leaves_the_other_in_the_bridge(pbx: Pbx) -> None:
    await pbx.answered("callee", "agent")
    await pbx.bridge("callee", "agent")
    await pbx.far_hangs_up("callee")
    await pbx.gone("callee")
    assert await pbx.bridged() == {"agent"}
    assert await pbx.remove("callee") == GONE
    assert await pbx.add("callee") == GONE
    assert pbx.of("callee")[2:] == ["ChannelLeftBridge bridge", "StasisEnd", "ChannelDestroyed 16"]
    assert pbx.of("agent")[2:] == []


@_story
async def a_prompt_is_heard_to_its_end_before_its_channel_enters_or_leaves_a_bridge(pbx: Pbx) -> None:
    await pbx.answered("callee", "agent")
    await pbx.bridge("agent")
    assert await pbx.play("callee", "before", "long") == OK
    await pbx.until("callee", "PlaybackStarted before playing")
    async with asyncio.TaskGroup() as group:
        joining = group.create_task(pbx.beside("bridges", "bridge", "addChannel", channel="callee"))
        await pbx.quiet()
        assert not joining.done()
        assert await pbx.bridged() == {"agent"}
        assert await pbx.ask("playbacks.stop", playbackId="before") == OK
    assert joining.result() == OK
    assert await pbx.bridged() == {"callee", "agent"}
    assert await pbx.play("callee", "within", "long") == OK
    await pbx.until("callee", "PlaybackStarted within playing")
    async with asyncio.TaskGroup() as group:
        parting = group.create_task(pbx.beside("bridges", "bridge", "removeChannel", channel="callee"))
        await pbx.quiet()
        assert not parting.done()
        assert await pbx.bridged() == {"callee", "agent"}
        assert await pbx.ask("playbacks.stop", playbackId="within") == OK
    assert parting.result() == OK
    assert await pbx.add("callee") == OK
    assert await pbx.play("callee", "last", "long") == OK
    await pbx.until("callee", "PlaybackStarted last playing")
    assert await pbx.ask("bridges.destroy", bridgeId="bridge") == OK
    await pbx.until("agent", "ChannelLeftBridge bridge")
    assert "PlaybackFinished last done" not in pbx.of("callee")
    assert await pbx.ask("playbacks.stop", playbackId="last") == OK
    await pbx.until("callee", "ChannelLeftBridge bridge", times=2)
    assert pbx.of("callee")[2:] == [
        "PlaybackStarted before playing", "PlaybackFinished before done",
        "PlaybackStarted within playing", "PlaybackFinished within done", "ChannelLeftBridge bridge",
        "PlaybackStarted last playing", "PlaybackFinished last done", "ChannelLeftBridge bridge",
    ]  # fmt: skip


# recordings


@_story
async def a_recording_is_stopped_or_discarded(pbx: Pbx) -> None:
    await pbx.answered("callee")
    assert await pbx.snoop("callee", "snoop") == OK
    await pbx.until("snoop", "StasisStart snoop")
    assert await pbx.snoop("callee", "snoop") == HTTPStatus.INTERNAL_SERVER_ERROR
    assert await pbx.record("snoop", "kept") == OK
    await pbx.until("snoop", "RecordingStarted kept")
    assert await pbx.ask("recordings.getLive", recordingName="kept") == OK
    assert await pbx.record("snoop", "kept") == HTTPStatus.CONFLICT
    assert await pbx.stop("kept") == OK
    await pbx.until("snoop", "RecordingFinished kept")
    await pbx.no_longer_live("kept")
    assert await pbx.is_stored("kept")
    assert await pbx.record("snoop", "kept") == HTTPStatus.CONFLICT
    assert await pbx.record("snoop", "discarded") == OK
    await pbx.until("snoop", "RecordingStarted discarded")
    assert await pbx.ask("recordings.cancel", recordingName="discarded") == OK
    # it ends as any other, but there is no file
    await pbx.until("snoop", "RecordingFinished discarded")
    await pbx.no_longer_live("discarded")
    assert not await pbx.is_stored("discarded")
    assert await pbx.hang_up("snoop") == OK
    await pbx.gone("snoop")
    assert pbx.of("snoop") == [
        "StasisStart snoop", "RecordingStarted kept", "RecordingFinished kept", "RecordingStarted discarded",
        "RecordingFinished discarded", "StasisEnd",
    ]  # fmt: skip


@_story
async def a_recording_ends_with_its_snoop_or_with_whom_it_records(pbx: Pbx) -> None:
    await pbx.answered("callee")
    for each, hung_up in (("first", "first"), ("second", "callee")):
        assert await pbx.snoop("callee", each) == OK
        await pbx.until(each, "StasisStart snoop")
        assert await pbx.record(each, f"of-{each}") == OK
        await pbx.until(each, f"RecordingStarted of-{each}")
        assert await pbx.hang_up(hung_up) == OK
        await pbx.gone(each)
        assert pbx.of(each) == [
            "StasisStart snoop", f"RecordingStarted of-{each}", f"RecordingFinished of-{each}", "StasisEnd"
        ]  # fmt: skip
        assert await pbx.is_stored(f"of-{each}")
    assert pbx.of("callee")[2:] == ["StasisEnd", "ChannelDestroyed 16"]


@_of_a_caller
async def a_stop_is_ignored_before_the_recording_begins(pbx: Pbx) -> None:
    """Of a caller: Asterisk records no channel that was dialled over ARI, but by a snoop channel."""
    await pbx.called()
    assert await pbx.ask("channels.answer", channelId="caller") == OK
    # it begins in its turn
    assert await pbx.play("caller", "prompt", "long") == OK
    await pbx.until("caller", "PlaybackStarted prompt playing")
    assert await pbx.record("caller", "recording") == OK
    assert await pbx.ask("recordings.getLive", recordingName="recording") == OK
    assert not await pbx.is_stored("recording")
    assert await pbx.stop("recording") == OK
    assert await pbx.stop("recording") == HTTPStatus.CONFLICT
    assert await pbx.ask("playbacks.stop", playbackId="prompt") == OK
    await pbx.until("caller", "RecordingStarted recording")
    assert await pbx.ask("recordings.getLive", recordingName="recording") == OK
    # the file is there before it is whole
    assert await pbx.is_stored("recording")
    assert await pbx.stop("recording") == OK
    await pbx.until("caller", "RecordingFinished recording")
    assert pbx.of("caller")[1:] == [
        UP, "PlaybackStarted prompt playing", "PlaybackFinished prompt done", "RecordingStarted recording",
        "RecordingFinished recording",
    ]  # fmt: skip


# channels that the dialplan hands over, and takes back


@_of_a_caller
async def a_caller_is_answered_and_hangs_up(pbx: Pbx) -> None:
    caller = await pbx.called()
    # as early media
    assert await pbx.play("caller", "early", "brief") == OK
    await pbx.until("caller", "PlaybackFinished early done")
    for _ in range(2):
        assert await pbx.ask("channels.answer", channelId="caller") == OK
    await pbx.until("caller", UP)
    await caller.press("5")
    await pbx.until("caller", "ChannelDtmfReceived 5")
    await caller.hang_up()
    await pbx.gone("caller")
    # not that the channel is gone
    assert pbx.of("caller")[1:] == [
        "PlaybackStarted early playing", "PlaybackFinished early done", UP, "ChannelDtmfReceived 5", "StasisEnd"
    ]  # fmt: skip


@_of_a_caller
async def a_caller_gives_up(pbx: Pbx) -> None:
    caller = await pbx.called()
    assert await pbx.is_ours("caller")
    await caller.hang_up()
    await pbx.gone("caller")
    assert pbx.of("caller")[1:] == ["StasisEnd"]


@_of_a_caller
async def a_caller_goes_back_to_the_dialplan_when_the_prompts_are_over(pbx: Pbx) -> None:
    await pbx.called()
    await pbx.answered("agent")
    assert await pbx.ask("channels.answer", channelId="caller") == OK
    await pbx.bridge("caller", "agent")
    # with this outcome the dialplan hangs up at once
    assert (
        await pbx.ask(
            "channels.setChannelVar", channelId="caller", variable=OUTCOME, value=Outcome.BRIDGED.value
        )
        == OK
    )
    assert await pbx.play("caller", "first", "long") == OK
    assert await pbx.play("caller", "second", "brief") == OK
    await pbx.until("caller", "PlaybackStarted first playing")
    for _ in range(2):
        assert await pbx.ask("channels.continueInDialplan", channelId="caller") == OK
    assert await pbx.is_ours("caller")
    assert await pbx.ask("playbacks.stop", playbackId="first") == OK
    await pbx.gone("caller")
    assert not await pbx.is_ours("caller")
    assert await pbx.bridged() == {"agent"}
    # nor that the dialplan hangs up
    assert pbx.of("caller")[1:] == [
        UP, "PlaybackStarted first playing", "PlaybackFinished first done", "PlaybackStarted second playing",
        "PlaybackFinished second done", "ChannelLeftBridge bridge", "StasisEnd",
    ]  # fmt: skip


@_story
async def a_channel_that_was_made_is_heard_of_in_the_dialplan_too(pbx: Pbx) -> None:
    await pbx.answered("callee")
    await _send_to_dialplan(pbx, "callee")
    assert await pbx.ask("channels.answer", channelId="callee") == NOT_OURS
    assert await pbx.play("callee", "prompt", "brief") == NOT_OURS
    assert await pbx.record("callee", "recording") == NOT_OURS
    assert await pbx.ask("channels.setChannelVar", channelId="callee", variable="ANY", value="it") == NOT_OURS
    assert await pbx.ask("channels.continueInDialplan", channelId="callee") == NOT_OURS
    assert await pbx.ask("channels.dial", channelId="callee", timeout=9) == NOT_OURS
    assert await pbx.variable("callee", "ANY") is None
    assert await pbx.ask("bridges.createWithId", bridgeId="bridge", type="mixing,dtmf_events") == OK
    assert await pbx.add("callee") == HTTPStatus.UNPROCESSABLE_ENTITY
    assert await pbx.is_ours("callee")
    await pbx.far_presses("callee", "7")
    await pbx.until("callee", "ChannelDtmfReceived 7")
    assert await pbx.hang_up("callee") == OK
    await pbx.gone("callee")
    assert pbx.of("callee")[2:] == ["StasisEnd", "ChannelDtmfReceived 7", "ChannelDestroyed 16"]


async def _send_to_dialplan(pbx: Pbx, party: str) -> None:
    where = {"context": pbx.world.context, "extension": "s", "priority": 1}
    assert await pbx.ask("channels.continueInDialplan", channelId=party, **where) == OK
    await pbx.until(party, "StasisEnd")


# the connection


async def a_lost_connection_loses_events_and_nothing_else(world: World) -> None:
    """Unlike the others it has two connections, one after the other."""
    story = "lost"
    async with _connected(world, APP, story) as before:
        await before.answered("callee", "agent")
        await before.bridge("callee", "agent")
        assert await before.snoop("callee", "snoop") == OK
        await before.until("snoop", "StasisStart snoop")
        assert await before.record("snoop", "recording") == OK
        await before.until("snoop", "RecordingStarted recording")
    heard = before.of("callee")
    # nobody is handed over meanwhile
    assert await (await world.call_in("nobodythere")).refused()
    await before.far_presses("callee", "1")
    async with _connected(world, APP, story) as after:
        after.know(before)
        assert await after.bridged() == {"callee", "agent"}
        assert [await after.is_ours(each) for each in ("callee", "agent", "snoop")] == [True] * 3
        assert await after.ask("recordings.getLive", recordingName="recording") == OK
        await after.far_presses("callee", "2")
        await after.until("callee", "ChannelDtmfReceived 2")
        assert await after.stop("recording") == OK
        await after.until("snoop", "RecordingFinished recording")
        for each in ("callee", "agent"):
            assert await after.hang_up(each) == OK
            await after.gone(each)
    assert before.of("callee") == heard
    assert after.of("callee") == [
        "ChannelDtmfReceived 2",
        "ChannelLeftBridge bridge",
        "StasisEnd",
        "ChannelDestroyed 16",
    ]
    assert after.of("snoop") == ["RecordingFinished recording", "StasisEnd"]
