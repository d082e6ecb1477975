"""Two real Asterisks in a temporary folder, started together and removed without a trace."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.pbx import Pbx
from tests.lab.root import ensure_root
from tests.lab.world import World

# Removes the folder when this process closes the pipe or dies, however it dies. Asterisk is killed with it; the second
# attempt removes whatever that still writes during the first.
REMOVER = 'cat; rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }'


@dataclass(frozen=True)
class Lab:
    """The pbx under test and the world around it."""

    directory: Path
    pbx: Pbx
    world: World


@asynccontextmanager
async def laboratory(*, host_folders: Sequence[Path] = ()) -> AsyncIterator[Lab]:
    """A running lab.

    The pbx sees ``host_folders``, and the checkout's ``dialplan`` and ``sounds``, read-only at the same paths. With
    ``CCARI_LAB_LOGS`` in the environment, everything that the two wrote is copied to that folder before it is removed.
    """
    root = await ensure_root()
    async with temporary_folder() as directory:
        world = World(root, directory)
        pbx = Pbx(root, directory, world_sip_port=world.sip_port, host_folders=host_folders)
        world.pbx_sip_port = pbx.sip_port
        try:
            await together(pbx.start(), world.start())
            yield Lab(directory, pbx, world)
        finally:
            await asyncio.shield(asyncio.gather(pbx.stop(), world.stop()))
            if keep := os.environ.get("CCARI_LAB_LOGS"):
                shutil.copytree(
                    directory,
                    keep,
                    ignore=shutil.ignore_patterns("*.ctl", "ari-password"),
                    dirs_exist_ok=True,
                )


async def together(*starts: Coroutine[None, None, None]) -> None:
    """Start all at once; raise the first failure."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except BaseExceptionGroup as failures:
        # Show the person at the terminal one failure, in one line.
        raise failures.exceptions[0] from None


@asynccontextmanager
async def temporary_folder() -> AsyncIterator[Path]:
    """The folder of a laboratory, removed when this process ends, however it ends."""
    directory = _make_folder()
    remover = await asyncio.create_subprocess_exec(
        *("sh", "-c", REMOVER, "sh", str(directory)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    try:
        yield directory
    finally:
        assert remover.stdin is not None
        remover.stdin.close()
        await asyncio.shield(remover.wait())


def _make_folder() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="ccari-lab-"))
    # ccari may run as another user, who must be able to reach the recordings.
    directory.chmod(0o755)
    return directory
