"""The unit from docs/install.md under a real systemd, which boots in namespaces of its own."""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.containers.images import SYSTEMD, ensure_images
from tests.containers.stage import Done, child, configure, run
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOOT = Path(__file__).parent / "boot.sh"
BOOT_SECONDS = 60.0
STOP_SECONDS = 20.0
#: Shorter than the unit's own WatchdogSec=, for which a test would wait too long.
WATCHDOG = "[Service]\nWatchdogSec=8\n"
#: The exposure that systemd-analyze gives the unit: 0 is closed, 10 is open.
EXPOSURE = 1.5


@dataclass(frozen=True)
class Machine:
    """``pid``: its systemd, by its pid outside."""

    pid: int

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self.pid}/root")

    def write(self, file: str, text: str) -> None:
        (self.root / file).parent.mkdir(exist_ok=True)
        (self.root / file).write_text(text)

    async def __call__(self, *command: str) -> Done:
        return await run("nsenter", f"--target={self.pid}", "--all", "--root", "--wdns=/", *command,
                         environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # fmt: skip

    async def property(self, name: str) -> str:
        return (await self("systemctl", "show", "--value", f"--property={name}", "ccari")).out.strip()

    async def became(self, name: str, value: str) -> None:
        async def is_so() -> bool:
            return await self.property(name) == value

        try:
            await until(is_so, within=BOOT_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{name} is {await self.property(name)!r}:\n{await self.told()}") from None

    async def told(self, unit: str = "ccari") -> str:
        """What a unit has logged last."""
        return (await self("journalctl", f"--unit={unit}", "--output=cat", "--no-pager", "--lines=60")).out

    async def confined(self, *command: str) -> Done:
        """Run a command with the unit's restrictions, as the service runs."""
        unit = (self.root / "etc/systemd/system/ccari.service").read_text()
        kept = re.sub(
            r"^(Type|ExecStart|Restart\w*|WatchdogSec|SyslogIdentifier)=.*\n", "", unit, flags=re.MULTILINE
        )
        done = kept.replace("[Service]\n", f"[Service]\nType=oneshot\nExecStart={' '.join(command)}\n")
        self.write("etc/systemd/system/confined.service", done)
        await self("systemctl", "daemon-reload")
        return await self("systemctl", "start", "confined")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machine() -> AsyncIterator[Machine]:
    """Booted, with the unit enabled."""
    images = await ensure_images()
    with tempfile.TemporaryDirectory(prefix="ccari-boot-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        configure(folder, images)
        process = await boot(folder)
        try:
            up = await booted(process, folder)
            up.write("etc/systemd/system/ccari.service.d/soon.conf", WATCHDOG)
            await up("systemctl", "daemon-reload")
            yield up
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()


async def boot(folder: Path) -> asyncio.subprocess.Process:
    with (folder / "log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"),
            *("--mount-proc", "--propagation", "private", "sh", str(BOOT), str(folder), SYSTEMD),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


async def booted(process: asyncio.subprocess.Process, folder: Path) -> Machine:
    async def ready() -> bool:
        if process.returncode is not None:
            raise AssertionError(words(folder))
        first = first_of(process.pid)
        if first is None:
            return False
        told = await Machine(first)("systemctl", "is-system-running")
        return told.out.strip() in {"running", "degraded", "starting"}

    try:
        await until(ready, within=BOOT_SECONDS)
    except TimeoutError:
        raise AssertionError(words(folder)) from None
    return Machine(child(process.pid))


def words(folder: Path) -> str:
    return (folder / "log").read_text()


def first_of(pid: int) -> int | None:
    """The machine's first process, once it is systemd."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not children or Path(f"/proc/{children[0]}/comm").read_text().strip() not in {"systemd", "init"}:
        return None
    return int(children[0])


async def test_systemd_does_not_hear_that_the_service_is_up(machine: Machine) -> None:
    await machine.became("SubState", "running")
    assert await machine.property("StatusText") == "Asterisk is away: it tries again by itself"
    assert '"event":"service_started"' in await machine.told()


@pytest.mark.parametrize(
    "command",
    [
        "/opt/ccari/bin/ccari db status",
        "/opt/ccari/bin/ccari policy apply /opt/ccari/lib/python3.13/site-packages/ccari/demo/policy.toml",
        "/opt/ccari/bin/ccari keys init",
        # the bytes of any file are valid 8-bit sound
        "/usr/bin/nice /usr/bin/flac --silent --force-raw-format --endian=little --sign=signed --channels=1 --bps=8 --sample-rate=8000 -o /var/lib/ccari/a.flac /etc/ccari/ccari.toml",
        "/usr/bin/nice /usr/bin/ffmpeg -loglevel error -f lavfi -i sine=duration=1 -c:a libopus -f ogg -y /dev/null",
        "/opt/ccari/bin/ccari sounds build",
        "/usr/bin/install -d /var/spool/asterisk/recording",
    ],
)
async def test_the_unit_forbids_what_the_service_does(machine: Machine, command: str) -> None:
    done = await machine.confined(command)
    assert done.code == 0, await machine.told("confined")


@pytest.mark.parametrize(
    "command", ["/usr/bin/touch /srv/ccari/x", "/usr/bin/ls /home/ccari/", "/usr/bin/unshare --user true"]
)
async def test_the_unit_allows_what_the_service_never_does(machine: Machine, command: str) -> None:
    free = await machine("runuser", "--user=ccari", "--", *command.split())
    assert free.code == 0, free.err
    assert (await machine.confined(command)).code != 0


async def test_the_unit_is_more_open_than_the_page_says(machine: Machine) -> None:
    told = (await machine("systemd-analyze", "security", "--no-pager", "ccari")).out
    (exposure,) = re.findall(r"Overall exposure level for ccari.service: ([\d.]+)", told)
    assert float(exposure) <= EXPOSURE


async def test_a_service_that_hangs_or_dies_has_no_successor(machine: Machine) -> None:
    assert (await machine("systemctl", "restart", "ccari")).code == 0, await machine.told()
    for number, how in enumerate((signal.SIGSTOP, signal.SIGKILL), 1):
        pid = await machine.property("MainPID")
        os.kill(outside(machine, int(pid)), how)
        await machine.became("NRestarts", str(number))
        await machine.became("SubState", "running")


async def test_a_stop_is_no_clean_end_or_leaves_the_database_behind(machine: Machine) -> None:
    await machine.became("SubState", "running")
    assert (await machine("systemctl", "stop", "ccari")).code == 0
    assert (await machine.property("Result"), await machine.property("SubState")) == ("success", "dead")
    assert '"event":"service_stopped"' in await machine.told()
    assert not (machine.root / "var/lib/ccari/postgresql/cluster/postmaster.pid").exists()


def outside(machine: Machine, pid: int) -> int:
    """The pid outside of a process of the machine."""
    for each in Path("/proc").glob("[0-9]*/status"):
        try:
            told = re.search(r"^NSpid:(.*)$", each.read_text(), re.MULTILINE)
            names = told[1].split() if told else []
            same = Path(each.parent, "ns/pid").readlink() == Path(f"/proc/{machine.pid}/ns/pid").readlink()
        except OSError:
            continue
        if same and names[-1] == str(pid):
            return int(each.parent.name)
    raise AssertionError(f"the machine has no process {pid}")
