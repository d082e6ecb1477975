"""Runs the service as a process, and follows its log."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from ccari.errors import CcariError

START_SECONDS = 30.0
STOP_SECONDS = 20.0
#: A call of the demo takes half a minute. One that hangs must not hold up the demo for ever.
CALL_SECONDS = 90.0
_MOST_LINES = 10_000


class Watch:
    """The log lines of ``ccari serve``, which runs as a process: the last :data:`_MOST_LINES` that nobody has looked at yet."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_MOST_LINES)

    async def read(self) -> None:
        output = self._process.stdout
        if output is None:
            raise AssertionError("the service was started without a pipe")
        async for raw in output:
            with contextlib.suppress(ValueError):
                self._keep(json.loads(raw))
        self._keep(None)

    def _keep(self, line: dict[str, Any] | None) -> None:
        # never waits: once all calls were played nobody looks, and a service whose log nobody reads could not be ended
        if self._lines.full():
            self._lines.get_nowait()
        self._lines.put_nowait(line)

    async def until(self, event: str, *, within: float) -> AsyncIterator[dict[str, Any]]:
        """The lines up to and including the first with ``event``. Raises TimeoutError, or CcariError if the service ends."""
        async with asyncio.timeout(within):
            while True:
                line = await self._lines.get()
                if line is None:
                    raise CcariError("the service ended: its last words stand above")
                yield line
                if line.get("event") == event:
                    return


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[Watch]:
    """Run ``ccari serve`` with this process's settings while the context lasts; it begins once Asterisk is connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ccari", "serve", stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    watch = Watch(process)
    reader = asyncio.create_task(watch.read())
    try:
        async for _ in watch.until("asterisk_connected", within=START_SECONDS):
            pass
        yield watch
    except TimeoutError:
        raise CcariError("the demo waited in vain: run it with KEEP=1 and look at the log") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
        await reader
