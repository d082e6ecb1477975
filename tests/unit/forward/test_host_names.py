"""The hosts of webhooks: a name server that does not answer about them affects nothing else."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ccari.forward.webhook import NotTakenError, open_webhook
from ccari.names import Names
from tests.lab.waiting import until
from tests.unit.forward.receiver import Receiver

SECONDS = 30.0
SECRET = bytes(32)


class Servers:
    """Name servers that answer about ``.example`` only when it is ``over``. ``asked``: the hosts that they were asked
    about.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()
        self._getaddrinfo = socket.getaddrinfo

    @contextlib.asynccontextmanager
    async def answering_again(self) -> AsyncIterator[None]:
        """Because the event loop waits for its own look-ups before it ends."""
        try:
            yield
        finally:
            self.over.set()

    def getaddrinfo(self, host: str, *given: Any, **options: Any) -> Any:
        if host.endswith(".example"):
            self.asked.append(host)
            self.over.wait()
            host = "localhost"
        return self._getaddrinfo(host, *given, **options)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    servers = Servers()
    monkeypatch.setattr(socket, "getaddrinfo", servers.getaddrinfo)
    yield servers
    servers.over.set()


async def test_hosts_that_no_name_server_answers_about_keep_all_other_names_from_being_found(
    servers: Servers, receiver: Receiver
) -> None:
    """The database's, say. The service's loop looks up two at a time."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(2))
    by_name = receiver.url.replace("127.0.0.1", "localhost")
    async with open_webhook() as webhook, asyncio.timeout(SECONDS), servers.answering_again():
        hosts = ["acme.example", "other.example"]
        posts = [asyncio.create_task(webhook.post(f"http://{each}/", SECRET, "1", b"{}")) for each in hosts]
        await until(lambda: sorted(servers.asked) == hosts, within=SECONDS)
        assert await loop.getaddrinfo("localhost", 5432)
        assert await webhook.post(by_name, SECRET, "1", b"{}") == 204
        for each in posts:
            each.cancel()
        await asyncio.wait(posts)


async def test_whoever_tries_again_takes_another_thread_for_a_host_that_is_looked_up_still(
    servers: Servers,
) -> None:
    names = Names()
    tries = [asyncio.create_task(names.resolve("acme.example", 443)) for _ in range(3)]
    await until(lambda: bool(servers.asked), within=SECONDS)
    tries[0].cancel()
    await asyncio.wait([tries[0]])
    again = asyncio.create_task(names.resolve("acme.example", 443))
    await asyncio.sleep(0)
    servers.over.set()
    async with asyncio.timeout(SECONDS):
        found = await asyncio.gather(*tries[1:], again)
    assert servers.asked == ["acme.example"]
    assert {(each["hostname"], each["host"], each["port"]) for told in found for each in told} <= {
        ("acme.example", "127.0.0.1", 443), ("acme.example", "::1", 443),
    }  # fmt: skip
    await names.resolve("acme.example", 443)
    assert servers.asked == ["acme.example"] * 2


async def test_a_host_that_does_not_exist_is_reported_as_one_that_does_not_answer() -> None:
    async with open_webhook() as webhook:
        with pytest.raises(NotTakenError, match="its host is not known"):
            await webhook.post("http://nobody.invalid/", SECRET, "1", b"{}")
