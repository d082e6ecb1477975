"""What ``ccari doctor`` says about the ports, and about an unsuitable Asterisk, with real faults."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from ccari.agi.server import serve_agi
from ccari.calls.modules import MODULES
from ccari.cli.doctor import addresses
from ccari.cli.doctor.findings import State
from ccari.store.opened import Store
from ccari.web.health import Readiness, alive
from tests.unit.agi.conftest import desk
from tests.unit.calls.ari_server import INFO
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made

__all__ = ["desk"]


@asynccontextmanager
async def listening(listen: str, said: bytes) -> AsyncIterator[None]:
    """A server that says the same to every client, and nothing more."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        if said:
            await writer.drain()
            writer.close()
        else:
            await gone.wait()
            writer.transport.abort()

    gone = asyncio.Event()
    host, _, port = listen.rpartition(":")
    server = await asyncio.start_server(answer, host, int(port))
    try:
        yield
    finally:
        gone.set()
        server.close()


@asynccontextmanager
async def serving(listen: str, *handlers: web.RouteDef) -> AsyncIterator[None]:
    app = web.Application()
    app.add_routes(handlers)
    runner = web.AppRunner(app)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_a_port_that_somebody_else_has_passes_for_ccari(patient: Patient) -> None:
    for section, check in (("http", "http"), ("agi", "fastagi")):
        listen = patient.settings[section]["listen"]
        port = listen.rpartition(":")[2]
        async with listening(listen, b"SSH-2.0-OpenSSH_10.0\r\n"):
            found = await patient.only(check)
        assert (found.state, found.found) == (
            State.FAULT,
            f"the program that answers on {listen} is not ccari",
        )
        assert found.advice == (
            f"stop the program that listens there (ss -ltnp 'sport = :{port}'), or set [{section}] listen to another port"
        )
    listen = patient.settings["http"]["listen"]
    async with serving(listen, web.get("/healthz", _fine), web.get("/readyz", _fine)):
        assert (await patient.only("http")).found.endswith("is not ccari")


async def _fine(_: web.Request) -> web.Response:
    return web.json_response({"status": "fine"})


async def test_a_service_that_hangs_holds_the_doctor_up_or_passes(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "ANSWER_SECONDS", 1.0)
    http, agi = patient.settings["http"]["listen"], patient.settings["agi"]["listen"]
    async with listening(http, b""), listening(agi, b""):
        found = await patient.unwell()
    assert {each.check: each.found for each in found.values()} == {
        "http": f"a program listens on {http} but does not answer within 1 s",
        "fastagi": f"a program listens on {agi} but does not answer within 1 s",
    }
    assert "restart it" in found["http"].advice


