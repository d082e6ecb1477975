"""The demo as ``make demo`` runs it, in a laboratory of its own, with the real Polish prompts."""

import asyncio
import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from ccari.config import Settings
from ccari.demo.run import _explain_trying
from ccari.demo.world import WorldSettings
from tests.folders import open_folder
from tests.lab.pbx import CHECKOUT

DEMO_SECONDS = 420.0
CALLS = 9
#: The environment outside the laboratory.
ELSEWHERE = {name: value for name, value in os.environ.items() if not name.startswith("CCARI_")}


@pytest.fixture
def demo_folder() -> Iterator[Path]:
    """A folder that the database server's own user can reach; pytest's folders are closed to it."""
    with open_folder("demo") as made:
        yield made


async def test_every_call_of_the_demo_ends_as_it_should(demo_folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.lab", "run", "--folder", str(demo_folder), "--",
        sys.executable, "-m", "ccari", "demo",
        cwd=CHECKOUT, env={**os.environ, "CCARI_DATA_DIR": str(demo_folder)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(DEMO_SECONDS):
        output, _ = await process.communicate()
    shown = output.decode()
    assert process.returncode == 0, shown
    assert shown.count("as it should") == CALLS
    assert "legal_basis        consent" in shown
    assert "legal_basis        legitimate_interest" in shown


async def test_without_the_laboratory_the_demo_says_what_to_do() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ccari", "demo", cwd="/",
        env=ELSEWHERE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEMO_SECONDS):
        output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    assert errors.decode().splitlines() == [
        "ccari: the demo needs two Asterisks of its own: run make demo in a checkout of ccari"
    ]


async def test_a_port_that_is_taken_ends_the_demo_halfway_or_without_a_word_of_what_to_do(
    demo_folder: Path,
) -> None:
    """Somebody tries the demo on a machine on which a ccari already runs."""
    (secret := demo_folder / "password").write_text("x")
    far_side = {
        "CCARI_LAB_WORLD_URL": "http://127.0.0.1:1", "CCARI_LAB_WORLD_USER": "lab",
        "CCARI_LAB_WORLD_PASSWORD_FILE": str(secret), "CCARI_LAB_PBX_SIP": "127.0.0.1:5060",
        "CCARI_LAB_PHONE_PASSWORD": "x",
    }  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ccari", "demo", cwd="/",
            env={
                **ELSEWHERE, "CCARI_DATA_DIR": str(demo_folder), "CCARI_HTTP__LISTEN": f"127.0.0.1:{port}", **far_side,
            },
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(DEMO_SECONDS):
            output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    assert errors.decode() == (
        f"ccari: the demo's service cannot listen on 127.0.0.1:{port}: Address already in use: give it another port, for "
        "example CCARI_HTTP__LISTEN=127.0.0.1:8091 make demo\n"
    )


async def test_the_commands_beside_the_demo_are_not_found_or_broken_over_lines(demo_folder: Path) -> None:
    """On a fresh machine, ccari is not on the path but in the checkout's environment."""
    shown = io.StringIO()
    there = WorldSettings("http://127.0.0.1:1", "lab", "x", "127.0.0.1:5060", "x")
    _explain_trying(there, Settings(data_dir=demo_folder), "ccari_token", Console(file=shown, width=40))
    (told,) = (line for line in shown.getvalue().splitlines() if line.endswith("calls list"))
    process = await asyncio.create_subprocess_shell(
        told.replace("calls list", "requests spooled"), cwd="/", env={"PATH": ""},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(DEMO_SECONDS):
        output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"no rights wait on this node\n")
