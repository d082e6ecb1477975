"""Refusals for which SIP has a status and Q.850 no cause: Asterisk reports each as 127, and the status beside it."""

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, cast

import pytest
import pytest_asyncio

from tests.integration.ground import Ground
from tests.lab import callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

RELOAD_SECONDS = 30.0
_COPIED = re.compile(r"^(?:Via|From|To|Call-ID|CSeq):.*$", re.MULTILINE)


class Refuser(asyncio.DatagramProtocol):
    """A network that refuses every call with the same ``status``."""

    status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @property
    def port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        text = data.decode()
        if text.startswith("INVITE "):
            copied = [each.rstrip("\r") for each in _COPIED.findall(text)]
            tagged = [f"{each};tag=refused" if each.startswith("To:") else each for each in copied]
            lines = (f"SIP/2.0 {self.status} No", *tagged, "Content-Length: 0", "", "")
            self._transport.sendto("\r\n".join(lines).encode(), address)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def network(ground: Ground) -> AsyncIterator[Refuser]:
    """The far end of the laboratory's trunk."""
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(Refuser, local_addr=("127.0.0.1", 0))
    pbx = ground.lab.pbx
    conf = pbx.home / "etc" / "pjsip.conf"
    was = f"contact = sip:127.0.0.1:{pbx.world_sip_port}"
    assert was in conf.read_text()
    conf.write_text(conf.read_text().replace(was, f"contact = sip:127.0.0.1:{made.port}"))
    await pbx.cli("module reload res_pjsip.so")

    async def is_set() -> bool:
        return f"sip:127.0.0.1:{made.port}" in await pbx.cli("pjsip show aor trunk")

    await until(is_set, within=RELOAD_SECONDS)
    yield made
    transport.close()


async def test_that_a_callee_wants_no_such_calls_passes_for_a_fault_of_the_network(
    ground: Ground, network: Refuser
) -> None:
    expected = {607: "unwanted", 608: "rejected", 603: "rejected"}
    async with ground.running() as service:
        for serial, (network.status, reason) in enumerate(expected.items()):
            callee = callees.answers(serial)
            outcome, shown = await ground.ended(service, await ground.dial(callee))
            assert (outcome.outcome, outcome.reason) == ("failed", reason)
            assert (shown["outcome"], shown["reason"]) == ("failed", reason)
            assert await ground.lab.world.status(callee.number) == HTTPStatus.FORBIDDEN
