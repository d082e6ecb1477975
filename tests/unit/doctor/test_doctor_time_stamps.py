"""What ``ccari doctor`` says about the authority that time-stamps seals."""

from pathlib import Path

import pytest

from ccari.cli.doctor.findings import State
from ccari.peers import client
from ccari.recordings.evidence.authority import authority
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.evidence.stamper import Known, Stamper
from ccari.store.opened import Store
from tests.tsa import SigningAuthority, open_desk
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made
from tests.unit.store.test_seals import closed
from tests.unit.store.test_time_stamps import EVERY


@pytest.fixture
def court(patient: Patient, tmp_path: Path) -> SigningAuthority:
    court = SigningAuthority(tmp_path / "tsa")
    patient.settings["time_stamps"] = {"url": "http://127.0.0.1:9/tsr", "certificates": str(court.root)}
    return court


async def test_an_authority_that_nobody_set_is_missed(patient: Patient) -> None:
    assert not [each for each in await patient.examined() if each.check == "time stamps"]


async def test_certificates_that_are_not_there_or_none_pass(
    patient: Patient, court: SigningAuthority
) -> None:
    patient.settings["time_stamps"]["certificates"] = str(court.folder / "none.pem")
    found = (await patient.unwell())["time stamps"]
    assert (found.state, found.found) == (
        State.FAULT,
        f"cannot read {court.folder / 'none.pem'}: No such file or directory",
    )
    patient.settings["time_stamps"]["certificates"] = str(court.folder / "signer.key")
    found = (await patient.unwell())["time stamps"]
    assert found.found == f"{court.folder / 'signer.key'} contains no certificate in PEM format"
    assert found.advice.startswith("give it one (from DER: openssl x509")


async def test_a_password_that_is_not_there_passes(patient: Patient, court: SigningAuthority) -> None:
    patient.settings["time_stamps"] |= {"username": "acme", "password_file": str(court.folder / "none")}
    found = (await patient.unwell())["time stamps"]
    assert found.found == f"[time_stamps] password_file {court.folder / 'none'}: No such file or directory"


async def test_a_password_that_everybody_can_read_passes(patient: Patient, court: SigningAuthority) -> None:
    file = court.folder / "password"
    file.write_text("s3cret-tsa-word")
    file.chmod(0o644)
    patient.settings["time_stamps"] |= {"username": "acme", "password_file": str(file)}
    found = await patient.only("configuration")
    assert (found.state, found.found) == (
        State.WARNING,
        f"{file} holds a password, and everybody can read it",
    )


async def test_a_seal_that_waits_for_its_time_stamp_passes_or_one_that_has_it_does_not(
    patient: Patient, court: SigningAuthority, store: Store
) -> None:
    await store.policies.apply(made.POLICY, "test")
    await closed(store)
    await Sealer(store.seals, SigningKeys(patient.keys)).seal()
    found = await patient.only("time stamps")
    assert (found.state, found.found.split(":")[0]) == (State.WARNING, "no seal has had one yet")
    async with open_desk(court) as desk, client() as session:
        await Stamper(
            store.time_stamps, lambda: Known(authority(court.root)), session, desk.url, EVERY
        ).stamp()
    await closed(store)
    await Sealer(store.seals, SigningKeys(patient.keys)).seal()
    assert await patient.unwell() == {}
    patient.settings["time_stamps"]["every_minutes"] = 1
    await store.database.rows("ALTER TABLE time_stamps DISABLE TRIGGER USER")
    await store.database.rows("UPDATE time_stamps SET stamped_at = now() - interval '3 minutes'")
    assert (await patient.only("time stamps")).found.startswith("no seal has had one since 2")
