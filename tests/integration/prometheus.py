"""A real Prometheus: the machine's own, or Debian's package, whose programs are kept in the cache."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.lab.ports import free_port

#: Time for Debian's mirror to send two packages of 16 MB each.
DOWNLOAD_SECONDS = 300.0
#: Time for the server to read its rules and scrape once.
START_SECONDS = 60.0
#: What Grafana inserts into queries.
VARIABLES = {"$job": "ccari", "$instance": ".*", "$campaign": ".*", "$__rate_interval": "1m"}
PROGRAMMES = ("prometheus", "promtool")


def queries_of(dashboard: Path) -> Iterator[str]:
    """The queries of its panels, as Grafana would send them."""
    for panel in json.loads(dashboard.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield query


async def programmes() -> Path:
    """The folder of both programs; they are downloaded the first time, without installing anything."""
    found = [shutil.which(each) for each in PROGRAMMES]
    if all(found):
        return Path(str(found[0])).parent
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ccari" / "prometheus"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not all((cache / each).is_file() for each in PROGRAMMES):
            await _fetch(cache)
    return cache


async def _fetch(cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        root = Path(folder) / "root"
        try:
            await run("apt-get", "download", *PROGRAMMES, within=folder)
        except AssertionError:
            # the machine has no package lists, or they name what the mirror no longer has
            await run("apt-get", "update", "-qq", within=folder)
            await run("apt-get", "download", *PROGRAMMES, within=folder)
        await run("sh", "-c", 'for each in *.deb; do dpkg-deb -x "$each" root; done', within=folder)
        for each in PROGRAMMES:
            (root / "usr" / "bin" / each).replace(cache / each)


async def run(*command: str, within: str | Path = "/") -> str:
    """The output of a command, which must succeed."""
    made = await asyncio.create_subprocess_exec(
        *command, cwd=within, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(DOWNLOAD_SECONDS):
        told, _ = await made.communicate()
    assert made.returncode == 0, told.decode()
    return told.decode()


class Prometheus:
    """A running server, queried over its API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, what: str, **parameters: str) -> Any:
        """The data of an answer, which must report success."""
        async with self._session.get(f"{self._url}/api/v1/{what}", params=parameters) as reply:
            told = await reply.json()
        assert told["status"] == "success", told
        return told["data"]

    async def value(self, query: str) -> float | None:
        """The value of a query for one number."""
        found = (await self.ask("query", query=query))["result"]
        return float(found[0]["value"][1]) if found else None

    async def is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self._session.get(f"{self._url}/-/ready") as reply:
                return reply.status == 200
        return False


@contextlib.asynccontextmanager
async def prometheus(configuration: str) -> AsyncIterator[Prometheus]:
    """A server with this configuration while the context lasts."""
    folder, port = await programmes(), free_port(socket.SOCK_STREAM, "127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="ccari-prometheus-") as home:
        file, log = Path(home) / "prometheus.yml", Path(home) / "log"
        file.write_text(configuration)
        with log.open("wb") as told:
            process = await asyncio.create_subprocess_exec(
                str(folder / "prometheus"), f"--config.file={file}", f"--storage.tsdb.path={home}/data",
                f"--web.listen-address=127.0.0.1:{port}", stdout=told, stderr=told, cwd=home,
            )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                yield Prometheus(f"http://127.0.0.1:{port}", session)
        finally:
            process.terminate()
            await process.wait()
