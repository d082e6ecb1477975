"""A suppression secret that is lost, or replaced by another: its bars would bar nobody, and nobody would notice."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from ccari.errors import ConfigError
from ccari.keyring.secrets import Holder, SecretStore
from ccari.ports.keying import Sought
from ccari.store.opened import Store
from tests.integration.service import Service
from tests.lab.ports import free_port
from tests.unit.recordings.disks import mounted
from tests.unit.store import made
from tests.unit.store.commands import refused
from tests.unit.store.made import new_secret
from tests.unit.store.test_key_commands import without_database

BARRED = made.NUMBER.e164
ACME = Holder("controller", "acme")
HEEDED = (
    made.POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "')
    + """
[[registers]]
id = "robinson"
name = "Lista Robinsonów"
"""
)


@pytest.fixture
async def ccari(dsn: str, store: Store, tmp_path: Path) -> Service:
    """The commands on the test's database, with one bar under version 1, and version 2 to write with."""
    await store.policies.apply(made.POLICY, "test")
    service = without_database(
        {"CCARI_DATABASE__URL": dsn, "CCARI_ASTERISK__PASSWORD": "of no Asterisk"}, tmp_path
    )
    for words in (("keys", "init"), ("suppress", "add", BARRED), ("keys", "rotate")):
        done = await service.ccari(*words)
        assert done.code == 0, done.err
    return service


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def another(path: Path) -> None:
    path.write_text("ab" * 32 + "\n")


@pytest.mark.parametrize("lose", [Path.unlink, another])
async def test_a_barred_number_can_be_called_when_an_older_secret_is_lost_or_another(
    ccari: Service, keys: Path, lose: object
) -> None:
    lose(keys / "acme/suppression-1.key")  # type: ignore[operator]
    how = "is missing" if lose is Path.unlink else "is not the right one"
    for words in (
        ("suppress", "check", BARRED), ("gate", BARRED, "--campaign", "renewals"), ("suppress", "add", "+48600100009"),
        ("keys", "init"), ("keys", "rotate"), ("serve",),
    ):  # fmt: skip
        refused(await ccari.ccari(*words), f"{keys}/acme {how}", "restore the keys from the backup")
    doctor = await ccari.ccari("doctor")
    assert how in doctor.out


def loop(path: Path) -> None:
    """A folder that nobody can read, not even root."""
    shutil.rmtree(path.parent)
    path.parent.symlink_to(path.parent)


@pytest.mark.parametrize("lose", [Path.unlink, another, loop], ids=["lost", "another", "unreadable"])
async def test_one_controllers_lost_secret_keeps_the_calls_of_all_from_being_made(
    ccari: Service, keys: Path, store: Store, lose: object
) -> None:
    """The service did not start, though a running one goes on for the others."""
    await store.policies.apply(made.POLICY + made.OTHER, "test")
    assert (await ccari.ccari("keys", "init")).code == 0
    done = await ccari.ccari("token", "create", "--role", "dialer", "--json")
    assert done.code == 0, done.err
    token = json.loads(done.out)["token"]
    lose(keys / "acme/suppression-1.key")  # type: ignore[operator]
    where = f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"
    nobody = f"http://127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"
    ccari.environment = {
        **ccari.environment, "CCARI_HTTP__LISTEN": where, "CCARI_AGI__LISTEN": "off", "CCARI_ASTERISK__URL": nobody,
    }  # fmt: skip
    await ccari.spawn()
    try:
        await ccari.logged("service_started")
        told = {}
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {token}"}) as session:
            for campaign in ("renewals", "umfrage"):
                asked = {"number": BARRED, "campaign": campaign}
                async with session.post(f"http://{where}/v1/gate", json=asked) as answer:
                    told[campaign] = answer.status
    finally:
        assert await ccari.stop() == 0
    assert told["renewals"] >= HTTPStatus.INTERNAL_SERVER_ERROR
    assert told["umfrage"] == HTTPStatus.OK
    unfit = [
        line for line in ccari.lines() if line["event"] == "gate_unfit" and f"{keys}/acme" in line["reason"]
    ]
    assert [line["campaign"] for line in unfit] == ["renewals"]


