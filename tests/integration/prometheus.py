"""A real Prometheus: the machine's own, or Debian's package, of which the programmes are kept in the cache."""

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

#: For Debian's mirror to give two packages of 16 MB each.
DOWNLOAD_SECONDS = 300.0
#: For the server to have read its rules, and to have scraped once.
START_SECONDS = 60.0
#: What Grafana puts into queries.
VARIABLES = {"$job": "ccari", "$instance": ".*", "$campaign": ".*", "$__rate_interval": "1m"}
PROGRAMMES = ("prometheus", "promtool")


def queries_of(dashboard: Path) -> Iterator[str]:
    """What its panels ask, as Grafana would ask it."""
    for panel in json.loads(dashboard.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield query


async def programmes() -> Path:
    """The folder in which both are; fetched the first time, without installing anything."""
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
            # a machine whose lists are not there, or name what the mirror has no more
            await run("apt-get", "update", "-qq", within=folder)
            await run("apt-get", "download", *PROGRAMMES, within=folder)
        await run("sh", "-c", 'for each in *.deb; do dpkg-deb -x "$each" root; done', within=folder)
        for each in PROGRAMMES:
            (root / "usr" / "bin" / each).replace(cache / each)


async def run(*command: str, within: str | Path = "/") -> str:
    """What it prints; it must succeed."""
    made = await asyncio.create_subprocess_exec(
        *command, cwd=within, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(DOWNLOAD_SECONDS):
        told, _ = await made.communicate()
    assert made.returncode == 0, told.decode()
    return told.decode()


class Prometheus:
    """A server that runs, asked over its API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, what: str, **parameters: str) -> Any:
        """The data of an answer, which must be one of success."""
        async with self._session.get(f"{self._url}/api/v1/{what}", params=parameters) as reply:
            told = await reply.json()
        assert told["status"] == "success", told
        return told["data"]

    async def value(self, query: str) -> float | None:
        """Of a query for one number."""
        found = (await self.ask("query", query=query))["result"]
        return float(found[0]["value"][1]) if found else None

    async def is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self._session.get(f"{self._url}/-/ready") as reply:
                return reply.status == 200
        return False


@contextlib.asynccontextmanager
async def prometheus(configuration: str) -> AsyncIterator[Prometheus]:
    """A server by this configuration while the context lasts."""
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
