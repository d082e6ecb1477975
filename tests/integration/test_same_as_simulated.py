"""What a real Asterisk does, and the simulated one of ``tests/unit/interleaving`` too: the same. It shows it there in other times
(``tests/unit/interleaving/test_same_as_asterisk.py``).
"""

import asyncio
import contextlib
import wave
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from asyncari.client import Client

from ccari.calls.ari import Ari
from ccari.calls.operations import prepared
from ccari.calls.transport import Credentials, Reply, Transport, connect
from ccari.tasks import started
from tests.folders import open_folder
from tests.lab import AgentCall, Lab, callees, laboratory
from tests.lab.waiting import until
from tests.unit.interleaving.contract import APP, HANDED_OVER, LENGTHS, PATIENCE_SECONDS, STORIES, Far, play
from tests.unit.interleaving.contract import a_lost_connection_loses_events_and_nothing_else as LOST  # noqa: N812 - a story

pytestmark = pytest.mark.asyncio(loop_scope="session")

_RATE = 8000
_TELEPHONES: dict[Far, Callable[[int], callees.Callee]] = {
    Far.ANSWERS: callees.answers,
    Far.RINGS: callees.no_answer,
    Far.RINGS_AND_ANSWERS: lambda serial: callees.answers_late(1, serial),
    Far.BUSY: callees.busy,
    Far.DECLINES: callees.rejects,
    Far.UNKNOWN: callees.unallocated,
    Far.HOLDS: lambda serial: callees.holds(1, serial),
}


class _Caller:
    def __init__(self, lab: Lab, call: AgentCall) -> None:
        self._lab = lab
        self._call = call

    async def hang_up(self) -> None:
        await self._lab.world.hang_up(self._call)

    async def press(self, key: str) -> None:
        await self._lab.world.press(self._call, key)

    async def refused(self) -> bool:
        await self._call.ended()
        return self._call.answered_at is None


class _World:
    """The laboratory."""

    context = "lab-waiting"

    def __init__(self, lab: Lab, folder: Path, session: aiohttp.ClientSession) -> None:
        self._lab = lab
        self._folder = folder
        self._session = session
        self._called = 0
        #: How often a channel was heard to press a key.
        self._keys: Counter[tuple[str, str]] = Counter()
        self._described: Any = None

    def endpoint(self, far: Far) -> str:
        self._called += 1
        return f"PJSIP/{_TELEPHONES[far](self._called).number}@trunk"

    @staticmethod
    def _number(endpoint: str) -> str:
        return endpoint.removeprefix("PJSIP/").removesuffix("@trunk")

    async def hang_up(self, endpoint: str) -> None:
        await self._lab.world.callee_hangs_up(self._number(endpoint))

    async def press(self, endpoint: str, key: str, channel: str) -> None:
        before = self._keys[channel, key]
        await self._lab.world.callee_presses(self._number(endpoint), key)
        await until(lambda: self._keys[channel, key] > before, within=PATIENCE_SECONDS)

    async def call_in(self, campaign: str, *, transfers: bool = False) -> _Caller:
        self._called += 1
        number, world = callees.answers(self._called).number, self._lab.world
        if transfers:
            return _Caller(self._lab, await world.dial(number, campaign=campaign, agent="refers-1002-1"))
        return _Caller(self._lab, await world.call_in(number, campaign))

    def media(self, prompt: str) -> str:
        return f"sound:{self._folder / prompt}"

    @contextlib.asynccontextmanager
    async def connected(
        self, app: str, on_event: Callable[[dict[str, Any]], None]
    ) -> AsyncIterator[tuple[Ari, Transport]]:
        pbx = self._lab.pbx
        credentials = Credentials(pbx.ari_url, pbx.ari_user, pbx.ari_password, app)
        transport = await connect(self._session, credentials)
        reading = asyncio.create_task(transport.read(on_event))
        try:
            ari = Ari(prepared(self._described, transport), transport, credentials)
            await ari.filter_events()
            yield ari, transport
        finally:
            await transport.close()
            await reading

    async def rest(self) -> None:
        """What it sends over one connection keeps its order."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear every key, beside the connections of the stories."""
        url, params = f"{self._lab.pbx.ari_url}/ari/events", {"app": "keys", "subscribeAll": "true"}
        async with self._session.ws_connect(url, params=params, headers=self._lab.pbx.ari_headers) as socket:

            async def listen() -> None:
                async for message in socket:
                    event = message.json()
                    if event["type"] == "ChannelDtmfReceived":
                        self._keys[event["channel"]["id"], event["digit"]] += 1

            async with started(listen()):
                yield

    async def describe(self) -> None:
        """Read what operations there are: once for all stories."""
        pbx = self._lab.pbx
        client = Client(None, f"{pbx.ari_url}/", APP, _Http(self._session, pbx.ari_headers))
        await client._init()
        self._described = client.swagger.resources


class _Http:
    """What asyncari reads the descriptions with."""

    def __init__(self, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> None:
        self._session = session
        self._headers = headers

    async def request(self, method: str, url: str, **_: Any) -> Reply:
        async with self._session.request(method, url, headers=self._headers) as reply:
            return Reply(reply.status, await reply.text())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played() -> AsyncIterator[dict[str, BaseException | None]]:
    """How each story went. All are played in one laboratory and side by side, but for those that need one application, or cut its
    connection.
    """
    went: dict[str, BaseException | None] = {}

    async def see(name: str, playing: Awaitable[None]) -> None:
        try:
            await playing
        except Exception as error:  # noqa: BLE001 - its test raises it
            went[name] = error
        else:
            went[name] = None

    async def one_by_one(world: _World) -> None:
        for story in HANDED_OVER:
            await see(story.__name__, play(story, world))
        await see(LOST.__name__, LOST(world))

    with open_folder("prompts") as folder:
        folder.chmod(0o755)
        for name, seconds in LENGTHS.items():
            _silence(folder / f"{name}.wav", seconds)
        async with laboratory(host_folders=[folder]) as lab, aiohttp.ClientSession() as session:
            world = _World(lab, folder, session)
            await world.describe()
            async with world.listening():
                await asyncio.gather(
                    one_by_one(world), *(see(each.__name__, play(each, world)) for each in STORIES)
                )
    yield went


def _silence(path: Path, seconds: float) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(bytes(2 * round(_RATE * seconds)))


@pytest.mark.parametrize("story", [*(each.__name__ for each in (*STORIES, *HANDED_OVER)), LOST.__name__])
async def test_a_real_asterisk_does_something_else(
    played: dict[str, BaseException | None], story: str
) -> None:
    if (error := played[story]) is not None:
        raise error
