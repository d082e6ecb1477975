"""A laboratory that a test may break, and the services that drive it one after the other."""

import contextlib
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from ccari.recordings.tags import beside
from tests.integration.service import Service
from tests.lab import AgentCall, Callee, Lab, Outcome
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.lab.world import World

GONE_SECONDS = 30.0


@dataclass
class Ground:
    """A laboratory that tests may break, and a database of its own for the services that drive it."""

    lab: Lab
    folder: Path
    sounds: Path
    url: str
    _started: int = field(default=0, init=False)
    _older: frozenset[str] = field(default=frozenset(), init=False)

    def service(
        self,
        *,
        ari: str | None = None,
        url: str | None = None,
        spool: str | None = None,
        channels: str | None = None,
        drain: str | None = None,
        at_once: str | None = None,
        agi: bool = False,
        password_file: Path | None = None,
    ) -> Service:
        """A service that is not yet started. ``ari``, ``password_file``, ``url`` and ``spool``: where it finds
        Asterisk, the password of its ARI user, the database and the recordings. ``agi``: whether it answers over
        FastAGI, where the pbx asks. The others are settings: ``recordings.channels``, ``calls.drain_seconds`` and
        ``calls.at_once``.
        """
        self._started += 1
        pbx = self.lab.pbx
        return Service(
            {
                "CCARI_DATA_DIR": str(self._data_of(url or self.url)),
                "CCARI_DATABASE__URL": url or self.url,
                "CCARI_ASTERISK__URL": ari or pbx.ari_url,
                "CCARI_ASTERISK__USERNAME": pbx.ari_user,
                "CCARI_ASTERISK__PASSWORD_FILE": str(password_file or pbx.ari_password_file),
                "CCARI_ASTERISK__SPOOL": spool or str(pbx.spool),
                "CCARI_RECORDINGS__CHANNELS": channels or "mono",
                "CCARI_SOUNDS__DIR": str(self.sounds),
                "CCARI_AGI__LISTEN": f"127.0.0.1:{pbx.agi_port}" if agi else "off",
                "CCARI_CALLS__DRAIN_SECONDS": drain or "0",
                "CCARI_CALLS__AT_ONCE": at_once or "1000",
                "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
            },
            self.folder / f"{self._started}.log",
            self.folder / f"{self._started}.err",
        )

    def _data_of(self, url: str) -> Path:
        """A folder for each database, all with the same keys: a node records there how far its database was, and makes
        no calls on one that is further behind.
        """
        if url == self.url:
            return self.folder
        own = self.folder / f"of-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
        if not own.exists():
            own.mkdir()
            (own / "keys").symlink_to(self.folder / "keys")
        return own

    @contextlib.asynccontextmanager
    async def running(self, **where: Any) -> AsyncIterator[Service]:
        """A service that runs; it is stopped in order at the end if it still runs."""
        made = self.service(**where)
        await made.start()
        try:
            yield made
        finally:
            still = made.process is not None and made.process.returncode is None
            status = await made.stop()
        assert not still or status == 0, made.errors.read_text()

    @contextlib.asynccontextmanager
    async def asks_whether_it_lives(self) -> AsyncIterator[None]:
        """The dialplan asks over FastAGI whether ccari is alive before it hands a call over."""
        await self.lab.pbx.cli("dialplan set global CCARI_ASK_ALIVE yes")
        try:
            yield
        finally:
            await self.lab.pbx.cli("dialplan set global CCARI_ASK_ALIVE no")

    async def dial(self, callee: Callee, *, agent: str = "talks") -> AgentCall:
        """An agent's call in the campaign with the shortest notice."""
        return await self.lab.world.dial(callee.number, campaign="brief", agent=agent, pbx=self.lab.pbx)

    async def talk(self, service: Service, callee: Callee) -> tuple[AgentCall, str]:
        """A call whose two parties talk, and its id, once everything needed to take it up is on record."""
        self._older = frozenset(path.name for path in self.lab.pbx.spool.glob("*"))
        call = await self.dial(callee)
        bridged = await service.logged(
            lambda line: line["event"] == "call_bridged" and line["number"].endswith(callee.number[-4:])
        )
        call_id: str = bridged["call_id"]
        await self.on_record(service, call_id, "call_bridged")
        return call, call_id

    async def on_record(self, service: Service, call_id: str, event: str) -> None:
        """Wait until an event of a call is on record."""

        async def is_kept() -> bool:
            shown = await service.call(call_id)
            return any(each["event"] == event for each in shown["events"])

        await until(is_kept, within=GONE_SECONDS)

    async def ended(self, service: Service, call: AgentCall) -> tuple[Outcome, dict[str, Any]]:
        """The outcome that the dialplan was given for a call, and the call in the database."""
        await call.ended()
        outcome = await self.lab.pbx.outcome(call.id)
        return outcome, await self._closed(service, outcome.call) if outcome.call else {}

    async def _closed(self, service: Service, call_id: str) -> dict[str, Any]:
        """Wait for the row to be closed: the dialplan is told first."""
        shown: dict[str, Any] = {}

        async def closed() -> bool:
            shown.update(await service.call(call_id))
            return shown["ended_at"] is not None

        await until(closed, within=GONE_SECONDS)
        return shown

    def raw(self, shown: dict[str, Any]) -> list[str]:
        """The files in the spool of this call's own recordings; all tests' calls share the spool."""
        names = {each["id"] for each in shown["recordings"]}
        return [path.name for path in self.lab.pbx.spool.iterdir() if path.name.startswith(tuple(names))]

    async def recorded_a_while(self, more: int = 0, *, sides: int = 1) -> None:
        """Wait until 1.5 s of a talk are in the spool, or ``more`` bytes than now, for each of its ``sides``: Asterisk
        writes a file 32 KiB at a time, and loses what it has not written when it dies.
        """
        spool = self.lab.pbx.spool

        def longest() -> int:
            # of this talk only: an earlier one may have left files
            own = (each for each in spool.iterdir() if each.name not in self._older)
            return sorted((0, *(each.stat().st_size for each in own)))[-sides:][0]

        enough = more + longest() if more else 24_000
        await until(lambda: longest() > enough, within=GONE_SECONDS)

    async def nothing_left(self) -> None:
        """Wait until Asterisk holds no channel, no bridge and no running recording."""
        try:
            await until(self._empty, within=GONE_SECONDS)
        except TimeoutError:
            raise AssertionError(await self._left()) from None

    async def _empty(self) -> bool:
        return not await self._left()

    async def _left(self) -> list[str]:
        async with self.asterisk() as session:
            found = []
            for what in ("channels", "bridges"):
                async with session.get(f"{self.lab.pbx.ari_url}/ari/{what}") as reply:
                    found += [each["id"] for each in await reply.json()]
            return found

    def asterisk(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=self.lab.pbx.ari_headers)


