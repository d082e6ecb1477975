"""What the messages of a call cost by themselves, written by hand and without any law.

``requests`` sends Asterisk the requests that ccari sends, and receives the same events, over one WebSocket.
``messages`` also sends PostgreSQL ten statements, eight of which commit a row as long as a journal entry, and has the
recording written as FLAC.
"""

import asyncio
import contextlib
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop

from ccari.calls.ari import EVENTS
from ccari.store.database import POOL_SIZE, Database, as_it_is
from tests.bench.calls.dialplan import run, with_cdr
from tests.bench.calls.exchange import Exchange, Wanted
from tests.bench.calls.place import Place
from tests.bench.calls.way import Controller, program

APP = "bench"
CHECKOUT = Path(__file__).parents[3]
_TABLES = """
    CREATE TABLE entries (call_id uuid, seq integer, told text, PRIMARY KEY (call_id, seq));
    CREATE TABLE barred (digest bytea PRIMARY KEY);
"""
_WRITE = "INSERT INTO entries (call_id, seq, told) VALUES ($1, $2, $3)"
_LOOK = "SELECT 1 FROM barred WHERE digest = $1"
_ENTRY = "x" * 600


class Requests:
    name = "requests"
    does = "by hand, no more than ccari's requests and events; CDR by cdr_pgsql"
    _also = False

    async def fetch(self, place: Place) -> None:
        """Nothing to fetch."""

    async def wanted(self, place: Place) -> Wanted:
        wanted = await with_cdr(place)
        await run(wanted.database, _TABLES)
        return wanted

    @asynccontextmanager
    async def controlling(
        self, place: Place, exchange: Exchange, wanted: Wanted
    ) -> AsyncIterator[Controller]:
        pbx = exchange.pbx
        with (place.folder / f"{self.name}.err").open("ab") as complaints:
            async with program(
                *(sys.executable, "-W", "ignore", "-m", __name__),
                *(pbx.ari_url, pbx.ari_user, str(pbx.ari_password_file), str(wanted.notice)),
                *((wanted.database, str(pbx.spool)) if self._also else ()),
                cwd=CHECKOUT,
                complaints=complaints,
            ) as pid:
                yield Controller((pid,), pbx.spool)


class Messages(Requests):
    name = "messages"
    does = "as requests, and ten statements, eight of them commits, and a FLAC"
    _also = True


