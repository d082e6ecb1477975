"""The images, built by buildah from bases that a machine without a registry makes itself.

Their parts are cached: an image is rebuilt only if its files have changed.
"""

import asyncio
import contextlib
import hashlib
import os
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.root import apt_settings, locked, mirror, output

CHECKOUT = Path(__file__).parents[2]
BASES = Path(__file__).parent / "bases"
BUILD_SECONDS = 1200
DEBIAN = "docker.io/library/debian:trixie-slim"
POSTGRES = "docker.io/library/postgres:17-trixie"
PROMETHEUS = "docker.io/prom/prometheus:v3.5.0"
CCARI, ASTERISK = "docker.io/library/ccari:local", "docker.io/library/ccari-asterisk:local"
SYSTEMD = "docker.io/library/ccari-systemd:local"
#: Identifies the base in the cache; the leading number counts changes that the rest does not show.
RECIPE = "3 trixie minbase ca-certificates"
CERTIFICATES = Path("/usr/local/share/ca-certificates")


#: What the store mounts is unmounted when the command ends.
_APART = ("unshare", "--mount", "--propagation", "private")


@dataclass(frozen=True)
class Images:
    """Where they are kept: ``storage`` is a read-only image store for running containers."""

    storage: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment that points buildah and podman to it."""
        cache = self.storage.parent
        return {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(cache / "storage.conf"),
            "CONTAINERS_CONF_OVERRIDE": str(cache / "containers.conf"),
            "TMPDIR": str(cache),
        }

    def configure(self) -> None:
        cache = self.storage.parent
        (cache / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.storage}"\nrunroot = "{cache / "run"}"\n'
        )
        (cache / "containers.conf").write_text(f"[containers]\n{ulimits()}\n")


def ulimits() -> str:
    """A line of containers.conf with our own limits, which not every root may raise."""
    limits = {
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "nproc": resource.getrlimit(resource.RLIMIT_NPROC)[1],
    }
    told = ", ".join(
        f'"{name}={most}:{most}"' for name, most in limits.items() if most != resource.RLIM_INFINITY
    )
    return f"default_ulimits = [{told}]"


async def ensure_images() -> Images:
    """Every image that compose.yaml names, built from the checkout as it is now."""
    if os.geteuid() != 0:
        raise LabError("the containers need root")
    missing = [
        each for each in ("buildah", "podman", "docker-compose", "mmdebstrap") if not shutil.which(each)
    ]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}: make containers")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ccari" / "containers"
    cache.mkdir(parents=True, exist_ok=True)
    images = Images(cache / "storage")
    async with locked(cache / "build.lock"):
        images.configure()
        await _base(images, cache)
        await _build(images, POSTGRES, BASES / "postgres.Dockerfile", BASES)
        await _build(images, PROMETHEUS, BASES / "prometheus.Dockerfile", BASES)
        await _build(images, CCARI, CHECKOUT / "docker/Dockerfile", CHECKOUT)
        await _build(images, SYSTEMD, BASES / "systemd.Dockerfile", BASES)
        await _build(images, ASTERISK, CHECKOUT / "docker/asterisk/Dockerfile", CHECKOUT)
    return images


async def _base(images: Images, cache: Path) -> None:
    """Debian's image, which cannot be downloaded here, made from Debian's packages and named as in the Dockerfiles."""
    address, keyring = await mirror()
    settings = [f"{each};" for each in await apt_settings()]
    # as in Docker's own image: the archive first, then the security updates
    archives = [(address, "trixie trixie-updates"), (await _security(address), "trixie-security")]
    recipe = hashlib.sha256(
        "\n".join((RECIPE, address, *settings, *map(_content, _certificates()))).encode()
    ).hexdigest()[:12]
    label = f"{DEBIAN}\n{recipe}"
    marker = cache / "base"
    if marker.exists() and marker.read_text() == label and await _has(images, DEBIAN):
        return
    began = time.monotonic()
    tar = cache / f"base-{os.getpid()}.tar"
    sources = "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n"
        for uri, suites in archives
    )
    try:
        await output(
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=ca-certificates",
            *(f"--aptopt={each}" for each in settings),
            # as in Docker's own image
            *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "info", "locale")),
            "--customize-hook=rm -f $1/etc/apt/sources.list",
            f"--customize-hook=printf '{sources.replace(chr(10), chr(92) + 'n')}' >$1/etc/apt/sources.list.d/debian.sources",
            *_trust(),
            "trixie", str(tar), f"deb [signed-by={keyring}] {address} trixie main", seconds=BUILD_SECONDS,
        )  # fmt: skip
        await output(*_APART, "podman", "import", "--quiet", "--change", 'CMD ["bash"]', str(tar), DEBIAN,
                     seconds=BUILD_SECONDS, environment=images.environment)  # fmt: skip
    finally:
        tar.unlink(missing_ok=True)
    marker.write_text(label)
    _say(f"made {DEBIAN}", began)


async def _security(address: str) -> str:
    """Where this machine gets security updates from."""
    told = await output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    named = [each for each in told.splitlines() if each.rstrip("/").endswith("-security")]
    return [*named, f"{address.rstrip('/')}-security"][0]


def _certificates() -> list[Path]:
    return sorted(CERTIFICATES.glob("*.crt"))


def _content(path: Path) -> str:
    return path.read_text("ascii")


def _trust() -> list[str]:
    """Make the base trust the certificates that this machine trusts: downloads may go through a proxy of its own."""
    if not _certificates():
        return []
    return [
        *(f"--customize-hook=copy-in {each} {CERTIFICATES}" for each in _certificates()),
        "--customize-hook=chroot $1 update-ca-certificates",
        "--customize-hook=printf '[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n' >$1/etc/pip.conf",
    ]


async def _build(images: Images, name: str, file: Path, context: Path) -> None:
    began = time.monotonic()
    ignored = file.with_name(f"{file.name}.dockerignore")
    superseded = await _id(images, name)
    await output(
        *_APART, "buildah", "bud", "--quiet", "--layers", "--pull=never", "--isolation=chroot", "--network=host",
        "--format=docker", *(("--ignorefile", str(ignored)) if ignored.exists() else ()),
        "--tag", name, "--file", str(file), str(context),
        seconds=BUILD_SECONDS, environment=images.environment,
    )  # fmt: skip
    if superseded not in {"", await _id(images, name)}:
        with contextlib.suppress(LabError):
            await output(*_APART, "buildah", "rmi", superseded, environment=images.environment)
    _say(f"built {name}", began)


async def _id(images: Images, name: str) -> str:
    """An image's id, or nothing if there is none."""
    try:
        command = (*_APART, "buildah", "images", "--quiet", "--no-trunc", name)
        return (await output(*command, environment=images.environment)).strip()
    except LabError:
        return ""


async def _has(images: Images, name: str) -> bool:
    try:
        await output(*_APART, "podman", "image", "exists", name, environment=images.environment)
    except LabError:
        return False
    return True


def _say(what: str, began: float) -> None:
    print(f"containers: {what} in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    asyncio.run(ensure_images())
