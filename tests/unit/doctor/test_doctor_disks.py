"""What ``ccari doctor`` says about the disks and about the clocks that the policy depends on."""

import os
import re
from pathlib import Path

import pytest

from ccari.cli.doctor import disks, times
from ccari.cli.doctor.findings import State
from ccari.policy.declaration import read
from tests.unit.doctor.conftest import Patient, with_room
from tests.unit.recordings.disks import mounted
from tests.unit.store import made

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "whole", "files", "state", "told"),
    [
        (GIB // 4, 100 * GIB, 0.9, State.FAULT, "256 MiB free of 100.0 GiB: recordings, and rights pressed"),
        (5 * GIB, 100 * GIB, 0.9, State.WARNING, "5.0 GiB free of 100.0 GiB"),
        (50 * GIB, 100 * GIB, 0.01, State.WARNING, "50.0 GiB free of 100.0 GiB, but room for only 10000 more files (inodes) of 1000000"),
        (2 * GIB, 8 * GIB, 0.9, State.OK, ""),
        (20 * GIB, 900 * GIB, 0.9, State.OK, ""),
    ],
)  # fmt: skip
async def test_a_disk_fills_up_unseen_or_a_small_one_is_called_full(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, free: int, whole: int, files: float, state: State, told: str
) -> None:  # fmt: skip
    real = os.statvfs(patient.folder)
    monkeypatch.setattr(os, "statvfs", lambda _: with_room(real, free=free, whole=whole, files=files))
    unwell = await patient.unwell()
    if state is State.OK:
        assert unwell == {}
        return
    assert list(unwell) == ["disk"]
    assert (unwell["disk"].state, told in unwell["disk"].found) == (state, True)
    assert f"{patient.folder} | sort -h" in unwell["disk"].advice


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("data_dir", "rights pressed while the database is away will be lost"),
        ("[recordings] dir", "recordings stay in the spool, unencrypted"),
        ("[asterisk] spool", "recordings will be lost"),
    ],
)
def test_a_full_disk_is_said_to_lose_what_lies_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, told: str
) -> None:
    real = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: with_room(real, free=GIB // 4, whole=GIB, files=0.9))
    assert disks._disk([place], tmp_path).found == f"{place}: 256 MiB free of 1.0 GiB: {told}"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("data_dir", "rights pressed while the database is away will be lost"),
        ("[recordings] dir", "recordings stay in the spool, unencrypted"),
    ],
)
def test_a_disk_that_the_kernel_has_made_read_only_passes_or_is_said_to_be_full(
    tmp_path: Path, place: str, told: str
) -> None:
    """Each folder on it was said to be closed to ccari's user, even for root, and no message said why."""
    with mounted(tmp_path / "disk", "ro") as folder:
        found = disks._disk([place], folder)
    assert (found.state, found.found) == (State.FAULT, f"{place}: the file system is read-only: {told}")
    assert f"mount -o remount,rw $(findmnt -no TARGET --target {folder})" in found.advice


def test_a_disk_that_an_error_has_closed_passes_because_it_looks_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ext4 does with Linux 6.18: statvfs does not report it."""
    real = os.statvfs(tmp_path)
    with mounted(tmp_path / "disk", "ro") as folder:
        monkeypatch.setattr(os, "statvfs", lambda _: real)
        found = disks._disk(["data_dir"], folder)
    assert (found.state, "the file system is read-only" in found.found) == (State.FAULT, True)


def test_a_disk_without_inodes_passes_or_is_said_to_be_full(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1g,nr_inodes=2") as folder:
        (folder / "last").touch()
        found = disks._disk(["data_dir"], folder)
    assert found.state is State.FAULT
    assert "but it takes no more files (No space left on device): rights pressed" in found.found
    assert "du --inodes" in found.advice


async def test_each_disk_is_told_of_as_often_as_it_has_folders(patient: Patient) -> None:
    (found,) = [each for each in await patient.examined() if each.check == "disk"]
    assert found.found == "data_dir and [recordings] dir and [asterisk] spool: 1024.0 GiB free of 2048.0 GiB"
    patient.settings["asterisk"]["spool"] = "ari"
    (found,) = [each for each in await patient.examined() if each.check == "disk"]
    assert found.found.startswith("data_dir and [recordings] dir: ")


async def test_a_folder_that_is_not_there_yet_has_no_disk(patient: Patient) -> None:
    patient.settings["recordings"] = {"dir": str(patient.folder / "not" / "yet")}
    assert await patient.unwell() == {}


async def test_a_clock_that_is_wrong_by_whole_days_looks_right(patient: Patient) -> None:
    """Everything may be on one machine, so that no other clock differs; and clock_set_forward has people look here."""
    found = {each.check: each for each in await patient.examined()}
    assert re.fullmatch(
        r"it is \d{4}-\d\d-\d\d \d\d:\d\d in Europe/Warsaw, by this machine's clock", found["time zone"].found
    )


async def test_a_zone_that_this_machine_does_not_know_closes_calls_unseen(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {each.check: each for each in await patient.examined()}
    assert found["time zone"].found.endswith(" in Europe/Warsaw, by this machine's clock")
    monkeypatch.setattr(times, "clock", lambda _: None)
    zone = await patient.only("time zone")
    assert (zone.state, zone.found) == (
        State.FAULT, "this machine does not know the time zone Europe/Warsaw: no call is within its calling hours there"
    )  # fmt: skip
    assert zone.advice.startswith("install the data: apt-get install tzdata")


def test_a_zone_of_hours_is_not_looked_at() -> None:
    hours = 'data_source = "x"\nhours = { timezone = "Atlantic/Madeira", days = "mon-fri", from = "09:00", to = "20:00" }'
    policy = read(made.POLICY.replace('data_source = "umowa zawarta z ACME"', hours))
    (found,) = times.zones(policy)
    assert " in Atlantic/Madeira, " in found.found


async def test_a_local_journal_that_is_full_passes(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccari.store.local_journal.MOST_RIGHTS", 0)
    found = await patient.only("local journal")
    assert (found.state, found.found) == (
        State.FAULT, "it is full, with 0 rights and 0 MiB: a right that is pressed now cannot be kept"
    )  # fmt: skip
    assert found.advice.endswith("ccari requests replay")
