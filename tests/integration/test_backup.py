"""What docs/operations.md says of backup and restore, done."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest

from ccari.store.embedded import _shipped_binaries
from tests.integration.databases import new_database
from tests.integration.service import Service
from tests.integration.test_outbound import through
from tests.lab import Lab, callees

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def postgresql(program: str, *arguments: str) -> None:
    """One of the server's own programs."""
    command = [str(_shipped_binaries() / program), *arguments]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


async def run(service: Service, *arguments: str) -> str:
    done = await service.ccari(*arguments)
    assert done.code == 0, done.err
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
    await run(service, "keys", "backup", "--to", str(tmp_path / "keys.age"), "--passphrase-file", str(phrase))
    await postgresql("pg_dump", "--format=custom", f"--file={tmp_path / 'ccari.dump'}", dsn)
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
    assert "everything fits" in await run(other, "evidence", "verify", str(tmp_path / "call.zip"))

    # with another secret in its place nothing is taken for unbarred
    shutil.rmtree(home / "keys" / "acme")
    refused = await other.ccari("gate", barred, "--campaign", "renewals")
    assert refused.code != 0
    assert "keys" in refused.err
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DROP DATABASE restored WITH (FORCE)")
    finally:
        await connection.close()
