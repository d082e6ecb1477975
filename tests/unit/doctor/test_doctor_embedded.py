"""What ``ccari doctor`` does to the embedded server of a service that runs as another user: nothing."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from ccari.cli.doctor.database import of_another_user
from ccari.cli.doctor.findings import State
from ccari.store.embedded import embedded_postgres, programs
from ccari.store.untouched import AnothersError, find_embedded
from tests.folders import open_folder
from tests.unit.doctor.conftest import Patient

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
#: Neither of the users that ccari would choose by itself.
NOBODY = 65534


@pytest.fixture
def home(quick: Path) -> Iterator[Path]:
    with open_folder("doctor", quick) as made:
        yield made


@pytest_asyncio.fixture
async def anothers(patient: Patient, home: Path) -> Path:
    """The folder of a server that NOBODY's service has made, and that is stopped."""
    async with embedded_postgres(home):
        pass
    give(home)
    found = home / "postgresql"
    found.chmod(0o750)
    del patient.settings["database"]
    patient.data_dir = home
    return found


def give(folder: Path) -> None:
    for each in (folder, *folder.rglob("*")):
        os.chown(each, NOBODY, NOBODY)


def seen(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, user and group of each; the server's own files come and go, and must belong to it."""
    found = {}
    for each in (folder, *folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            found[each] = each.stat()
    assert {each.st_uid for each in found.values()} == {NOBODY}
    return {
        str(path): (each.st_mode, each.st_uid, each.st_gid)
        for path, each in found.items()
        if folder in {path, path.parent}
    }


async def test_a_server_is_taken_from_its_user_by_root_who_looks_at_it(
    patient: Patient, anothers: Path
) -> None:
    before = seen(anothers)
    found = {each.check: each for each in await patient.examined()}
    assert found["database"].found.startswith("the embedded PostgreSQL 18")
    assert found["schema"].found == "the database is still empty"
    assert seen(anothers) == before
    assert not (anothers / "cluster" / "postmaster.pid").exists()


async def test_a_server_is_taken_from_its_user_by_a_command_that_root_runs(anothers: Path) -> None:
    async with embedded_postgres(anothers.parent):
        seen(anothers)
    seen(anothers)


async def test_a_server_that_runs_is_stopped_or_started_anew_by_looking(
    patient: Patient, anothers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with embedded_postgres(anothers.parent):
        before, pid = seen(anothers), (anothers / "cluster" / "postmaster.pid").read_text()
        # nor are its programs needed for it
        with monkeypatch.context() as context:
            context.setattr(programs, "shipped_binaries", lambda: anothers / "none" / "server" / "bin")
            found = {each.check: each for each in await patient.examined()}
        assert found["database"].state is State.OK
        assert seen(anothers) == before
        assert (anothers / "cluster" / "postmaster.pid").read_text() == pid


async def test_programs_are_copied_for_a_user_who_cannot_run_them(
    patient: Patient, anothers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(anothers / f"server-{programs.shipped_version()}", ignore_errors=True)
    closed = patient.folder / "closed" / "server" / "bin"
    closed.mkdir(parents=True)
    (patient.folder / "closed").chmod(0o700)
    monkeypatch.setattr(programs, "shipped_binaries", lambda: closed)
    before = seen(anothers)
    found = await patient.unwell()
    assert (found["database"].state, found["database"].advice) == (
        State.WARNING, "runuser -u nobody -- ccari doctor"
    )  # fmt: skip
    assert "its owner, nobody, has no access to" in found["database"].found
    assert found["policy"].advice == "put the database right first"
    assert seen(anothers) == before


async def test_a_user_who_may_not_look_is_told_to_take_the_server_over(anothers: Path) -> None:
    os.seteuid(NOBODY - 1)
    try:
        with pytest.raises(AnothersError) as raised:
            find_embedded(anothers.parent)
    finally:
        os.seteuid(0)
    assert (str(raised.value), raised.value.owner) == (
        f"the embedded PostgreSQL in {anothers.parent} belongs to nobody", "nobody"
    )  # fmt: skip


async def test_an_owner_who_cannot_be_seen_is_to_be_run_as(home: Path) -> None:
    closed = home / "closed"
    (closed / "data" / "postgresql").mkdir(parents=True)
    closed.chmod(0o700)
    os.seteuid(NOBODY - 1)
    try:
        with pytest.raises(AnothersError) as raised:
            find_embedded(closed / "data")
    finally:
        os.seteuid(0)
    found = of_another_user(raised.value)
    assert (found.found, found.advice) == (
        f"the embedded PostgreSQL in {closed / 'data'} belongs to another user",
        "run ccari doctor as the user of the service, or as root",
    )
