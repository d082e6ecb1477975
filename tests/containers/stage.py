"""A place to run containers in that leaves nothing behind, however it ends: see stage.sh."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.containers.images import Images, ulimits
from tests.lab.errors import LabError
from tests.lab.waiting import until

HERE = Path(__file__).parent
START_SECONDS = 30.0
STOP_SECONDS = 20.0
COMMAND_SECONDS = 240.0


@dataclass(frozen=True)
class Done:
    """A command's output, and its exit status."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Stage:
    """``folder``: its own, removed with it; ``pid``: a process in its namespaces."""

    folder: Path
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a command outside reaches the podman inside."""
        return {**os.environ, "DOCKER_HOST": f"unix://{self.folder / 'podman.sock'}"}

    async def podman(self, *arguments: str) -> str:
        """Podman's output. Raises LabError if it fails."""
        done = await self.inside("podman", *arguments)
        if done.code:
            raise LabError(f"podman {arguments[0]}: {done.err.strip()[-500:]}")
        return done.out

    async def inside(self, *command: str) -> Done:
        """Run a command in the stage's namespaces, where the containers' published ports can be reached."""
        return await run(
            "nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", *command,
            environment={
                **os.environ,
                "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
                "CONTAINERS_CONF_OVERRIDE": str(self.folder / "containers.conf"),
                "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
            },
        )  # fmt: skip


@asynccontextmanager
async def stage(images: Images) -> AsyncIterator[Stage]:
    """A podman that has the images, and nothing else."""
    folder = Path(tempfile.mkdtemp(prefix="ccari-stage-"))
    process = None
    try:
        configure(folder, images)
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                # with pdeathsig, a killed test run leaves no containers behind
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"),
                *("--propagation", "private", "sh", str(HERE / "stage.sh"), str(folder)),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        await _answers(folder, process)
        yield Stage(folder, child(process.pid))
    finally:
        if process is not None:
            await _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def configure(folder: Path, images: Images) -> None:
    """Make podman and buildah keep in ``folder`` what they make from the images."""
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder / "storage"}"\nrunroot = "/run/containers/storage"\n'
        f'[storage.options]\nadditionalimagestores = ["{images.storage}"]\n'
    )
    (folder / "containers.conf").write_text(
        f'[containers]\ncgroups = "disabled"\n{ulimits()}\n'
        f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{folder / "networks"}"\n'
    )


async def _answers(folder: Path, process: asyncio.subprocess.Process) -> None:
    def ready() -> bool:
        if process.returncode is not None:
            raise LabError(f"the stage has died: {(folder / 'log').read_text()[-500:]}")
        return (folder / "podman.sock").exists()

    await until(ready, within=START_SECONDS)


def child(pid: int) -> int:
    """The first process of the new process namespace, by its pid outside."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its first process is killed with it, and all others with that one."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(STOP_SECONDS):
        await process.wait()


async def run(*command: str, environment: Mapping[str, str], cwd: Path = Path("/")) -> Done:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        raise LabError(f"{command[0]} did not end within {COMMAND_SECONDS} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Done(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