async def test_calls_expire_that_an_open_request_would_reach_under_a_secret_whose_folder_is_gone(
    ccari: Service, keys: Path, store: Store
) -> None:
    """Nobody knew of a holder without a folder, and the requests of its controller were thought to reach all."""
    shutil.rmtree(keys / "acme")
    secrets = await store.key_versions.vouch(SecretStore(keys))
    (why,) = (await store.key_versions.extend(secrets)).items()
    assert why[0] == "acme"
    assert "restore the keys from the backup" in why[1]


async def test_a_new_secret_is_made_beside_bars_that_it_does_not_find(ccari: Service, keys: Path) -> None:
    shutil.rmtree(keys)
    refused(await ccari.ccari("keys", "init"), "is missing", "restore the keys from the backup")
    assert not await asyncio.to_thread(keys.exists)
    new_secret(SecretStore(keys), "acme")
    refused(await ccari.ccari("suppress", "check", BARRED), "restore the keys from the backup")


async def test_a_secret_that_nothing_hangs_on_is_missed_for_ever(
    ccari: Service, keys: Path, store: Store
) -> None:
    assert (await ccari.ccari("suppress", "remove", BARRED, "--why", "a test")).code == 0
    shutil.rmtree(keys)
    done = await ccari.ccari("keys", "init")
    assert done.code == 0, done.err
    assert (await ccari.ccari("suppress", "add", BARRED)).code == 0
    assert (await ccari.ccari("suppress", "check", BARRED)).code == 1
    (keys / "acme/suppression-1.key").unlink()
    refused(await ccari.ccari("suppress", "check", BARRED), "version 1", "is missing")


async def test_a_secret_that_a_person_has_retired_is_missed(ccari: Service) -> None:
    done = await ccari.ccari("keys", "retire", "--version", "1", "--yes")
    assert done.code == 0, done.err
    assert (await ccari.ccari("suppress", "check", BARRED)).code == 0


async def test_a_running_service_goes_on_without_a_secret_that_it_had(
    ccari: Service, keys: Path, store: Store
) -> None:
    running = await store.key_versions.vouch(SecretStore(keys))
    new_secret(SecretStore(keys), "acme")
    assert len(running.digests("acme", made.NUMBER).all) == 3
    # one that has come since it began
    newest = keys / "acme/suppression-3.key"
    newest.rename(keys / "kept")
    with pytest.raises(ConfigError, match="version 3 of the suppression secret of 'acme'"):
        running.digests("acme", made.NUMBER)
    (keys / "kept").rename(newest)
    assert len(running.digests("acme", made.NUMBER).all) == 3
    (keys / "acme/suppression-1.key").unlink()
    with pytest.raises(ConfigError, match=r"version 1 of the suppression secret of 'acme' in .* is missing"):
        running.digests("acme", made.NUMBER)


async def test_bars_of_before_the_secrets_were_known_are_lost_with_theirs(
    ccari: Service, keys: Path, store: Store
) -> None:
    """As the migration leaves them: something depends on the version, and nobody recorded which secret it was."""
    await store.database.rows("UPDATE key_checks SET key_check = NULL")
    await store.key_versions.vouch(SecretStore(keys), learn=False)
    unknown = "SELECT key_version FROM key_checks WHERE key_check IS NULL"
    assert len(await store.database.rows(unknown)) == 2
    (keys / "acme/suppression-1.key").rename(keys / "kept")
    with pytest.raises(ConfigError, match="is missing"):
        (await store.key_versions.vouch(SecretStore(keys))).keys("acme")
    (keys / "kept").rename(keys / "acme/suppression-1.key")
    (await store.key_versions.vouch(SecretStore(keys))).keys("acme")
    assert not await store.database.rows(unknown)
    another(keys / "acme/suppression-1.key")
    with pytest.raises(ConfigError, match="is not the right one"):
        (await store.key_versions.vouch(SecretStore(keys))).keys("acme")


