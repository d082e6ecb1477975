"""What ``ccari doctor`` says about the path of a recording, and about evidence, with real faults."""

import os
from pathlib import Path

import pyrage
import pytest

from ccari import config
from ccari.cli.doctor import recordings
from ccari.cli.doctor.findings import State
from ccari.recordings.encoders import ENCODERS
from ccari.recordings.encoding import FORMATS
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.known_folder import known_folder
from ccari.recordings.recipients import RecipientFile
from ccari.store.opened import Store
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made


async def test_a_recording_is_encrypted_to_nobody_or_to_what_is_no_recipient(patient: Patient) -> None:
    file = patient.keys / "recordings.recipients"
    file.write_text("age1nobody\n")
    found = await patient.only("recipients")
    assert (found.state, found.found.startswith(f"{file}, line 1: ")) == (State.FAULT, True)
    file.unlink()
    found = await patient.only("recipients")
    assert (found.state, found.found) == (State.FAULT, f"there is no recipient of recordings in {file}")
    assert found.advice == "restore it from the backup, or if there has never been one run: ccari keys init"


async def test_recipients_are_asked_of_those_who_record_nothing_or_encrypt_nothing(
    patient: Patient, store: Store
) -> None:
    (patient.keys / "recordings.recipients").unlink()
    patient.settings["recordings"] = {"encryption": "none"}
    found = await patient.only("recipients")
    assert (found.state, found.found) == (
        State.WARNING, "recordings are not encrypted, as [recordings] encryption says"
    )  # fmt: skip
    del patient.settings["recordings"]
    await store.policies.apply(made.POLICY.replace('mode = "notice"', 'mode = "off"'), "test")
    patient.record(made.POLICY.replace('mode = "notice"', 'mode = "off"'))
    assert await patient.unwell() == {}


async def test_evidence_is_signed_with_nothing_or_what_is_older_is_not_verified(patient: Patient) -> None:
    kept = SigningKeys(patient.keys)
    kept.rotate()
    (patient.keys / "evidence-1.pub").write_text("torn\n")
    assert "evidence-1.pub contains no Ed25519 public key" in (await patient.only("earlier evidence")).found
    (patient.keys / "evidence-2.key").unlink()
    found = await patient.only("evidence key")
    assert (found.state, found.found) == (State.FAULT, f"{patient.keys / 'evidence-2.key'} is missing")
    assert "ccari keys rotate --evidence" in found.advice


@pytest.mark.parametrize("name", ["recordings.identity", "acme/of-the-officer"])
async def test_what_opens_recordings_lies_beside_them_unnoticed(patient: Patient, name: str) -> None:
    identity = patient.keys / name
    identity.write_text(f"# recipient\n{pyrage.x25519.Identity.generate()}\n")
    identity.chmod(0o600)
    found = await patient.only("keys")
    assert (found.state, found.found) == (
        State.WARNING, f"{identity} opens recordings, and an intruder would find it here"
    )  # fmt: skip
    assert found.advice.endswith(f", then: shred -u {identity}")
    assert RecipientFile(patient.keys).registered()


async def test_what_anybody_may_know_is_called_a_secret_or_may_be_replaced(patient: Patient) -> None:
    public = [patient.keys / "recordings.recipients", patient.keys / "evidence-1.pub"]
    for each in public:
        each.chmod(0o644)
    assert await patient.unwell() == {}
    public[1].chmod(0o664)
    found = (await patient.unwell())["keys"]
    assert (found.state, found.found) == (
        State.FAULT,
        f"{public[1]}: users other than its owner can put other keys there",
    )
    assert found.advice.startswith(f"chmod go-w {public[1]}, ")