async def test_a_free_port_is_said_to_hang_where_the_machine_stood_still(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as if all of the time had passed before anything was asked
    monkeypatch.setattr(addresses, "ANSWER_SECONDS", 0.0)
    found = {each.check: each for each in await patient.examined()}
    for check in ("fastagi", "http"):
        assert found[check].state is State.OK, found[check]
        assert found[check].found.endswith("is free, and no service is running: ccari serve")


async def test_a_service_that_can_take_no_call_passes(patient: Patient) -> None:
    async def well() -> bool:
        return True

    async def away() -> bool:
        return False

    readiness = Readiness({"asterisk": away, "database": well})
    listen = patient.settings["http"]["listen"]
    async with serving(listen, web.get("/healthz", alive), web.get("/readyz", readiness.answer)):
        found = await patient.only("http")
    assert found.found == f"ccari answers on {listen}, but cannot take calls: Asterisk is not available"


async def test_fastagi_that_answers_is_called_a_stranger_or_takes_a_call(
    patient: Patient, desk: object
) -> None:
    async with serve_agi(patient.settings["agi"]["listen"], desk):  # type: ignore[arg-type]
        found = {each.check: each for each in await patient.examined()}
    assert (found["fastagi"].state, found["fastagi"].found) == (
        State.OK, f"ccari answers on {patient.settings['agi']['listen']}"
    )  # fmt: skip
    patient.settings["agi"]["listen"] = "off"
    found = {each.check: each for each in await patient.examined()}
    assert (found["fastagi"].state, found["fastagi"].found) == (State.OK, "turned off by [agi] listen")


async def test_a_free_port_is_called_taken_by_its_name(patient: Patient) -> None:
    port = patient.settings["http"]["listen"].rpartition(":")[2]
    for host in ("localhost", "0.0.0.0"):  # noqa: S104 - as some settings are
        patient.settings["http"]["listen"] = f"{host}:{port}"
        found = {each.check: each for each in await patient.examined()}
        assert found["http"].state is State.OK
        assert found["http"].found == f"{host}:{port} is free, and no service is running: ccari serve"


async def test_a_port_that_ccari_cannot_have_passes_for_free(patient: Patient) -> None:
    host = patient.settings["http"]["listen"].rpartition(":")[0]
    with socket.socket() as taken:
        # the port is taken, although nobody listens
        taken.bind((host, 0))
        port = taken.getsockname()[1]
        patient.settings["http"]["listen"] = f"{host}:{port}"
        found = await patient.only("http")
    assert (found.state, found.found) == (
        State.FAULT, f"ccari cannot listen on {host}:{port}: Address already in use"
    )  # fmt: skip
    patient.settings["http"]["listen"] = f"no-such-host.invalid:{port}"
    found = await patient.only("http")
    assert (found.state, found.advice) == (State.FAULT, "check [http] listen")


async def test_agents_find_out_that_they_cannot_transfer(patient: Patient, store: Store) -> None:
    async def info(_: web.Request) -> web.Response:
        return web.json_response(INFO)

    async def modules(_: web.Request) -> web.Response:
        return web.json_response(
            [{"name": each, "status": "Running"} for each in (*MODULES, "func_channel.so")]
            + [{"name": "res_pjsip_refer.so", "status": "Not Running"}]
        )

    await store.policies.apply(
        made.POLICY.replace('id = "renewals"', 'id = "renewals"\ntransfer = "PJSIP/{extension}"'), "test"
    )
    listen = patient.settings["asterisk"]["url"].removeprefix("http://")
    async with serving(
        listen, web.get("/ari/asterisk/info", info), web.get("/ari/asterisk/modules", modules)
    ):
        found = {each.check: each for each in await patient.examined()}
    assert found["asterisk modules"].state is State.OK
    assert found["modules renewals"].state is State.FAULT
    assert found["modules renewals"].found == (
        "not running: res_pjsip_refer.so, for its transfer: calls over Stasis and HTTP that need them are refused"
    )
    assert found["modules renewals"].advice == (
        "write `load = res_pjsip_refer.so` in modules.conf, and for now: asterisk -rx 'module load res_pjsip_refer.so'"
    )
    assert "dialplan" not in found


async def test_an_asterisk_that_is_too_old_or_none_passes(patient: Patient) -> None:
    async def info(_: web.Request) -> web.Response:
        return web.json_response(
            {"system": {"version": "20.9.3", "entity_id": "02"}, "status": {"startup_time": "now"}}
        )

    listen = patient.settings["asterisk"]["url"].removeprefix("http://")
    async with serving(listen, web.get("/ari/asterisk/info", info)):
        found = {each.check: each for each in await patient.examined()}
    assert (found["asterisk"].state, found["asterisk"].found) == (State.FAULT, "Asterisk 20.9.3 is too old")
    assert found["asterisk"].advice == "ccari needs 22.10.1 or newer for ARI"
    async with serving(listen):
        found = {each.check: each for each in await patient.examined()}
    assert (found["asterisk"].state, found["asterisk"].advice) == (
        State.FAULT, "load res_ari.so and res_http_websocket.so, and enable it in ari.conf"
    )  # fmt: skip


async def test_an_asterisk_without_tls_or_under_another_name_is_told_to_be_started(patient: Patient) -> None:
    listen = patient.settings["asterisk"]["url"].removeprefix("http://")
    patient.settings["asterisk"]["url"] = f"https://{listen}"
    async with serving(listen):
        found = {each.check: each for each in await patient.examined()}["asterisk"]
    assert found.state is State.FAULT
    # OpenSSL words this differently in each version
    assert re.fullmatch(
        rf"Asterisk at https://{listen} cannot be reached by TLS: (wrong version number|record layer failure)",
        found.found,
    )
    assert found.advice == "check [asterisk] url, and tlscertfile in http.conf"
    patient.settings["asterisk"]["url"] = "http://pbx.invalid:8088"
    found = {each.check: each for each in await patient.examined()}["asterisk"]
    assert (found.state, found.advice) == (State.FAULT, "check the host in [asterisk] url")
