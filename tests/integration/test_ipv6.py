"""Every connection to and from ccari uses IPv6."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.ground import Ground
from tests.integration.service import Service
from tests.lab import callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

RELOAD_SECONDS = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(ground: Ground) -> AsyncIterator[Service]:
    """It reaches ARI at ``::1``, and is reached there; the dialplan asks it whether it is alive."""
    pbx = ground.lab.pbx
    conf = pbx.home / "etc" / "http.conf"
    # both families: the laboratory itself uses the IPv4 address
    conf.write_text(conf.read_text().replace("bindaddr = 127.0.0.1", "bindaddr = ::"))
    await pbx.cli("module reload http")
    await until(lambda: _listens_to_all(ground), within=RELOAD_SECONDS)
    for variable, value in (("CCARI_AGI", f"[::1]:{pbx.agi_port}"), ("CCARI_ASK_ALIVE", "yes")):
        await pbx.cli(f"dialplan set global {variable} {value}")
    made = ground.service(ari=f"http://[::1]:{pbx.http_port}")
    port = made.environment["CCARI_HTTP__LISTEN"].rpartition(":")[2]
    made.environment = {
        **made.environment,
        "CCARI_HTTP__LISTEN": f"[::1]:{port}",
        "CCARI_AGI__LISTEN": f"[::1]:{pbx.agi_port}",
    }
    await made.start()
    yield made
    assert await made.stop() == 0, made.errors.read_text()


async def _listens_to_all(ground: Ground) -> bool:
    return f"[::]:{ground.lab.pbx.http_port}" in await ground.lab.pbx.cli("http show status")


async def test_a_call_does_not_get_through_over_ipv6(ground: Ground, service: Service) -> None:
    call = await ground.dial(callees.answers(1), agent="drops-2")
    outcome, shown = await ground.ended(service, call)
    assert (outcome.outcome, outcome.reason) == ("bridged", "")
    assert [each["state"] for each in shown["recordings"]] == ["stored"]


async def test_the_doctor_cannot_reach_what_listens_on_ipv6(service: Service) -> None:
    done = await service.ccari("doctor", "--json")
    found = {each["check"]: each["state"] for each in json.loads(done.out)}
    assert {name: found[name] for name in ("asterisk", "fastagi", "http")} == dict.fromkeys(
        ("asterisk", "fastagi", "http"), "ok"
    )
