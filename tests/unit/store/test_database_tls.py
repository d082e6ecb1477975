"""TLS to PostgreSQL that fails: what is wrong must be reported, as nobody is called meanwhile."""

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccari.errors import StoreError
from ccari.store.connecting import connect
from tests.unit.certificates import certificate

HERE = "127.0.0.1"
#: What a client sends before anything else, and what a server that knows TLS answers.
ASKED_BYTES, YES = 8, b"S"


@contextlib.asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[int]:
    """A server's TLS, and nothing behind it; yields its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    guests: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guests.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            await reader.readexactly(ASKED_BYTES)
            writer.write(YES)
            await writer.start_tls(context)
        writer.close()

    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*filter(None, guests))


@pytest.mark.parametrize(
    ("address", "days", "words"),
    [
        (HERE, -1, "its certificate is refused: certificate has expired"),
        ("10.0.0.1", 10, "its certificate is refused: IP address mismatch"),
    ],
)
async def test_a_refused_certificate_is_reported_as_an_invalid_url(
    tmp_path: Path, address: str, days: int, words: str
) -> None:
    file = certificate(tmp_path, address, days)
    async with serving(file) as port:
        with pytest.raises(StoreError, match=words):
            await connect(f"postgresql://ccari@{HERE}:{port}/ccari?sslmode=verify-full&sslrootcert={file}")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("sslmode=verify-ful", "`sslmode` parameter must be one of: disable"),
        (
            "sslmode=verify-full&sslrootcert=/none/ca.crt",
            "sslrootcert: cannot read /none/ca.crt: No such file",
        ),
        (
            "sslmode=require&sslcert=/none/my.crt&sslkey=/none/my.key",
            "cannot read /none/my.(crt|key): No such file",
        ),
    ],
)
async def test_what_of_tls_is_wrong_in_the_url_is_not_said(asked: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        await connect(f"postgresql://ccari@{HERE}:1/ccari?{asked}")


async def test_whoever_names_no_certificate_is_sent_to_a_file_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the home folder is closed, as after runuser, it was /dev/null/.postgresql/root.crt."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StoreError) as refused:
        await connect(f"postgresql://ccari@{HERE}:1/ccari?sslmode=verify-full")
    assert str(refused.value) == (
        "[database] url: sslmode=verify-ca and verify-full need sslrootcert=FILE, with the certificate of the server's authority"
    )


#: Argument: a home folder, which this user may not look into.
HOMELESS = """
import asyncio, os, sys
import asyncpg
from ccari.store.database import translated
from ccari.store.connecting import connect
async def main():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    os.environ["HOME"] = sys.argv[1]
    with translated():
        await connect("postgresql://ccari@127.0.0.1:1/ccari")
try:
    asyncio.run(main())
except Exception as error:
    print(error)
"""


def test_a_home_that_is_closed_passes_for_a_database_that_is_away(tmp_path: Path) -> None:
    """For example with ProtectHome=yes in the unit, for a user whose home is below /home: the service did not start."""
    home = tmp_path / "home"
    home.mkdir(mode=0)
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS, str(home)], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("the database cannot be reached: Connection refused\n", "")
