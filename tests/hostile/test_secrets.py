"""Secrets of a running service: in no process list, child environment, log, repr or core file."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex

import pytest

from ccari.calls.transport import Credentials
from ccari.config import Settings
from ccari.keyring.secrets import SecretStore
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.opened import Store
from tests.integration.service import Service, command
from tests.lab.ports import free_port
from tests.unit.store.made import POLICY, new_secret

#: Unique to this run: all processes of the machine are searched for them.
PASSWORD, DATABASE_PASSWORD = (f"{each}-{token_hex(12)}" for each in ("ari", "database"))
SECONDS = 60


def secrets_in(folder: Path) -> set[str]:
    """The contents of the key files that only the service may know: each as written, and as bytes in hex."""
    found: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file() and (path.suffix in {".key", ".identity"}):
            for line in path.read_text("utf-8", "replace").splitlines():
                found.update(word for word in re.findall(r"[A-Za-z0-9+/=_-]{32,}", line))
    return {each for each in found if "PRIVATE" not in each}


def processes() -> Iterator[tuple[int, str, bytes]]:
    """The arguments and the environment of each process, as far as we may read them."""
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            for what in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    yield int(each.name), what, (each / what).read_bytes()


def at_large(secrets: set[str], besides: set[int]) -> list[tuple[int, str]]:
    return [
        (pid, what)
        for pid, what, content in processes()
        if pid not in besides and any(each.encode() in content for each in secrets)
    ]


def undumped(pids: Sequence[int]) -> set[bool]:
    """Whether those that still exist would leave no core: PostgreSQL's workers come and go."""
    found = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            limits = Path(f"/proc/{pid}/limits").read_text()
            found.add(re.search(r"Max core file size +0 +0 ", limits) is not None)
    return found


async def test_a_secret_is_in_a_process_list_or_the_log_or_what_a_service_starts(
    reachable: Path, tmp_path: Path
) -> None:
    home = reachable / "secrets"
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    # the embedded PostgreSQL, which outlives the process that started it, and keeps its environment
    service = Service(
        {
            "CCARI_DATA_DIR": str(home), "CCARI_ASTERISK__PASSWORD": PASSWORD,
            "CCARI_ASTERISK__URL": f"http://127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
            "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}", "CCARI_AGI__LISTEN": "off",
            "CCARI_LOG__LEVEL": "debug",
        },
        tmp_path / "log", tmp_path / "err", afresh=True,
    )  # fmt: skip
    for arguments in (("policy", "apply", str(policy)), ("keys", "init"), ("sounds", "build")):
        done = await service.succeeds(*arguments)
        assert PASSWORD not in done.out + done.err
    (token,) = (await service.ccari("token", "create", "--role", "ops")).out.split()
    await service.spawn()
    try:
        await service.logged("asterisk_away")
        assert service.process is not None
        secrets = {PASSWORD, token, *secrets_in(home / "keys")}
        assert len(secrets) > 3
        postgres = [
            pid for pid, what, content in processes() if what == "cmdline" and str(home).encode() in content
        ]
        assert postgres, "no process that it started was looked at"
        # only root can read its initial environment: the process is not dumpable
        assert at_large(secrets, {service.process.pid}) == []
        assert [what for pid, what in at_large(secrets, set()) if pid == service.process.pid] in (
            [],
            ["environ"],
        )
        assert undumped([service.process.pid, *postgres]) == {True}
        assert await service.stop() == 0
    finally:
        await service.stop(signal.SIGKILL)
    for text in (
        service.log.read_text(),
        service.errors.read_text(),
        (home / "postgresql/server.log").read_text(),
    ):
        assert not [each for each in secrets if each in text]


def test_a_command_forgets_its_passwords_before_it_has_read_them_or_not_at_all(tmp_path: Path) -> None:
    told = """
import os, typer
from ccari.cli.context import State
state = State(None)
first, again = state.settings(), state.settings()
assert first is again
print(first.asterisk.secret(), first.database.url.get_secret_value(), sorted(os.environ))
"""
    environment = os.environ | {
        "CCARI_ASTERISK__PASSWORD": PASSWORD,
        "ccari_database__url": f"postgresql://u:{DATABASE_PASSWORD}@h/d",
        "CCARI_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", told],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    password, url, left = done.stdout.split(maxsplit=2)
    assert (password, url) == (PASSWORD, f"postgresql://u:{DATABASE_PASSWORD}@h/d")
    assert "PASSWORD" not in left
    assert "database__url" not in left
    assert "CCARI_DATA_DIR" in left


_DIES = """
import os, resource, sys
if "whatever the limit" in sys.argv:
    resource.setrlimit = lambda *_: None
if "kept" in sys.argv:
    from ccari.cli import secrecy
    secrecy.keep()
os.abort()
"""
_UNLIMITED = ("sh", "-c", 'ulimit -c unlimited; exec "$0" "$@"')


def dumps(folder: Path, *arguments: str) -> bool:
    """Whether a process that aborts leaves a core if its own limit allows it."""
    folder.mkdir()
    process = subprocess.Popen([*_UNLIMITED, sys.executable, "-c", _DIES, *arguments], cwd=folder)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status) or any(folder.iterdir())


def test_a_crash_leaves_a_core_with_the_secrets_in_it(tmp_path: Path) -> None:
    assert not dumps(tmp_path / "limited", "kept")
    # as if a collector received cores by a pipe, which ignores the limit
    assert not dumps(tmp_path / "not dumpable", "kept", "whatever the limit")
    if not dumps(tmp_path / "bare"):
        pytest.skip("this machine keeps no cores of anybody, so that their absence proves little")


def test_what_starts_ccari_starts_it_otherwise(tmp_path: Path) -> None:
    """Every command, not only the service: they hold keys too."""
    look = "import resource; from ccari.cli import main; print(resource.getrlimit(resource.RLIMIT_CORE))"
    run = f"import sys; sys.argv = ['ccari', '--version']\ntry:\n    from ccari.cli.main import main; main()\nfinally:\n    {look}"
    done = subprocess.run(
        [*_UNLIMITED, sys.executable, "-c", run], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.stdout.splitlines()[-1] == "(0, 0)"
    assert command("serve")[-2:] == ("ccari", "serve")


async def test_a_repr_shows_a_secret(store: Store, tmp_path: Path) -> None:
    made = SecretStore(tmp_path / "keys")
    new_secret(made, "acme")
    SigningKeys(tmp_path / "keys").create()
    settings = Settings.model_validate(
        {"asterisk": {"password": PASSWORD}, "database": {"url": f"postgresql://u:{DATABASE_PASSWORD}@h/d"}}
    )
    with_password = Store(f"postgresql://u:{DATABASE_PASSWORD}@h/d", store.database)
    shown = [settings, settings.asterisk, settings.database, with_password, Credentials("http://x", "u", PASSWORD, "ccari"), made,
             *made.keys("acme"), SigningKeys(tmp_path / "keys").newest()]  # fmt: skip
    secrets = {PASSWORD, DATABASE_PASSWORD, *secrets_in(tmp_path / "keys")}
    assert len(secrets) > 3
    for each in shown:
        for text in (repr(each), str(each), f"{each!r:.2000}"):
            assert not [secret for secret in secrets if secret in text], type(each)
