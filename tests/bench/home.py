"""A benchmark's database and files, and the commands that it runs on them."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.folders import open_folder


def home() -> AbstractContextManager[Path]:
    return open_folder("bench")


async def ccari(environment: Mapping[str, str], *arguments: str) -> tuple[str, float]:
    """The command's output, and its peak memory in MB, without its children, which do no work."""

    def run() -> tuple[str, float]:
        with tempfile.TemporaryFile() as output:
            pid = os.posix_spawn(
                sys.executable, [sys.executable, "-m", "ccari", *arguments], environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
            )  # fmt: skip
            _, status, usage = os.wait4(pid, 0)
            if status:
                raise SystemExit(f"ccari {arguments[0]} failed")
            output.seek(0)
            return output.read().decode(), usage.ru_maxrss / 1024

    return await asyncio.to_thread(run)
