"""A service whose settings name no Asterisk: it gates over FastAGI and HTTP, and nothing in it waits for ARI."""

import secrets
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from ccari.ports.access import Bearer, Role, fingerprint
from ccari.store.opened import Store
from tests.integration.service import START_SECONDS, Service
from tests.lab.ports import free_port
from tests.unit.agi.asterisk import caller
from tests.unit.store import made
from tests.unit.store.test_key_commands import without_database


@pytest.fixture
def ports() -> list[int]:
    return [free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(2)]


@pytest_asyncio.fixture
async def running(dsn: str, store: Store, tmp_path: Path, ports: list[int]) -> AsyncIterator[Service]:
    """A service with a policy that records, but without an ARI password, and without anybody to encrypt recordings to."""
    http, agi = ports
    await store.policies.apply(made.POLICY, "test")
    service = without_database({
        "CCARI_DATABASE__URL": dsn, "CCARI_ASTERISK__URL": "off", "CCARI_ASTERISK__SPOOL": str(tmp_path / "none"),
        "CCARI_HTTP__LISTEN": f"127.0.0.1:{http}", "CCARI_AGI__LISTEN": f"127.0.0.1:{agi}",
    }, tmp_path)  # fmt: skip
    assert (await service.ccari("keys", "init")).code == 0
    (tmp_path / "keys" / "recordings.recipients").unlink(missing_ok=True)
    await service.spawn()
    try:
        await service.logged("service_started", within=START_SECONDS)
        yield service
    finally:
        ended = await service.stop()
    assert ended == 0, service.errors.read_text()


async def test_a_service_without_asterisk_is_never_ready_or_looks_for_it(
    running: Service, ports: list[int]
) -> None:
    http, agi = ports
    async with aiohttp.ClientSession(f"http://127.0.0.1:{http}") as session:
        async with session.get("/readyz") as ready:
            assert (ready.status, await ready.json()) == (HTTPStatus.OK, {"database": "ok", "calls": "ok"})
        async with session.get("/metrics") as scraped:
            told = await scraped.text()
    # an alert fires if a connection that should be there is away
    assert "ccari_calls_under_way" in told
    assert "ccari_asterisk_up" not in told
    assert "ccari_fence_held" not in told
    async with caller(agi) as dialplan:
        dialplan.enter("gate", made.NUMBER.e164, "nonsense")
        await dialplan.obey()
        assert (dialplan.verdict, dialplan.variables["CCARI_REASON"]) == ("DENY", "unknown_campaign")
    events = {line["event"] for line in running.lines()}
    assert not events & {"asterisk_away", "asterisk_connected", "spool_unreachable", "task_failed"}


async def test_a_call_that_is_placed_without_asterisk_is_waited_for(
    running: Service, ports: list[int], store: Store
) -> None:
    token = f"ccari_{secrets.token_urlsafe(32)}"
    await store.tokens.add(Bearer("dialler", Role.DIALER, None, None), fingerprint(token), "test", None)
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{ports[0]}") as session,
        session.post(
            "/v1/calls",
            json={"number": made.NUMBER.e164, "campaign": "renewals"},
            headers={"authorization": f"Bearer {token}"},
        ) as answer,
    ):
        assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert (await answer.json())["detail"] == (
            "placing calls is not possible here: this service runs without Asterisk"
        )
    assert await store.records.list_calls(10) == []