@pytest.fixture
def programs(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found; of these it has the synthetic voice alone at first."""
    folder = patient.folder / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    _programme(folder / "espeak-ng", "exit 0")
    return folder


@pytest.mark.parametrize(
    ("form", "program", "well"),
    [("flac", "flac", "exit 0"), ("opus", "ffmpeg", "echo ' A....D libopus  Opus'")],
)
async def test_no_recording_leaves_the_spool_for_want_of_an_encoder(
    patient: Patient, programs: Path, monkeypatch: pytest.MonkeyPatch, form: str, program: str, well: str
) -> None:
    patient.settings["recordings"] = {"format": form}
    if program != "ffmpeg":
        _programme(programs / "ffmpeg", "exit 0")
    found = await patient.only(program)
    assert (found.state, found.found, found.advice) == (
        State.FAULT, "it is not installed: recordings stay in the spool, unencrypted", f"apt-get install {program}"
    )  # fmt: skip
    _programme(programs / program, "echo 'libav.so.61: cannot open shared object file' >&2; exit 127")
    assert "cannot be run: libav.so.61: cannot open" in (await patient.only(program)).found
    _programme(programs / program, well)
    assert await patient.unwell() == {}
    monkeypatch.setattr(recordings, "_ANSWER_SECONDS", 1.0)
    pipe = programs / "never"
    os.mkfifo(pipe)
    _programme(programs / program, f"read -r line < {pipe}")
    # on a busy machine another check may take as long
    found = (await patient.unwell())[program]
    assert found.state is State.FAULT
    assert "does not answer within 1 s" in found.found


async def test_an_ffmpeg_without_opus_is_called_one_that_encodes_it(patient: Patient, programs: Path) -> None:
    patient.settings["recordings"] = {"format": "opus"}
    _programme(
        programs / "ffmpeg", "echo ' A....D flac  FLAC'; echo ' A....D opus  Opus'; echo ' V....D png  PNG'"
    )
    found = await patient.only("ffmpeg")
    assert found.state is State.FAULT
    assert "has no libopus, which [recordings] format = opus needs" in found.found


@pytest.mark.parametrize("form", ["flac", "wav"])
async def test_nobody_tells_that_prompts_and_pictures_want_ffmpeg(
    patient: Patient, programs: Path, form: str
) -> None:
    """Recordings do without it."""
    patient.settings["recordings"] = {"format": form}
    _programme(programs / "flac", "exit 0")
    found = await patient.only("ffmpeg")
    assert (found.state, found.found, found.advice) == (
        State.WARNING, "it is not installed: prompts cannot be built, and recordings have no picture in the console",
        "apt-get install ffmpeg",
    )  # fmt: skip


async def test_a_machine_without_the_synthetic_voice_is_called_complete(
    patient: Patient, programs: Path
) -> None:
    for each in ("flac", "ffmpeg"):
        _programme(programs / each, "exit 0")
    (programs / "espeak-ng").unlink()
    found = await patient.only("espeak-ng")
    assert (found.state, found.found, found.advice) == (
        State.WARNING, "it is not installed: prompts that no speaker has recorded cannot be built",
        "apt-get install espeak-ng",
    )  # fmt: skip


def _programme(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_format_that_can_be_encoded_is_called_one_that_cannot(patient: Patient, form: str) -> None:
    patient.settings["recordings"] = {"format": form}
    found = {each.check: each for each in await patient.examined()}
    programs = [ENCODERS[form].program] if form in ENCODERS else []
    told = [each.check for each in found.values() if each.found.endswith(f" encodes recordings as {form}")]
    assert told == programs
    assert {found[each].state for each in (*programs, "ffmpeg")} == {State.OK}


async def test_recordings_wait_in_the_spool_for_a_disk_that_is_not_mounted_and_all_is_said_to_be_well(
    patient: Patient,
) -> None:
    settings = config.load(patient.write())
    known, folder = known_folder(settings), settings.recordings_dir
    folder.mkdir(exist_ok=True)
    known.remember(known.identify())
    assert await patient.unwell() == {}
    disk = folder.rename(patient.folder / "disk")
    (folder / ".work").mkdir(parents=True)
    found = await patient.only("recordings")
    assert (found.state, found.found) == (
        State.FAULT,
        f"{folder} is not the folder in which recordings were stored before: recordings stay in the spool, unencrypted, and none is deleted",
    )
    assert found.advice.startswith(
        "mount its disk; if it is mounted and this is the right folder, move there "
    )
    (folder / ".work").rmdir()
    folder.rmdir()
    disk.rename(folder)
    assert await patient.unwell() == {}
