"""What ``ccari doctor`` says of who drives Asterisk."""

import os
import pwd
from collections.abc import AsyncIterator

import orjson
import pytest

from ccari.cli.doctor.findings import Finding, State
from ccari.store.fence import PostgresFence
from tests.unit.calls import ari_server
from tests.unit.calls.ari_server import INFO, AriServer
from tests.unit.doctor.conftest import Patient

THERE = [200] * 9


@pytest.fixture
async def ari(patient: Patient) -> AsyncIterator[AriServer]:
    async with ari_server.running() as made:
        patient.settings["asterisk"]["url"] = made.url
        yield made


async def app(patient: Patient) -> Finding:
    """What is said of the application."""
    (found,) = [each for each in await patient.examined() if each.check == "asterisk app"]
    return found


async def named(dsn: str) -> str:
    """The name of a database, as its service leaves it in Asterisk."""
    fence = PostgresFence(dsn)
    async with fence.hold("no asterisk", "no calls"):
        return fence.database


async def test_it_is_guessed_whether_another_databases_service_keeps_this_one_out(
    patient: Patient, ari: AriServer, dsn: str
) -> None:
    ari.variable, ari.app_statuses = "calls 7/16384", list(THERE)
    found = await app(patient)
    assert found.state is State.FAULT
    assert found.found == (
        "a service with another database drives this Asterisk as calls, or has left calls in it, so that ccari serve does not start: "
        f"CCARI_DRIVEN_BY has the database 7/16384, and that of [database] is {await named(dsn)}"
    )
    assert found.advice.startswith(
        "give this one an Asterisk of its own and keep it from being started again; "
    )
    assert found.advice.endswith("asterisk -rx 'dialplan set global CCARI_DRIVEN_BY none'")
    assert "/ari/applications/calls" in {str(each.rel_url) for each in ari.handshakes}


async def test_a_service_with_the_same_database_is_suspected_of_another(
    patient: Patient, ari: AriServer, dsn: str
) -> None:
    ari.variable, ari.app_statuses = f"ccari {await named(dsn)}", list(THERE)
    found = await app(patient)
    assert found.state is State.WARNING
    assert found.found == (
        "a service with this database is connected as ccari, and no ccari answers on [http] listen: ccari serve does not start beside it"
    )


async def test_a_service_that_was_started_under_another_application_goes_unseen(
    patient: Patient, ari: AriServer, dsn: str
) -> None:
    """Its settings name a new one now, and it holds the lock on this Asterisk all the same."""
    ari.variable, ari.app_statuses = f"calls {await named(dsn)}", [200, 404]
    found = await app(patient)
    assert found.state is State.WARNING
    assert found.found.startswith("a service with this database is connected as calls")


@pytest.mark.parametrize("word", ["", "none", "ccari "])
async def test_a_service_that_has_left_no_word_goes_unseen(
    patient: Patient, ari: AriServer, word: str
) -> None:
    ari.variable, ari.app_statuses = word, list(THERE)
    found = await app(patient)
    assert found.state is State.WARNING
    assert "if it has another database" in found.found


async def test_a_service_that_is_gone_is_said_to_drive_asterisk(patient: Patient, ari: AriServer) -> None:
    ari.variable, ari.app_statuses = "ccari 7/16384", []
    found = await app(patient)
    assert (found.state, found.found) == (State.OK, "no service is connected as ccari")


async def test_a_database_that_is_away_is_said_to_be_another(patient: Patient, ari: AriServer) -> None:
    patient.settings["database"]["url"] = "postgresql://127.0.0.1:1/none"
    ari.variable, ari.app_statuses = "ccari 7/16384", list(THERE)
    found = await app(patient)
    assert found.state is State.WARNING
    assert "if it has another database" in found.found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
async def test_a_spool_that_asterisk_cannot_write_to_passes(patient: Patient, ari: AriServer) -> None:
    """Somebody has made it as ccari's user: ccari can read and write it, and nothing is ever recorded."""
    spool = patient.folder / "recording"
    spool.mkdir(mode=0o755)
    patient.settings["asterisk"]["spool"] = str(spool)
    ari.variable = str(patient.folder)

    async def said(user: str) -> Finding:
        # as a real one answers
        config = {"name": "pbx", "default_language": "en", "setid": {"user": user, "group": ""}}
        ari.info_body = orjson.dumps(INFO | {"config": config})
        (found,) = [each for each in await patient.examined() if each.check == "asterisk spool"]
        return found

    found = await said("nobody")
    assert (found.state, found.found) == (
        State.WARNING, f"Asterisk runs as nobody, who cannot write to {spool}: nothing is recorded"
    )  # fmt: skip
    assert (
        found.advice == f"install -d -o nobody -g nogroup -m 2770 {spool}, and add ccari's user to that group"
    )
    for user in ("", "root", "somebody whom only Asterisk's container knows"):
        assert (await said(user)).state is State.OK
    os.chown(spool, pwd.getpwnam("nobody").pw_uid, -1)
    assert (await said("nobody")).state is State.OK