class Wire:
    """Requests and events over one WebSocket. Of each kind and subject, one event can be awaited."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._awaited: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._last = 0

    async def ask(
        self, method: str, uri: str, body: Mapping[str, Any] | None = None, **query: object
    ) -> None:
        self._last += 1
        number = str(self._last)
        message: dict[str, Any] = {
            "type": "RESTRequest", "request_id": number, "transaction_id": number, "method": method, "uri": uri,
            "query_strings": [{"name": name, "value": str(value)} for name, value in query.items()],
        }  # fmt: skip
        if body is not None:
            message |= {"content_type": "application/json", "message_body": orjson.dumps(body).decode()}
        replied = self._replies[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_frame(orjson.dumps(message), aiohttp.WSMsgType.TEXT)
        reply = await replied
        if reply["status_code"] >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {uri.partition('/')[0]}: {reply['status_code']}")

    def event(self, kind: str, of: str) -> asyncio.Future[None]:
        awaited = self._awaited[kind, of] = asyncio.get_running_loop().create_future()
        return awaited

    async def begun(self) -> AsyncIterator[tuple[str, str]]:
        """The channel and the number of each call that begins; other events are passed on meanwhile."""
        async for message in self._socket:
            told = orjson.loads(message.data)
            if told["type"] == "RESTResponse":
                self._replies.pop(told["request_id"]).set_result(told)
            elif told["type"] == "StasisStart" and told["args"][0] not in {"callee", "snoop"}:
                yield told["channel"]["id"], told["args"][0]
            else:
                self._tell(told)

    def _tell(self, told: Mapping[str, Any]) -> None:
        of = told.get("channel") or told.get("playback") or told.get("recording") or {}
        state = f" {of['state']}" if told["type"] == "ChannelStateChange" else ""
        awaited = self._awaited.pop((f"{told['type']}{state}", of.get("id") or of.get("name") or ""), None)
        if awaited is not None:
            awaited.set_result(None)


class Flow:
    """``rows`` and ``spool``: set if PostgreSQL and the FLAC belong to it."""

    def __init__(self, wire: Wire, notice: str, rows: Database | None, spool: Path | None) -> None:
        self._wire = wire
        self._notice = notice
        self._rows = rows
        self._spool = spool

    async def guarded(self, agent: str, number: str) -> None:
        try:
            await self._call(agent, number)
        except Exception as error:  # noqa: BLE001 - one call's fault must not end the others
            print(repr(error), file=sys.stderr, flush=True)

    async def _call(self, agent: str, number: str) -> None:
        call, wire = uuid.uuid4(), self._wire
        callee, snoop, bridge, playback, name = (f"{call}-{n}" for n in range(5))
        await self._look(call)
        await self._write(call, 1)
        await self._tell(agent, "gate")
        entered, up = wire.event("StasisStart", callee), wire.event("ChannelStateChange Up", callee)
        gone = wire.event("ChannelDestroyed", callee)
        await wire.ask(
            "POST", "channels/create", endpoint=f"PJSIP/{number}@trunk", app=APP, appArgs="callee",
            channelId=callee,
        )  # fmt: skip
        await entered
        await self._look(call)
        await self._write(call, 2)
        await wire.ask("POST", f"channels/{callee}/dial", timeout=60)
        await up
        heard = wire.event("PlaybackFinished", playback)
        await wire.ask("POST", f"channels/{callee}/play/{playback}", media=f"sound:{self._notice}")
        await heard
        await self._write(call, 3)
        attached = wire.event("StasisStart", snoop)
        await wire.ask("POST", f"channels/{callee}/snoop/{snoop}", spy="both", app=APP, appArgs="snoop")
        await attached
        await self._write(call, 4)
        recording, recorded = wire.event("RecordingStarted", name), wire.event("RecordingFinished", name)
        await wire.ask("POST", f"channels/{snoop}/record", name=name, format="wav")
        await recording
        await wire.ask("POST", f"bridges/{bridge}", type="mixing,dtmf_events")
        await wire.ask("POST", f"channels/{agent}/answer")
        await wire.ask("POST", f"bridges/{bridge}/addChannel", channel=f"{agent},{callee}")
        await self._write(call, 5)
        await gone
        await recorded
        await self._write(call, 6)
        await self._tell(agent, "outcome")
        await self._tell(agent, "reason")
        await wire.ask("POST", f"channels/{agent}/continue")
        await wire.ask("DELETE", f"bridges/{bridge}")
        await self._write(call, 7)
        if self._spool is not None:
            await asyncio.to_thread(_flac, self._spool / f"{name}.wav")
        await self._write(call, 8)

    async def _tell(self, channel: str, variable: str) -> None:
        await self._wire.ask("POST", f"channels/{channel}/variable", variable=variable, value="told")

    async def _look(self, call: uuid.UUID) -> None:
        if self._rows is not None:
            async with self._rows.connection() as connection:
                await connection.fetchrow(_LOOK, call.bytes)

    async def _write(self, call: uuid.UUID, seq: int) -> None:
        if self._rows is not None:
            async with self._rows.connection() as connection:
                await connection.execute(_WRITE, call, seq, _ENTRY)


def _flac(raw: Path) -> None:
    with raw.with_suffix(".flac").open("xb") as file:
        subprocess.run(["flac", "--silent", "--stdout", str(raw)], check=True, stdout=file)


async def control(url: str, user: str, password: str, notice: str, *also: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        rows, spool = None, None
        if also:
            rows, spool = await stack.enter_async_context(as_it_is(also[0], POOL_SIZE, {})), Path(also[1])
        session = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(user, password)})
        )
        events = f"{url.rstrip('/')}/ari/events"
        wire = Wire(await stack.enter_async_context(session.ws_connect(events, params={"app": APP})))
        flow = Flow(wire, notice, rows, spool)
        calls = await stack.enter_async_context(asyncio.TaskGroup())
        calls.create_task(_filtered(wire))
        async for agent, number in wire.begun():
            calls.create_task(flow.guarded(agent, number))


async def _filtered(wire: Wire) -> None:
    wanted = {"allowed": [{"type": name} for name in EVENTS]}
    await wire.ask("PUT", f"applications/{APP}/eventFilter", wanted)
    print("ready", flush=True)


if __name__ == "__main__":
    where, who, password_file, said, *more = sys.argv[1:]
    uvloop.run(control(where, who, Path(password_file).read_text().strip(), said, *more))
