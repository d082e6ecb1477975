"""ccari with everything on: gate, journal, proof of the notice, tags, encrypted recordings, logs, and FastAGI's
question first.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from tests.bench.calls.exchange import Exchange, Wanted
from tests.bench.calls.place import POLICY, Place
from tests.bench.calls.way import Controller
from tests.integration.service import Service
from tests.lab.ports import free_port

DATA = "ccari"


@dataclass(frozen=True)
class Ccari(Controller):
    """``listens``: its HTTP address, ``host:port``."""

    service: Service
    listens: str

    def kept(self) -> int:
        return sum(1 for _ in self.recordings.glob("acme/*/*.flac.age"))

    def lags_ms(self) -> list[float]:
        heard, lags = {}, []
        for line in self.service.lines():
            if line["event"] == "notice_heard":
                heard[line["call_id"]] = datetime.fromisoformat(line["at"])
            elif line["event"] == "call_bridged" and (since := heard.get(line["call_id"])):
                lags.append((datetime.fromisoformat(line["at"]) - since).total_seconds() * 1000)
        return lags


class WithCcari:
    name = "ccari"
    does = "everything on; its own record of the call instead of a CDR"

    async def fetch(self, place: Place) -> None:
        """Nothing to fetch."""

    async def wanted(self, place: Place) -> Wanted:
        return Wanted("ccari-outbound", await place.new_database(), place.notice, cdr=False)

    @asynccontextmanager
    async def controlling(self, place: Place, exchange: Exchange, wanted: Wanted) -> AsyncIterator[Ccari]:
        data, pbx = place.new_folder(DATA), exchange.pbx
        listens = f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"
        service = Service(
            {
                "CCARI_DATA_DIR": str(data),
                "CCARI_DATABASE__URL": wanted.database,
                "CCARI_ASTERISK__URL": pbx.ari_url,
                "CCARI_ASTERISK__USERNAME": pbx.ari_user,
                "CCARI_ASTERISK__PASSWORD_FILE": str(pbx.ari_password_file),
                "CCARI_ASTERISK__SPOOL": str(pbx.spool),
                "CCARI_SOUNDS__DIR": str(place.sounds),
                "CCARI_CALLS__DRAIN_SECONDS": "0",
                "CCARI_AGI__LISTEN": f"127.0.0.1:{pbx.agi_port}",
                "CCARI_HTTP__LISTEN": listens,
            },
            data / "ccari.log",
            data / "ccari.err",
            afresh=True,
        )
        for arguments in (("policy", "apply", str(POLICY)), ("keys", "init")):
            done = await service.ccari(*arguments)
            if done.code:
                raise RuntimeError(f"ccari {' '.join(arguments)}: {done.err}")
        await service.start()
        try:
            assert service.process is not None
            yield Ccari((service.process.pid,), data / "recordings", service, listens)
        finally:
            await service.stop()
