"""The wheel, installed without a checkout: it contains everything that the service needs, and runs as systemd runs it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import open_folder
from tests.lab.ports import free_port

CHECKOUT = Path(__file__).parents[2]
BUILD_SECONDS = 120.0
COMMAND_SECONDS = 90.0
START_SECONDS = 60.0
STOP_SECONDS = 60.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The database server's own user must be able to reach it, and pytest's folders are closed to it."""
    with open_folder("wheel") as made:
        yield made


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, CHECKOUT],
                   check=True, timeout=BUILD_SECONDS)  # fmt: skip
    (built,) = folder.glob("ccari-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    """A virtual environment with the wheel in it, together with the packages that these tests run with."""
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=BUILD_SECONDS)
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", venv / "bin/python",
                    "install", "--quiet", "--no-deps", "--no-index", wheel],
                   check=True, timeout=BUILD_SECONDS)  # fmt: skip
    packages = sysconfig.get_path("purelib", vars={"base": str(venv)})
    # no .pth is read of a folder that is named like this: the checkout of an editable ccari stays out
    Path(packages, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv


@pytest.fixture
def environment(folder: Path, installed: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CCARI_", "PYTHON"))}
    return {
        **ours,
        "CCARI_DATA_DIR": str(folder / "data"),
        "CCARI_ASTERISK__PASSWORD": "of nobody",
        # without an Asterisk
        "CCARI_ASTERISK__URL": f"http://127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
        "CCARI_AGI__LISTEN": "off",
        "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
    }


def tracked(*folders: str) -> set[str]:
    """Files of the checkout that are part of it, including those that nobody has added yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders],
        check=True, capture_output=True, cwd=CHECKOUT, timeout=COMMAND_SECONDS,
    ).stdout.decode()  # fmt: skip
    return {each for each in listed.split("\0") if each and (CHECKOUT / each).exists()}


def ran(environment: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, cwd="/", env=environment, timeout=COMMAND_SECONDS
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_file_of_the_package_a_sound_or_a_dialplan_is_not_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    (data,) = {name.split("/")[0] for name in names if ".data/" in name}
    shared = f"{data}/data/share/ccari/"
    assert tracked("ccari") - names == set()
    assert {f"{shared}{each}" for each in tracked("sounds", "dialplan")} - names == set()
    assert f"{shared}ccari.service" in names
    assert not any(name.startswith(("tests/", "docker/", "docs/")) for name in names)


def test_an_installed_ccari_misses_what_lay_in_the_checkout(
    installed: Path, environment: dict[str, str]
) -> None:
    ccari = installed / "bin" / "ccari"
    where = ran(environment, installed / "bin" / "python", "-c", "import ccari; print(ccari.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    assert "gate" in ran(environment, ccari, "--help")
    share = installed / "share" / "ccari"
    listed = json.loads(ran(environment, ccari, "sounds", "list", "--dir", str(share / "sounds"), "--json"))
    assert len(listed) > 100
    assert [each for each in listed if each["fault"] is not None] == []
    assert (share / "dialplan" / "extensions_ccari.conf").is_file()


async def test_an_installed_ccari_makes_no_database_or_does_not_tell_systemd_that_it_is_up(
    folder: Path, installed: Path, environment: dict[str, str]
) -> None:
    ccari = installed / "bin" / "ccari"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.setblocking(False)
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                ccari, "serve", env={**environment, "NOTIFY_SOCKET": str(folder / "notify")}, cwd="/", stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            said = await told(systemd, START_SECONDS)
            assert "READY=1" in said, (folder / "log").read_text()
            # it answers when it says so
            host, _, port = environment["CCARI_HTTP__LISTEN"].rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            rows = json.loads(ran(environment, ccari, "db", "status", "--json"))
            assert {each["applied"] for each in rows} == {"yes"}
            assert len(rows) == len(list((CHECKOUT / "ccari/store/migrations").glob("*.sql")))
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                code = await process.wait()
        assert code == 0, (folder / "log").read_text()
        assert "STOPPING=1" in await told(systemd, STOP_SECONDS, last=True)


async def told(systemd: socket.socket, within: float, *, last: bool = False) -> list[str]:
    """The next message, or the last one that was sent."""
    word = b""
    async with asyncio.timeout(within):
        while True:
            word = await asyncio.get_running_loop().sock_recv(systemd, 4096)
            if not last or b"STOPPING" in word:
                return word.decode().splitlines()