async def test_a_secret_is_there_to_write_with_before_it_is_known(
    ccari: Service, keys: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is cut off between the two leaves one that is known, but not there."""
    secrets = await store.key_versions.vouch(SecretStore(keys))

    def fail(*_: object) -> None:
        raise ConfigError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(SecretStore, "add", fail)
        with pytest.raises(ConfigError, match="full"):
            await store.key_versions.make(secrets, ACME)
    known = "SELECT key_check FROM key_checks WHERE key_version = 3"
    assert len(await store.database.rows(known)) == 1
    made_again = await store.key_versions.make(await store.key_versions.vouch(SecretStore(keys)), ACME)
    assert (await store.database.rows(known)) == [{"key_check": made_again.check}]


#: SIGKILL once the database knows of the secret.
KILLED = """
import os, signal
from ccari.cli.main import main
from ccari.keyring.secrets import SecretStore

SecretStore.add = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main()
"""


async def test_a_rotation_that_was_killed_blocks_all_calls_and_nobody_says_what_to_do(ccari: Service) -> None:
    """The new secret is nowhere: whoever looked for it in a backup, or on another node, as was said, looked in vain."""
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-c",
        KILLED,
        "keys",
        "rotate",
        env={**os.environ, **ccari.environment},
    )
    assert await asyncio.wait_for(killed.wait(), 60) == -signal.SIGKILL
    gate = ("gate", "+48600100009", "--campaign", "renewals")
    again = "if ccari keys rotate was interrupted before it wrote it on any node, run that again"
    refused(await ccari.ccari(*gate), "version 3 of the suppression secret of 'acme'", "is missing", again)
    doctor = json.loads((await ccari.ccari("doctor", "--json")).out)
    (found,) = [each for each in doctor if each["check"] == "secret acme"]
    assert (found["state"], again in found["advice"]) == ("fault", True)
    assert (await ccari.ccari("keys", "rotate")).code == 0
    assert "is missing" not in (await ccari.ccari(*gate)).err
    assert (await ccari.ccari("suppress", "check", BARRED)).code == 1


@pytest.mark.parametrize("how", ["ro", "size=64k"], ids=["read-only", "full"])
async def test_a_secret_that_cannot_be_written_blocks_all_calls(
    ccari: Service, keys: Path, store: Store, tmp_path: Path, how: str
) -> None:
    """It was first made known to the database, and every node insists on the known ones."""
    with mounted(tmp_path / "disk", "size=64k") as disk:
        shutil.copytree(keys / "acme", disk / "acme")
        ccari.environment = {**ccari.environment, "CCARI_KEYS__DIR": str(disk)}
        if how == "ro":
            remount = ["mount", "-o", "remount,ro", str(disk)]
            await asyncio.to_thread(subprocess.run, remount, check=True)
        else:
            with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(1024)):
                    pass
        refused(await ccari.ccari("keys", "rotate"), "cannot write", "check [keys] dir")
        assert await store.database.rows("SELECT FROM key_checks WHERE key_version = 3") == []
        secrets = await store.key_versions.vouch(SecretStore(disk))
        digests = secrets.digests("acme", made.NUMBER)
        facts, _ = await store.calls.facts(made.QUESTION, Sought(digests))
        secrets.heed(facts.secrets, digests)


async def test_a_secret_is_written_with_that_takes_anothers_version(
    ccari: Service, keys: Path, store: Store
) -> None:
    with pytest.raises(ConfigError, match="version 1 of the suppression secret of 'acme' is not the one"):
        await store.key_versions.note(ACME, 1, "00000000")


async def test_a_register_whose_secret_is_lost_is_thought_empty_or_can_never_be_loaded_again(
    ccari: Service, keys: Path, store: Store, tmp_path: Path
) -> None:
    """What has come to it since must not go under a new secret; all of it may, and counts once it is whole."""
    await store.policies.apply(HEEDED, "test")
    listing, more = tmp_path / "robinson.csv", tmp_path / "more.csv"
    listing.write_text("number\n+48600100002\n")
    more.write_text("number\n+48600100003\n")
    load = ("registers", "import", "robinson", str(listing))
    update = ("registers", "import", "robinson", str(more), "--update", "--as-of", "2026-11-25")
    refused(await ccari.ccari(*update), "has never been loaded")
    assert (await ccari.ccari(*load)).code == 0
    assert (await ccari.ccari("suppress", "check", "+48600100002")).code == 1
    shutil.rmtree(keys / "registers")
    refused(await ccari.ccari(*update), "is missing", "load the register again")
    new_secret(SecretStore(keys), "robinson", "register")
    refused(await ccari.ccari(*update), "is not the right one", "load the register again")
    refused(await ccari.ccari("suppress", "check", "+48600100002"), "is not the right one")
    assert (await ccari.ccari(*load)).code == 0
    assert (await ccari.ccari("suppress", "check", "+48600100002")).code == 1
