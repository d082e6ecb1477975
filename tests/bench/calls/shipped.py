"""The call controlled by unmodified asyncari: its own transport, objects and event pump."""

import asyncio
import functools
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncari
from asyncari.model import Channel

from tests.bench.calls.dialplan import with_cdr
from tests.bench.calls.exchange import Exchange, Wanted
from tests.bench.calls.place import Place
from tests.bench.calls.way import Controller, program

APP = "bench"
CHECKOUT = Path(__file__).parents[3]


class Shipped:
    name = "asyncari"
    does = "no look-up, CDR by cdr_pgsql"

    async def fetch(self, place: Place) -> None:
        """Nothing to fetch: it comes with ccari."""

    async def wanted(self, place: Place) -> Wanted:
        return await with_cdr(place)

    @asynccontextmanager
    async def controlling(
        self, place: Place, exchange: Exchange, wanted: Wanted
    ) -> AsyncIterator[Controller]:
        pbx = exchange.pbx
        with (place.folder / "asyncari.err").open("ab") as complaints:
            async with program(
                *(sys.executable, "-W", "ignore", "-m", __name__),
                *(pbx.ari_url, pbx.ari_user, str(pbx.ari_password_file), str(wanted.notice)),
                cwd=CHECKOUT,
                complaints=complaints,
            ) as pid:
                yield Controller((pid,), pbx.spool)


async def control(url: str, user: str, password: str, notice: str) -> None:
    async with (
        asyncari.connect(url, APP, user, password) as client,
        client.on_channel_event("StasisStart") as entered,
    ):
        print("ready", flush=True)
        async for channels, event in entered:
            if event.args[0] not in {"callee", "snoop"}:
                client.taskgroup.start_soon(_guarded, client, channels["channel"], event.args[0], notice)


async def _guarded(client: Any, agent: Any, number: str, notice: str) -> None:
    try:
        await _call(client, agent, number, notice)
    except Exception as error:  # noqa: BLE001 - one call's fault must not end the others
        print(repr(error), file=sys.stderr, flush=True)


async def _call(client: Any, agent: Any, number: str, notice: str) -> None:
    callee = await _entering(
        client,
        functools.partial(
            client.channels.create, endpoint=f"PJSIP/{number}@trunk", app=APP, appArgs="callee"
        ),
    )
    await callee.dial(timeout=60)
    await callee.wait_for(lambda: callee.state == "Up")
    playback = await callee.play(media=f"sound:{notice}")
    await playback.wait_done()
    snoop = await _entering(
        client,
        lambda channelId: callee.snoopChannelWithId(  # noqa: N803 - ARI's name
            snoopId=channelId, spy="both", app=APP, appArgs="snoop"
        ),
    )
    recording = await snoop.record(name=str(uuid.uuid4()), format="wav")
    await recording.wait_recording()
    bridge = await client.bridges.create(type="mixing")
    await agent.answer()
    await bridge.addChannel(channel=f"{agent.id},{callee.id}")
    await callee.wait_down()
    await agent.safe_hangup()
    await snoop.safe_hangup()
    await bridge.destroy()


async def _entering(client: Any, make: Any) -> Any:
    """Create a channel, and wait until it is in the application."""
    channel = Channel(client, id=str(uuid.uuid4()))
    entered = anyio.Event()
    channel.on_event("StasisStart", lambda _: entered.set())
    await make(channelId=channel.id)
    await entered.wait()
    return channel


if __name__ == "__main__":
    where, who, password_file, said = sys.argv[1:]
    asyncio.run(control(where, who, Path(password_file).read_text().strip(), said))
