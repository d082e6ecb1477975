"""What the service does when it receives a signal, where there is no Asterisk."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from tests.integration.service import Service
from tests.lab.ports import free_port
from tests.unit.store.test_lost_secrets import ccari

__all__ = ["ccari"]


@pytest.fixture
async def service(ccari: Service) -> AsyncIterator[Service]:
    http, nobody = (free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(2))
    ccari.environment = {
        **ccari.environment, "CCARI_HTTP__LISTEN": f"127.0.0.1:{http}", "CCARI_AGI__LISTEN": "off",
        "CCARI_ASTERISK__URL": f"http://127.0.0.1:{nobody}",
    }  # fmt: skip
    ccari.afresh = True
    yield ccari
    if ccari.process is not None and ccari.process.returncode is None:
        ccari.process.kill()
        await ccari.process.wait()


async def test_a_terminal_that_closes_kills_the_service_in_the_middle_of_its_talks(service: Service) -> None:
    # the service inherits it, and tests that were started by nohup ignore it
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        await service.spawn()
    finally:
        signal.signal(signal.SIGHUP, before)
    await service.logged("service_started")
    assert await service.stop(signal.SIGHUP) == 0
    # what was written last may be sealed after it
    told = [line["event"] for line in service.lines() if line["event"] != "journals_sealed"]
    assert told[-1] == "service_stopped"


async def test_a_terminal_that_closes_ends_a_service_that_was_to_outlive_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = asyncio.create_subprocess_exec

    async def after_nohup(*words: str, **how: object) -> asyncio.subprocess.Process:
        return await starts("nohup", *words, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", after_nohup)
    await service.spawn()
    await service.logged("service_started")
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    # a service that heeds it, and has no talks, is over before a command is
    done = await service.ccari("policy", "presets")
    assert done.code == 0
    assert service.process.returncode is None
    assert "service_stopped" not in [line["event"] for line in service.lines()]
    assert await service.stop() == 0
