"""The demo reads the log of the service that it runs, for as long as that runs."""

import asyncio
import sys

from ccari.demo.watch import Watch

SECONDS = 30.0
#: More than are kept.
LINES = 20_000
SERVICE = f"""
import json
for at in range({LINES}):
    print(json.dumps({{"event": "written", "at": at}}))
"""


async def test_a_demo_that_is_kept_stops_reading_the_log_and_cannot_be_ended() -> None:
    """Nobody looks at a line any more once all calls have been played."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, stdout=asyncio.subprocess.PIPE
    )
    watch = Watch(process)
    try:
        async with asyncio.timeout(SECONDS):
            await watch.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
