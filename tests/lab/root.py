"""A real Asterisk to run: the machine's own, or a Debian release's in a root that is built once and cached."""

import asyncio
import fcntl
import gzip
import hashlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

PACKAGES = ("asterisk", "base-files", "libc-bin", "netbase")
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
)

BUILD_SECONDS = 600
QUERY_SECONDS = 30


@dataclass(frozen=True)
class Release:
    """A Debian release to take Asterisk from, and the versions that the lab can use."""

    suite: str
    oldest: tuple[int, ...]
    before: tuple[int, ...]
    wanted: str

    @property
    def recipe(self) -> str:
        """The key of the cache; the leading number counts changes that the rest does not show."""
        return f"1 {self.suite} {' '.join(PACKAGES)} {MERGED_USR}"

    def serves(self, version: tuple[int, ...]) -> bool:
        return self.oldest <= version < self.before


#: Older ones let a read-only ARI user write over REST-over-WebSocket (GHSA-wcvv-g26m-wx5c).
CURRENT = Release("forky", (22, 10, 1), (sys.maxsize,), "22.10.1 or newer")
#: What FreePBX 16 and VICIdial run on; the last releases that have Macro are like it.
OLD = Release("bullseye", (16,), (17,), "16")


async def ensure_root(release: Release = CURRENT) -> Path:
    """The root to run Asterisk in: ``/`` if the machine has a suitable one, else the cached root, which is built if
    necessary.
    """
    if os.geteuid() != 0:
        raise LabError(
            "the lab needs root: Asterisk runs in a mount namespace and a root of its own; try sudo"
        )
    if release.serves(await _machine_version()):
        return Path("/")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ccari" / "lab"
    cache.mkdir(parents=True, exist_ok=True)
    async with locked(cache / "build.lock"):
        return _cached(cache, release) or await _build(cache, release)


def sbin(name: str) -> str | None:
    """The path of a program on this machine, even if sbin is not on the PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


async def _machine_version() -> tuple[int, ...]:
    asterisk = sbin("asterisk")
    if asterisk is None:
        return ()
    found = re.search(r"Asterisk (\d+)\.(\d+)\.(\d+)", await output(asterisk, "-V"))
    return tuple(int(part) for part in found.groups()) if found else ()


def _recipe_hash(release: Release) -> str:
    return hashlib.sha256(release.recipe.encode()).hexdigest()[:12]


def _cached(cache: Path, release: Release) -> Path | None:
    # The version is known only after the build, so a root is found by the hash of its recipe.
    return max(cache.glob(f"asterisk-*-{_recipe_hash(release)}"), default=None)


async def _build(cache: Path, release: Release) -> Path:
    began = time.monotonic()
    if shutil.which("mmdebstrap") is None:
        raise LabError(
            f"the lab needs Asterisk {release.wanted}, or mmdebstrap to fetch one: apt-get install mmdebstrap"
        )
    _remove_left_overs(cache)
    building = cache / f"building-{os.getpid()}"
    try:
        await _mmdebstrap(building, release.suite)
        version = _package_version(building, release.suite)
        if not release.serves(tuple(int(part) for part in re.findall(r"\d+", version.partition(":")[2])[:3])):
            raise LabError(f"Debian {release.suite} has Asterisk {version}, the lab needs {release.wanted}")
        _settle(building)
        root = cache / f"asterisk-{version.replace(':', '%3a')}-{_recipe_hash(release)}"
        building.rename(root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    print(
        f"lab: built a Debian {release.suite} root with Asterisk {version} in {root}"
        f" in {time.monotonic() - began:.1f} s",
        file=sys.stderr,
        flush=True,
    )
    return root


def _remove_left_overs(cache: Path) -> None:
    """Remove what killed builds left behind; no other build runs while we hold the lock."""
    for left_over in cache.glob("building-*"):
        shutil.rmtree(left_over, ignore_errors=True)


async def _mmdebstrap(target: Path, suite: str) -> None:
    address, keyring = await mirror()
    command = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=extract",
        f"--hook-dir={MERGED_USR}",
        f"--include={','.join(PACKAGES)}",
        *(f"--aptopt={setting}" for setting in await apt_settings()),
        suite,
        str(target),
        f"deb [signed-by={keyring}] {address} {suite} main",
    ]
    await output(*command, seconds=BUILD_SECONDS)


async def mirror() -> tuple[str, str]:
    """The machine's Debian mirror and its keyring, read by apt itself from either kind of sources file."""
    fields = "$(REPO_URI) $(COMPONENT) $(SIGNED_BY)"
    targets = await output("apt-get", "indextargets", "--format", fields, "Created-By: Packages")
    for line in targets.splitlines():
        uri, component, signed_by = (*line.split(), "", "")[:3]
        if component == "main" and not uri.rstrip("/").endswith("-security") and not uri.startswith("file:"):
            return uri, signed_by if signed_by.startswith("/") else _keyring()
    raise LabError(
        "apt on this machine has no Debian mirror to fetch Asterisk from; see /etc/apt/sources.list.d"
    )


def _keyring() -> str:
    for keyring in KEYRINGS:
        if Path(keyring).exists():
            return keyring
    raise LabError("no Debian archive keyring here: apt-get install debian-archive-keyring")


async def apt_settings() -> list[str]:
    """The machine's apt settings that its mirror needs."""
    wanted = re.compile(
        r'^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy(::\S+)?|https?::Verify-Peer) ".+";$'
    )
    dump = await output("apt-config", "dump")
    return [line.removesuffix(";") for line in dump.splitlines() if wanted.match(line)]


def _package_version(root: Path, suite: str) -> str:
    """The Debian version, from the changelog: extracted packages are in no dpkg database."""
    changelog = root / "usr/share/doc/asterisk/changelog.Debian.gz"
    try:
        with gzip.open(changelog, "rt", encoding="utf-8") as lines:
            found = re.match(r"asterisk \((\S+)\)", lines.readline())
    except OSError as error:
        raise LabError(
            f"the package asterisk of Debian {suite} has no changelog to tell its version"
        ) from error
    if found is None:
        raise LabError(f"the changelog of the package asterisk of Debian {suite} cannot be read")
    return found[1]


def _settle(root: Path) -> None:
    """Create the three files that start.sh mounts the lab's own over: a bind mount needs a target."""
    for name in ("hosts", "nsswitch.conf", "resolv.conf"):
        file = root / "etc" / name
        file.unlink(missing_ok=True)
        file.touch()
    shutil.rmtree(root / "etc/asterisk", ignore_errors=True)


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock between processes; wait in a thread while another one builds."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("lab: waiting for another process that builds the root", file=sys.stderr, flush=True)
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


async def output(
    *command: str, seconds: float = QUERY_SECONDS, environment: Mapping[str, str] = os.environ
) -> str:
    """What a program prints; its last line of complaint in a LabError when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={**environment, "LC_ALL": "C.UTF-8"},
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        raise LabError(f"{command[0]} did not end within {seconds} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        complaint = [line for line in err.decode(errors="replace").splitlines() if line.strip()] or [
            "no message"
        ]
        raise LabError(f"{command[0]} failed: {complaint[-1].strip()}")
    return out.decode(errors="replace")
