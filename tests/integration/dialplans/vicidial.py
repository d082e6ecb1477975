"""VICIdial's side of FastAGI, as far as a carrier's entry uses it."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.lab.ports import free_port
from tests.lab.waiting import until

SECONDS = 30.0
_HANGUP = re.compile(r"call_log--HVcauses--PRI-----NODEBUG-----(\d*)-----(\w*)-----")


@dataclass
class CarrierLog:
    """``campaign``: the campaign that it answers for each call; ``hangups``: the cause and the DIALSTATUS of each dial
    that ended.

    The half of the dialler's call that dialled nobody hangs up too, at an unknown time and without a DIALSTATUS.
    """

    port: int
    campaign: str = "RENEWALS"
    hangups: list[tuple[str, str]] = field(default_factory=list)

    async def next_hangup(self, after: int) -> tuple[str, str]:
        """The hangup logged after that many others."""
        await until(lambda: len(self.hangups) > after, within=SECONDS)
        return self.hangups[after]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\n\n")).decode()
            if ended := _HANGUP.search(head):
                if ended[2]:
                    self.hangups.append((ended[1], ended[2]))
            elif self.campaign:
                writer.write(f"EXEC Set _CAMPCUST={self.campaign}\n".encode())
                await reader.readline()
        writer.close()


@contextlib.asynccontextmanager
async def carrier_log() -> AsyncIterator[CarrierLog]:
    log = CarrierLog(free_port(socket.SOCK_STREAM, "127.0.0.1"))
    async with await asyncio.start_server(log.converse, "127.0.0.1", log.port):
        yield log