def assert_kept(service: Service, shown: Mapping[str, Any]) -> None:
    """One recording: its row says stored, its tag is beside it, and both refer to this file."""
    (row,) = shown["recordings"]
    assert row["state"] == "stored", row
    file = service.recordings / row["file"]
    tag = json.loads(beside(file).read_text())
    assert tag["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (tag["call_id"], tag["legal_basis"]) == (shown["id"], "legitimate_interest")
    sound = service.recorded(row)
    assert row["duration_ms"] == len(sound.samples) // 8 == tag["duration_ms"]


async def heard_on(world: World, callee: Callee) -> None:
    """Wait while a callee hears two seconds more, or four: Asterisk writes their file about two seconds at a time, and
    the first two may hold what they had heard before.
    """
    (file,) = world.heard.glob(f"{callee.digits}-*.wav")
    enough = file.stat().st_size + 48_000
    await until(lambda: file.stat().st_size > enough, within=GONE_SECONDS)


async def callee_hangs_up(world: World, callee: Callee) -> None:
    """The callee at a number hangs up."""
    channels = [each.split("!")[0] for each in (await world.cli("core show channels concise")).splitlines()
                if callee.digits in each]  # fmt: skip
    (channel,) = channels
    await world.cli(f"channel request hangup {channel}")


async def kept_later(service: Service, call_id: str) -> dict[str, Any]:
    """A call whose recording is stored after stock was taken."""
    await service.logged("recording_stored", call_id=call_id)

    async def stored() -> bool:
        shown = await service.call(call_id)
        return [each["state"] for each in shown["recordings"]] == ["stored"]

    await until(stored, within=GONE_SECONDS)
    shown = await service.call(call_id)
    assert_kept(service, shown)
    return shown
