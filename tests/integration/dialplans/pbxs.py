"""Routes through the PBXs that people run, and what listens in place of ccari."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.integration.service import Service
from tests.lab import Lab, Outcome
from tests.lab.calls import END_SECONDS
from tests.lab.foreign import ForeignPbx
from tests.lab.ports import free_port

#: The dialplan's time-out, plus the time to hang up.
BOUND_SECONDS = 12.0


@dataclass(frozen=True)
class Way:
    """One route through a PBX: its fixture, the context, and how a number is dialled there.

    ``refused``: the outcome that its stand-in leaves for a refused call.
    """

    pbx: str
    context: str
    campaign: str = "renewals"
    prefix: str = ""
    refused: str = "DENY"

    def dialled(self, number: str) -> str:
        return self.prefix + number.removeprefix("+") if self.prefix else number


#: The stand-in routes of a FreePBX are chosen by the value that is the campaign elsewhere.
FREEPBX_16 = Way("old", "from-internal", campaign="1")
FREEPBX_17 = Way("current", "from-internal", campaign="1")
VICIDIAL = Way("old", "default", prefix="9", refused="")
PLAIN_16 = Way("old", "lab-gated")
WAYS = {"FreePBX 16": FREEPBX_16, "FreePBX 17": FREEPBX_17, "VICIdial": VICIDIAL, "FastAGI on 16": PLAIN_16}


@dataclass(frozen=True)
class Through:
    """A route, on its running PBX."""

    lab: Lab
    pbx: ForeignPbx
    way: Way

    @property
    def nth(self) -> int:
        """Its position among the routes: each test has a serial for each."""
        return list(WAYS.values()).index(self.way)

    async def dial(
        self, number: str, *, campaign: str | None = None, agent: str = "drops-1", caller: str = "101",
        within: float = END_SECONDS,
    ) -> Outcome:  # fmt: skip
        """Place one call and wait for its end."""
        call = await self.lab.world.dial(
            self.way.dialled(number), campaign=campaign or self.way.campaign, context=self.way.context,
            agent=agent, caller=caller, pbx=self.pbx,
        )  # fmt: skip
        await call.ended(within=within)
        return await self.pbx.outcome(call.id)


@contextlib.asynccontextmanager
async def hung() -> AsyncIterator[str]:
    """An address at which connections are accepted and never answered."""
    done = asyncio.Event()

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    server = await asyncio.start_server(listen, "127.0.0.1", free_port(socket.SOCK_STREAM, "127.0.0.1"))
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        done.set()
        server.close()


@contextlib.asynccontextmanager
async def refusing(reason: str) -> AsyncIterator[str]:
    """An address at which the gate denies every number for this reason."""

    async def deny(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\n\n")
            writer.write(f"SET VARIABLE CCARI_REASON {reason}\n".encode())
            await reader.readline()
        writer.close()

    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    async with await asyncio.start_server(deny, "127.0.0.1", port):
        yield f"127.0.0.1:{port}"


def away() -> str:
    """An address at which nothing listens."""
    return f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"


async def bar(service: Service, number: str) -> None:
    await service.succeeds("suppress", "add", number, "--controller", "acme", "--reason", "do_not_call")
