"""What ``ccari doctor`` says about telephones and trunks if Asterisk says little about them, or nothing. Real settings:
tests/integration.
"""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from ccari.cli.doctor import telephones
from ccari.cli.doctor.findings import Finding, State
from ccari.config import Settings
from ccari.policy.declaration import read
from tests.unit.calls.ari_server import INFO
from tests.unit.store import made

SAFE = {"auth": "", "identify_by": "ip", "allow_transfer": "false", "redirect_method": "user"}


class Pbx:
    """``status``: the answer for each endpoint; None: never answered. ``of``: an endpoint's settings."""

    def __init__(self) -> None:
        self.status: dict[str, int | None] = {}
        self.version = "22.10.1"
        self.of: dict[str, str] = {}

    async def info(self, _: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(INFO | {"system": INFO["system"] | {"version": self.version}}))

    async def names(self, _: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps([{"resource": each} for each in self.status]))

    async def endpoint(self, request: web.Request) -> web.Response:
        status = self.status[request.match_info["name"]]
        if status is None:
            await asyncio.Event().wait()
        settings = [{"attribute": name, "value": value} for name, value in (SAFE | self.of).items()]
        return web.Response(status=status or 200, body=orjson.dumps(settings))

    async def told(self, server: BaseTestServer) -> Finding:
        asterisk = {"url": str(server.make_url("/")), "password": "secret"}
        settings = Settings.model_validate({"asterisk": asterisk})
        (found,) = await telephones.telephones(settings, read(made.POLICY))
        return found


@pytest.fixture
def pbx() -> Pbx:
    return Pbx()


@pytest.fixture
async def server(pbx: Pbx) -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.router.add_get("/ari/asterisk/info", pbx.info)
    app.router.add_get("/ari/endpoints/PJSIP", pbx.names)
    app.router.add_get("/ari/asterisk/config/dynamic/res_pjsip/endpoint/{name}", pbx.endpoint)
    async with TestServer(app) as running:
        yield running


async def test_one_that_asterisk_cannot_tell_of_is_a_fault_or_hides_the_others(
    pbx: Pbx, server: BaseTestServer
) -> None:
    pbx.status = {"trunk": 200, "gone": 404, "latin-1": 500}
    found = await pbx.told(server)
    assert (found.state, found.found.partition(" without")[0]) == (State.OK, "1 PJSIP endpoint")
    assert found.found.endswith("(2 more could not be looked at)")


async def test_an_asterisk_that_is_slow_is_called_faulty_or_all_well(
    pbx: Pbx, server: BaseTestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telephones, "LOOK_SECONDS", 0.5)
    pbx.status, pbx.of = {"trunk": 200, "slow": None}, {"allow_transfer": "true"}
    found = await pbx.told(server)
    assert (found.state, found.found.partition(":")[0]) == (State.WARNING, "trunk")
    assert found.found.endswith("(1 more could not be looked at)")
    pbx.status = {"slow": None}
    assert (await pbx.told(server)).state is State.WARNING


@pytest.mark.parametrize(
    ("version", "crashes"),
    [("22.10.1~dfsg", True), ("22.11.0", False), ("23.4.1", True), ("23.5.0", False), ("24.0.0", False)],
)
async def test_a_release_that_a_transfer_crashes_passes_or_a_mended_one_does_not(
    pbx: Pbx, server: BaseTestServer, version: str, *, crashes: bool
) -> None:
    pbx.version, pbx.status = version, {"anna": 200}
    pbx.of = {"auth": "anna", "allow_transfer": "true"}
    found = await pbx.told(server)
    assert found.state is (State.WARNING if crashes else State.OK)
