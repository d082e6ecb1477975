"""A small spool for the pbx, a tmpfs that only its Asterisk sees, and that can be full or read-only."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator
from pathlib import Path

from tests.lab.pbx import Pbx

SIZE_KIB = 1024
_BLOCK = bytes(4096)


class SmallSpool:
    """``folder``: its path outside Asterisk's mount namespace."""

    def __init__(self, pbx: Pbx) -> None:
        self.folder = Path(f"/proc/{pbx.pid}/root{pbx.spool}")
        self._pbx = pbx
        inside = pbx.spool if pbx.root == Path("/") else Path(f"{pbx.home}/root{pbx.spool}")
        self._inside = str(inside)

    async def mount(self) -> None:
        await self._run("mount", "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "spool", self._inside)

    async def unmount(self) -> None:
        await self._run("umount", "--lazy", self._inside)

    async def make_read_only(self) -> None:
        await self._run("mount", "-o", "remount,ro", self._inside)

    def fill(self, *, but_kib: int = 0) -> None:
        """Fill it, except for ``but_kib``."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(_BLOCK):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(filler.stat().st_size - 1024 * but_kib)

    def files(self) -> list[str]:
        """The files in it, without the filler."""
        return [each.name for each in self.folder.iterdir() if each.name != "filler"]

    async def _run(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            "nsenter",
            f"--target={self._pbx.pid}",
            "--mount",
            *command,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
        )
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()


@contextlib.asynccontextmanager
async def small_spool(pbx: Pbx) -> AsyncIterator[SmallSpool]:
    """Replaces the pbx's spool while the context lasts."""
    made = SmallSpool(pbx)
    await made.mount()
    try:
        yield made
    finally:
        await made.unmount()
