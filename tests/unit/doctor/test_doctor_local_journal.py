"""What ``ccari doctor`` says about rights that wait on this node."""

import os
from pathlib import Path

import pytest

from ccari.cli.doctor.findings import State
from ccari.keyring.journal_key import JournalKey
from ccari.ports.pressed import Pressed
from ccari.store.local_journal import LocalJournalFiles
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made


@pytest.fixture
def journal(patient: Patient) -> LocalJournalFiles:
    return LocalJournalFiles(patient.data_dir, JournalKey(patient.keys).read)


async def test_a_right_that_waits_passes(patient: Patient, journal: LocalJournalFiles) -> None:
    for _ in range(2):
        await journal.keep(Pressed(made.call(), made.exercise()))
    found = await patient.only("local journal")
    assert found.state is State.FAULT
    assert (
        found.found
        == "2 rights have been waiting since 2026-11-25 10:00:00 UTC to be registered: nobody is called until then"
    )
    assert found.advice.endswith("ccari requests replay")
    assert len(journal.names()) == 2


async def test_a_right_that_cannot_be_registered_passes(patient: Patient, journal: LocalJournalFiles) -> None:
    await journal.keep(Pressed(made.call(), made.exercise()))
    journal.put_aside(journal.names()[0])
    found = await patient.only("local journal")
    assert found.state is State.FAULT
    assert found.found.startswith(
        "1 right that cannot be registered, but may have been confirmed to callees, was put aside"
    )
    assert found.found.endswith("until somebody has seen to that")
    assert "ccari requests spooled" in found.advice


async def test_a_right_that_another_key_has_encrypted_passes_for_one_that_waits_for_the_database(
    patient: Patient, journal: LocalJournalFiles
) -> None:
    await journal.keep(Pressed(made.call(), made.exercise()))
    (patient.keys / "journal.key").unlink()
    JournalKey(patient.keys).create()
    other = await patient.only("local journal")
    assert other.state is State.FAULT
    assert other.found == "1 of them was encrypted with a journal.key that this node no longer has"


async def test_a_torn_record_passes_or_counts_as_a_right_that_was_confirmed(
    patient: Patient, journal: LocalJournalFiles
) -> None:
    journal._make()
    (journal.aside / "20261125T100000.000000Z-x.right.torn").write_bytes(b"ccari")
    found = await patient.only("local journal")
    assert found.state is State.WARNING
    assert found.found == "1 right was cut off by a crash, before being confirmed to anybody"


async def test_a_folder_that_cannot_be_written_is_found_when_a_right_is_pressed(
    patient: Patient, journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal._make()
    writable = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != journal.waiting and writable(path, mode)
    )
    found = await patient.only("local journal")
    assert found.state is State.FAULT
    assert f"{journal.waiting} cannot be written by " in found.found
    assert found.advice == "let ccari's user write there: check data_dir"


async def test_a_missing_journal_key_is_found_when_a_right_is_pressed(patient: Patient) -> None:
    (patient.keys / "journal.key").unlink()
    found = await patient.only("journal key")
    assert found.state is State.FAULT
    assert found.found == f"there is no {patient.keys / 'journal.key'}"
    assert found.advice == "restore it from the backup, or if there has never been one run: ccari keys init"
