"""Clients that ask a gate over a socket as fast as it answers: diallers over HTTP, and dialplans over FastAGI."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson

#: Diallers at a time, each with a connection that stays open, or channels in ``AGI()``.
AT_ONCE = 8


@dataclass
class Asked:
    """The answers, and the seconds from each question to its answer."""

    times: list[float] = field(default_factory=list)
    allowed: int = 0


@dataclass(frozen=True)
class Caller:
    """``numbers`` gives the next number to ask about."""

    host: str
    port: int
    campaign: str
    numbers: Callable[[], str]

    async def for_seconds(
        self, seconds: float, one: Callable[[float, Asked], Coroutine[Any, Any, None]]
    ) -> Asked:
        """The answers that :data:`AT_ONCE` clients got in that time."""
        asked, until = Asked(), time.perf_counter() + seconds
        await asyncio.gather(*(one(until, asked) for _ in range(AT_ONCE)))
        return asked

    def http(self, token: str) -> Callable[[float, Asked], Coroutine[Any, Any, None]]:
        def request() -> bytes:
            body = orjson.dumps({"number": self.numbers(), "campaign": self.campaign})
            return (f"POST /v1/gate HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {token}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body  # fmt: skip

        return self._keep_alive(request)

    def floor(self) -> Callable[[float, Asked], Coroutine[Any, Any, None]]:
        """The least that HTTP costs here: a request that asks nothing."""
        return self._keep_alive(f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode)

    def _keep_alive(
        self, request: Callable[[], bytes]
    ) -> Callable[[float, Asked], Coroutine[Any, Any, None]]:
        async def one(until: float, asked: Asked) -> None:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            while (began := time.perf_counter()) < until:
                writer.write(request())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                asked.times.append(time.perf_counter() - began)
                if b" 200 " not in head[:20]:
                    raise SystemExit(f"the gate answered {head[:40]!r}")
                asked.allowed += b'"verdict":"allow"' in body
            writer.close()

        return one

    def fastagi(self, script: str = "gate") -> Callable[[float, Asked], Coroutine[Any, Any, None]]:
        """A new connection for each question, as Asterisk makes it."""

        async def one(until: float, asked: Asked) -> None:
            while (began := time.perf_counter()) < until:
                reader, writer = await asyncio.open_connection(self.host, self.port)
                writer.write(self._head(script))
                verdict = ""
                while line := await reader.readline():
                    if b"CCARI_VERDICT" in line:
                        verdict = line.split()[-1].decode().rpartition(",")[2]
                    # ARRAY() sets its arguments here, as Asterisk's own does
                    writer.write(b"200 result=1 (yes)\n" if line.startswith(b"GET") else b"200 result=1\n")
                asked.times.append(time.perf_counter() - began)
                asked.allowed += verdict == "ALLOW"
                writer.close()

        return one

    def _head(self, script: str) -> bytes:
        head = {
            "agi_network": "yes", "agi_network_script": script, "agi_request": f"agi://{self.host}/{script}",
            "agi_channel": "PJSIP/anna-00000012", "agi_language": "en", "agi_type": "PJSIP", "agi_uniqueid": "1764111111.12",
            "agi_version": "22.10.1", "agi_callerid": "anna", "agi_calleridname": "unknown", "agi_callingpres": "0",
            "agi_callingani2": "0", "agi_callington": "0", "agi_callingtns": "0", "agi_dnid": "unknown", "agi_rdnis": "unknown",
            "agi_context": "agents", "agi_extension": "s", "agi_priority": "1", "agi_enhanced": "0.0",
            "agi_accountcode": "", "agi_threadid": "140000000000000", "agi_arg_1": self.numbers(), "agi_arg_2": self.campaign,
        }  # fmt: skip
        return ("".join(f"{name}: {value}\n" for name, value in head.items()) + "\n").encode()
