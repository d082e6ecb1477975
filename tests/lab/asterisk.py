"""One Asterisk in a folder of its own: configure, start, query, kill, stop."""

import asyncio
import os
import re
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import ClassVar

import aiohttp

from tests.lab.errors import LabError
from tests.lab.ports import free_port, rtp_range
from tests.lab.root import sbin
from tests.lab.waiting import until

BOOT_SECONDS = 60.0
STOP_SECONDS = 5.0
KILL_SECONDS = 60.0
CLI_SECONDS = 30.0
SOCKET_PATH_MAX = 107
"""Bytes of a unix socket's path; Asterisk cuts a longer one off without a word."""

HERE = Path(__file__).parent

DEFAULTED = (
    *(
        "acl",
        "amd",
        "ccss",
        "cel",
        "features",
        "geolocation",
        "pjproject",
        "stasis",
        "statsd",
        "udptl",
    ),
    "websocket_client",
)
"""Configuration files left empty: without the file Asterisk complains or declines the module."""


class Asterisk:
    """A real Asterisk in a mount namespace of its own, which dies with this process at the latest.

    Parameters
    ----------
    root
        Where Asterisk is installed, ``/`` for the machine's own (:func:`tests.lab.root.ensure_root`).
    directory
        The lab's folder; the instance lives in ``directory / name``.
    host_folders
        Further folders that it sees, read-only, at the same absolute paths.
    """

    name: str
    #: The folders below etc that its configuration is built from.
    templates: ClassVar[tuple[str, ...]]
    sip_addresses: ClassVar[tuple[str, ...]] = ("127.0.0.1",)
    #: Its time zone, in a root of its own; None is UTC.
    time_zone: ClassVar[str | None] = None

    def __init__(self, root: Path, directory: Path, host_folders: Sequence[Path] = ()) -> None:
        self.root = root
        self.directory = directory
        self.home = directory / self.name
        self.host_folders = [folder.absolute() for folder in host_folders if folder.is_dir()]
        self.log = self.home / "log" / "full"
        #: Where ARI recordings are, as seen from outside.
        self.spool = self.home / "spool" / "recording"
        self.sip_port = free_port(socket.SOCK_DGRAM, *self.sip_addresses)
        self.http_port = free_port(socket.SOCK_STREAM, "127.0.0.1")
        self.rtp_ports = rtp_range()
        self.ari_url = f"http://127.0.0.1:{self.http_port}"
        self.ari_user = "ccari" if self.name == "pbx" else "lab"
        self.ari_password = secrets.token_hex(16)
        self.ari_password_file = self.home / "ari-password"
        self._process: asyncio.subprocess.Process | None = None
        if len(os.fsencode(self._socket)) > SOCKET_PATH_MAX:
            raise LabError(
                f"the lab's folder {directory} has too long a path for Asterisk; set TMPDIR to a short one"
            )

    @property
    def pid(self) -> int:
        """Asterisk's own process id."""
        if self._process is None:
            raise LabError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists; it may not have booted yet."""
        return self._process is not None and self._process.returncode is None

    @property
    def fate(self) -> str:
        """The state of the process, for error messages."""
        if self.running:
            return f"{self.name} is running"
        code = self._process.returncode if self._process else None
        return f"{self.name} has died ({code}): {self._last_words()}" if code else f"{self.name} was stopped"

    @property
    def ari_headers(self) -> dict[str, str]:
        """The headers of an ARI request."""
        return {"Authorization": aiohttp.encode_basic_auth(self.ari_user, self.ari_password)}

    def settings(self) -> Mapping[str, object]:
        """The values that replace ``@name@`` in the configuration files."""
        return {
            "name": self.name,
            "release_modules": "load = res_websocket_client.so",
            "home": self.home,
            "sip_port": self.sip_port,
            "http_port": self.http_port,
            "rtp_start": self.rtp_ports[0],
            "rtp_end": self.rtp_ports[1],
            "ari_user": self.ari_user,
            "ari_password": self.ari_password,
        }

    def environment(self) -> Mapping[str, str]:
        """Environment variables added to those of this process."""
        return {}

    async def start(self) -> None:
        """Write the configuration, start, and return when fully booted."""
        if self.running:
            raise LabError(f"{self.name} is running already")
        self._write()
        with (self.home / "console").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                # With pdeathsig, a killed test run leaves no Asterisk behind. A session of its own keeps Ctrl-C from
                # it: we stop it.
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--propagation", "private"),
                *("sh", str(HERE / "start.sh"), str(self.root), str(self.home), str(self._conf)),
                *(str(folder) for folder in (self.directory, *self.host_folders)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                cwd="/",
                env={**os.environ, **self.environment()},
            )
        try:
            await self._booted()
        except BaseException:
            await self.stop(at_once=True)
            raise

    async def stop(self, *, at_once: bool = False) -> None:
        """End every call and stop; kill it if it does not stop. Does nothing if it is not running."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            # it may have exited this very moment
            if process.returncode is None:
                await self.kill()

    async def kill(self, signum: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal. After SIGKILL, wait until the process is dead; otherwise return at once."""
        if self._process is None or self._process.returncode is not None:
            raise LabError(f"{self.name} is not running")
        self._process.send_signal(signum)
        if signum == signal.SIGKILL:
            async with asyncio.timeout(KILL_SECONDS):
                await self._process.wait()

    async def cli(self, command: str) -> str:
        """The output of a command on Asterisk's command line."""
        inside = ["nsenter", f"--target={self.pid}", "--mount"]
        program = sbin("asterisk") or "asterisk"
        if self.root != Path("/"):
            inside += ["--root", "--wdns=/"]
            program = "/usr/sbin/asterisk"
        process = await asyncio.create_subprocess_exec(
            *(*inside, program),
            *("-C", str(self._conf), "-rx", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(CLI_SECONDS):
                out, _ = await process.communicate()
        except TimeoutError:
            raise LabError(
                f"{self.name} did not answer {command!r} within {CLI_SECONDS} s; {self.fate}"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = out.decode(errors="replace")
        if process.returncode:
            raise LabError(f"{self.name} refused {command!r}: {text.strip()[-200:]}")
        return text

    @property
    def _conf(self) -> Path:
        return self.home / "etc" / "asterisk.conf"

    @property
    def _socket(self) -> Path:
        return self.home / "run" / "asterisk.ctl"

    def _write(self) -> None:
        for folder in ("etc", "lib", "run", "log", "cache", "root", "names", "spool/recording"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        settings = {key: str(value) for key, value in self.settings().items()}
        for template in (file for each in self.templates for file in (HERE / "etc" / each).glob("*.conf")):
            filled = re.sub(r"@(\w+)@", lambda found: settings[found[1]], template.read_text("utf-8"))
            _write_secret(self.home / "etc" / template.name, filled)
        for defaulted in DEFAULTED:
            (self.home / "etc" / f"{defaulted}.conf").touch()
        _write_secret(self.ari_password_file, self.ari_password + "\n")
        (self.home / "names/hosts").write_text(
            f"127.0.0.1 localhost {socket.gethostname()} A.ROOT-SERVERS.NET\n"
        )
        (self.home / "names/nsswitch.conf").write_text("hosts: files\n")
        (self.home / "names/resolv.conf").write_text("")
        if self.time_zone is not None:
            zone = resources.files("tzdata") / "zoneinfo" / self.time_zone
            (self.home / "names/localtime").write_bytes(zone.read_bytes())

    async def _booted(self) -> None:
        """Wait until ARI answers; it answers 503 until every module is loaded."""
        try:
            async with (
                aiohttp.ClientSession(headers=self.ari_headers) as session,
            ):
                await until(lambda: self._answers(session), within=BOOT_SECONDS)
        except TimeoutError:
            raise LabError(
                f"{self.name} did not boot within {BOOT_SECONDS} s: {self._last_words()}"
            ) from None

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        if not self.running:
            raise LabError(f"{self.name} did not start: {self._last_words()}")
        try:
            async with session.get(f"{self.ari_url}/ari/asterisk/ping") as response:
                if response.status == 401:
                    raise LabError(f"port {self.http_port} of {self.name} was taken by another program")
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    def _last_words(self) -> str:
        """The last error it logged, or else the last line it wrote anywhere."""
        lines = [
            line.strip()
            for file in (self.home / "console", self.log)
            if file.exists()
            for line in file.read_text(errors="replace").splitlines()
            if line.strip()
        ]
        errors = [line for line in lines if "ERROR[" in line]
        return [*errors[-1:], *lines[-1:], "it said nothing"][0]


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
