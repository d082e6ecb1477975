"""What ``ccari doctor`` says about secrets, sounds and folders, with real faults."""

import asyncio
import grp
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ccari import config
from ccari.cli.doctor import findings
from ccari.cli.doctor.configuration import configuration
from ccari.cli.doctor.findings import State
from ccari.cli.doctor.folders import opening
from ccari.store.opened import Store
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made

#: A user who owns nothing and may do nothing.
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


def other(patient: Patient, kind: str = "sln12") -> Path:
    """One of the files of a sound that does not come with ccari."""
    return min((patient.sounds / "pl" / "renewals").glob(f"*.{kind}"))


async def test_a_controller_without_a_secret_passes(patient: Patient) -> None:
    (patient.keys / "acme" / "suppression-1.key").unlink()
    found = await patient.only("secret acme")
    assert found.state is State.FAULT
    assert found.found == f"'acme' has no suppression secret in {patient.keys / 'acme'}"
    assert found.advice == "restore it from the backup, or if there has never been one run: ccari keys init"


async def test_keys_that_were_never_made_are_made_by_looking(patient: Patient) -> None:
    patient.settings["keys"]["dir"] = str(patient.folder / "none")
    found = await patient.unwell()
    assert {each.check: each.state for each in found.values()} == {
        "keys": State.WARNING, "secret acme": State.FAULT, "recipients": State.FAULT, "evidence key": State.FAULT,
        "journal key": State.FAULT,
    }  # fmt: skip
    assert (
        found["keys"].advice
        == "restore it from the backup, or if there has never been one: apply a policy, then ccari keys init"
    )
    assert not patient.keys.exists()


async def test_a_secret_that_others_can_read_or_replace_passes(patient: Patient) -> None:
    secret = patient.keys / "acme" / "suppression-1.key"
    secret.chmod(0o660)
    found = await patient.unwell()
    assert found["keys"].state is State.FAULT
    assert found["keys"].advice == f"chmod 600 {secret}, and find out whether anybody has done so"
    assert (found["secret acme"].state, found["secret acme"].advice) == (
        State.FAULT, "chmod 600 it, and find out whether anybody has read it"
    )  # fmt: skip
    secret.chmod(0o600)
    secret.parent.chmod(0o770)
    found = {"keys": await patient.only("keys")}
    assert found["keys"].advice.startswith(f"chmod go-w {secret.parent}, ")


@as_root
def test_ccaris_user_is_to_join_roots_group_for_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    os.chown(folder, 0, 0)
    assert "usermod -aG asterisk " in opening(folder)
    assert f"chgrp asterisk {folder} " in opening(folder)
    os.chown(folder, 0, grp.getgrnam("daemon").gr_gid)
    assert "usermod -aG daemon " in opening(folder)
    assert "chgrp" not in opening(folder)


@as_root
async def test_a_secret_that_the_services_user_cannot_read_passes_before_root(patient: Patient) -> None:
    os.chown(patient.data_dir, NOBODY, NOBODY)
    found = [each for each in await patient.examined() if each.check in {"user", "keys"}]
    assert {each.state for each in found} == {State.WARNING}
    assert found[0].advice == "runuser -u nobody -- ccari doctor"
    secret = patient.keys / "acme" / "suppression-1.key"
    assert f"chown nobody {secret}" in [each.advice for each in found]


@as_root
async def test_a_secret_that_root_gives_to_the_service_is_taken_from_it(patient: Patient) -> None:
    """As systemd and Kubernetes provide one: nothing is to be done about it, above all no chmod or chown."""
    os.chown(patient.data_dir, NOBODY, NOBODY)
    secret = patient.keys / "acme" / "suppression-1.key"
    secret.chmod(0o440)
    os.chown(secret, 0, NOBODY)
    found = [each for each in await patient.examined() if each.state is not State.OK]
    assert not [each for each in found if str(secret) in each.advice]
    assert "secret acme" not in {each.check for each in found}


@as_root
async def test_a_secret_that_root_gives_to_another_group_passes_for_one_that_the_service_can_read(
    patient: Patient,
) -> None:
    os.chown(patient.data_dir, NOBODY, NOBODY)
    secret = patient.keys / "acme" / "suppression-1.key"
    secret.chmod(0o640)
    found = await patient.examined()
    assert f"chown nobody {secret}" in [each.advice for each in found]


async def test_a_missing_prompt_is_found_by_a_callee(patient: Patient) -> None:
    sound = other(patient)
    sound.unlink()
    found = await patient.only("sounds renewals")
    assert (found.state, found.advice) == (State.FAULT, "ccari sounds build")
    assert found.found == f"{patient.sounds}: {sound.relative_to(patient.sounds)}: the file is missing"


async def test_a_prompt_of_other_words_or_other_sound_is_found_by_a_callee(
    patient: Patient, store: Store
) -> None:
    other(patient).write_bytes(b"\xd5" * 4000)
    assert "changed since it was built" in (await patient.only("sounds renewals")).found
    patient.record(made.POLICY)
    await store.policies.apply(made.POLICY.replace("odnowienie", "wypowiedzenie"), "test")
    found = await patient.only("sounds renewals")
    assert "says other words than the policy" in found.found
    assert found.advice == "ccari sounds build"


async def test_a_disk_that_hangs_holds_the_doctor_up(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "CHECK_SECONDS", 5.0)
    sound = other(patient)
    sound.unlink()
    # nobody ever writes into it, so its reader waits
    os.mkfifo(sound)
    # on a busy machine another check may take as long
    found = (await patient.unwell())["sounds"]
    assert (found.state, found.found) == (State.FAULT, "could not be checked within 5 s")
    # release the thread
    os.close(os.open(sound, os.O_RDWR))


async def test_a_check_that_breaks_ends_the_others(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ccari.cli.doctor.recordings.recordings", broken)
    found = await patient.only("recordings")
    assert (found.state, found.found) == (State.FAULT, "could not be checked (ZeroDivisionError)")


async def test_sounds_that_asterisk_cannot_read_are_found_by_a_callee(patient: Patient) -> None:
    patient.spool.rmdir()
    sound = other(patient)
    sound.chmod(0o640)
    found = (await patient.unwell())["sounds for Asterisk"]
    assert found.state is State.FAULT
    assert found.found.startswith(f"{sound} cannot be read by other users (Asterisk's): calls would end")
    assert found.advice == f"chmod -R o+rX {patient.sounds / 'pl'}"
    sound.chmod(0o644)
    sound.parent.chmod(0o750)
    assert f"{sound.parent} cannot" in (await patient.unwell())["sounds for Asterisk"].found
    sound.parent.chmod(0o755)
    assert list(await patient.unwell()) == ["spool"]


async def test_a_spool_that_is_left_to_asterisk_to_make_is_closed_to_the_service(patient: Patient) -> None:
    """Asterisk creates it with mode 0755: members of its group can read there, and remove nothing."""
    patient.spool.rmdir()
    found = await patient.only("spool")
    assert found.state is State.WARNING
    assert found.advice == f"install -d -o asterisk -g asterisk -m 2770 {patient.spool}"


@as_root
async def test_a_spool_is_made_for_another_user_than_whose_asterisk_is(patient: Patient) -> None:
    (above := patient.folder / "asterisk").mkdir()
    os.chown(above, NOBODY, NOBODY)
    patient.settings["asterisk"]["spool"] = str(above / "recording")
    advice = (await patient.only("spool")).advice
    assert advice == f"install -d -o nobody -g nogroup -m 2770 {patient.spool}"
    await asyncio.to_thread(subprocess.run, ["/bin/sh", "-ec", advice], check=True, timeout=10)
    made = patient.spool.stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7777) == (NOBODY, NOBODY, 0o2770)


async def test_keys_and_recordings_are_opened_with_the_way_to_the_sounds(patient: Patient) -> None:
    patient.spool.rmdir()
    secret, recording = patient.keys / "acme" / "suppression-1.key", patient.folder / "recordings" / "1.flac"
    recording.touch(0o600)
    patient.folder.chmod(0o750)
    before = [each.stat().st_mode for each in (secret, secret.parent, patient.keys, recording)]
    advice = (await patient.unwell())["sounds for Asterisk"].advice
    assert advice == f"chmod o+x {patient.folder}"
    patient.sounds.chmod(0o700)
    (patient.sounds / "pl").chmod(0o700)
    advice = (await patient.unwell())["sounds for Asterisk"].advice
    assert advice == (f"chmod o+x {patient.folder} {patient.sounds} && chmod -R o+rX {patient.sounds / 'pl'}")
    await asyncio.to_thread(subprocess.run, ["/bin/sh", "-ec", advice], check=True, timeout=10)
    assert [each.stat().st_mode for each in (secret, secret.parent, patient.keys, recording)] == before
    assert list(await patient.unwell()) == ["spool"]


async def test_keys_are_opened_where_the_sounds_folder_is_what_holds_them(patient: Patient) -> None:
    patient.spool.rmdir()
    for each in patient.sounds.iterdir():
        each.rename(patient.folder / each.name)
    patient.settings["sounds"]["dir"] = str(patient.folder)
    patient.folder.chmod(0o700)
    (patient.folder / "pl" / "renewals").chmod(0o700)
    advice = (await patient.unwell())["sounds for Asterisk"].advice
    assert advice == f"chmod o+x {patient.folder} && chmod -R o+rX {patient.folder / 'pl'}"


@as_root
async def test_asterisk_is_let_in_by_bits_that_do_not_count_for_it(patient: Patient) -> None:
    os.chown(patient.spool, NOBODY, NOBODY)
    sound = other(patient)
    for uid, gid, whose in ((NOBODY, 0, "u"), (0, NOBODY, "g")):
        sound.chmod(0o004 if whose == "u" else 0o604)
        os.chown(sound, uid, gid)
        advice = (await patient.only("sounds for Asterisk")).advice
        assert advice == f"chmod -R {whose}+rX {patient.sounds / 'pl'}"


@as_root
async def test_the_owner_of_the_spool_is_not_taken_for_asterisk(patient: Patient) -> None:
    patient.sounds.chmod(0o750)
    os.chown(patient.spool, NOBODY, NOBODY)
    found = (await patient.unwell())["sounds for Asterisk"]
    assert found.found.startswith(f"{patient.sounds} cannot be read by nobody (owner of the spool)")
    os.chown(patient.sounds, -1, NOBODY)
    assert await patient.unwell() == {}
    os.chown(patient.sounds, NOBODY, 0)
    assert await patient.unwell() == {}


@as_root
async def test_what_root_can_read_is_called_readable_by_asterisk(patient: Patient) -> None:
    """Root has made the spool and given it to Asterisk's group, as the doctor itself advises."""
    os.chown(patient.spool, 0, grp.getgrnam("daemon").gr_gid)
    sound = other(patient)
    sound.chmod(0o600)
    found = await patient.only("sounds for Asterisk")
    assert (
        found.found
        == f"{sound} cannot be read by the group daemon (of the spool): calls would end in silence"
    )
    os.chown(sound, -1, grp.getgrnam("daemon").gr_gid)
    sound.chmod(0o640)
    assert await patient.unwell() == {}


@as_root
async def test_what_an_access_list_lets_asterisk_read_is_called_closed(patient: Patient) -> None:
    sound = other(patient)
    sound.chmod(0o600)
    os.chown(patient.spool, NOBODY, NOBODY)
    assert list(await patient.unwell()) == ["sounds for Asterisk"]
    # acl(5) as the kernel keeps it: the owner rw-, NOBODY r--, the group ---, the mask r--, others ---
    entries = ((0x01, 6, -1), (0x02, 4, NOBODY), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
    os.setxattr(sound, "system.posix_acl_access", acl)
    assert await patient.unwell() == {}


async def test_sounds_that_asterisk_sees_elsewhere_are_looked_for_there(patient: Patient) -> None:
    patient.spool.rmdir()
    patient.settings["sounds"]["asterisk_dir"] = "/usr/share/ccari-sounds"
    # not about Asterisk's way to them
    patient.folder.chmod(0o700)
    assert list(await patient.unwell()) == ["spool"]
    other(patient).chmod(0o600)
    assert str(other(patient)) in (await patient.unwell())["sounds for Asterisk"].found


async def test_a_spool_that_is_not_there_passes(patient: Patient) -> None:
    patient.spool.rmdir()
    found = await patient.only("spool")
    assert found.state is State.WARNING
    assert f"there is no {patient.spool} yet (`recording` below Asterisk's astspooldir)" in found.found
    patient.settings["asterisk"]["spool"] = str(patient.folder / "no" / "recording")
    assert (await patient.only("spool")).state is State.FAULT


async def test_a_spool_on_another_host_is_looked_for_here(patient: Patient) -> None:
    patient.spool.rmdir()
    patient.settings["asterisk"]["spool"] = "ari"
    assert "spool" not in await patient.unwell()


AS_NOBODY = """
import asyncio, os, sys
from pathlib import Path
from ccari.cli.doctor import rounds
async def main():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    for each in await rounds.examine(Path(sys.argv[1])):
        print(each.check, each.state, each.found, each.advice, sep="|")
asyncio.run(main())
"""


@as_root
async def test_what_ccaris_user_may_not_write_passes(patient: Patient) -> None:
    file = patient.write()
    file.chmod(0o644)
    patient.folder.chmod(0o755)
    (patient.folder / "heard").mkdir()
    os.chown(patient.spool, -1, grp.getgrnam("daemon").gr_gid)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-W", "ignore", "-c", AS_NOBODY, str(file)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    lines = {line.partition("|")[0]: line for line in done.stdout.splitlines()}
    assert f"|fault|{patient.spool} cannot be read and written by nobody" in lines["spool"]
    assert lines["spool"].endswith(f"|chmod g+rwxs {patient.spool}, and add ccari's user to its group: "
                                   "usermod -aG daemon nobody")  # fmt: skip
    assert (
        f"|fault|{patient.folder}/recordings: {patient.folder}/recordings cannot be written by nobody|"
        in (lines["recordings"])
    )
    assert lines["copies of sounds"] == (
        f"copies of sounds|warning|{patient.folder}/heard: {patient.folder}/heard cannot be written by nobody: evidence of calls will lack "
        f"what they played|let ccari's user write there: chown -R ccari {patient.folder}/heard"
    )
    assert lines["user"] == (
        f"user|warning|nobody, but {patient.folder} belongs to root: these checks do not show what root cannot do"
        "|runuser -u root -- ccari doctor"
    )
    assert lines["configuration"] == (
        f"configuration|warning|{file} holds a password, and everybody can read it|chmod o-r {file}"
    )


async def test_a_mistyped_setting_ends_in_a_traceback_or_goes_unseen(patient: Patient) -> None:
    patient.settings["asterisk"]["usernam"] = "ccari"
    (found,) = await patient.examined()
    assert (found.check, found.state) == ("configuration", State.FAULT)
    assert found.found.startswith(
        f"{patient.file} or the environment: asterisk.usernam: is not a known key; known are url, "
    )


async def test_a_password_file_that_is_missing_or_open_to_all_passes(patient: Patient) -> None:
    file = patient.folder / "ari-password"
    del patient.settings["asterisk"]["password"]
    patient.settings["asterisk"]["password_file"] = str(file)
    found = {each.check: each for each in await patient.examined()}
    assert found["asterisk"].found == f"[asterisk] password_file {file}: No such file or directory"
    assert found["asterisk"].advice == "make it, readable by ccari's user only"
    file.write_text("s3cret-ari-word\n")
    file.chmod(0o644)
    assert (await patient.only("configuration")).advice == f"chmod o-r {file}"


@pytest.mark.parametrize("url", [
    "postgresql://ccari@127.0.0.1:1/ccari?password=hidden-w0rd",
    "postgresql://ccari@127.0.0.1:1/ccari?sslmode=require&sslpassword=hidden-w0rd",
    "postgresql://ccari:hidden-[w0rd@127.0.0.1:1/ccari",
])  # fmt: skip
async def test_a_password_elsewhere_in_the_databases_url_is_everybodys_to_read(
    patient: Patient, url: str
) -> None:
    patient.settings["database"]["url"] = url
    del patient.settings["asterisk"]["password"]
    file = patient.write()
    file.chmod(0o644)
    (found,) = configuration(file, config.load(file))
    assert (found.state, found.advice) == (State.WARNING, f"chmod o-r {file}")
    assert "w0rd" not in found.found
    patient.settings["database"]["url"] = "postgresql://ccari@127.0.0.1:1/ccari?sslmode=require"
    patient.write().chmod(0o644)
    (found,) = configuration(file, config.load(file))
    assert found.state is State.OK


@pytest.mark.parametrize("text", ["asterisk = 'x'\n", "webhooks = 'no secret'\n", "[database]\nurl = 7\n",
                                  "webhooks = [7]\n", "database = 7\n"])  # fmt: skip
async def test_a_file_whose_tables_are_not_tables_cannot_be_looked_at(patient: Patient, text: str) -> None:
    """As if the environment says otherwise; the other settings are still read."""
    settings = config.load(patient.write())
    patient.file.write_text(text)
    patient.file.chmod(0o644)
    (found,) = configuration(patient.file, settings)
    assert found.state is State.OK


async def test_a_file_that_an_editor_on_windows_has_saved_is_called_faulty(patient: Patient) -> None:
    """It begins with a BOM, which ``ccari serve`` accepts."""
    file = patient.write()
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    file.chmod(0o644)
    findings = list(configuration(file, config.load(file)))
    assert [(each.state, each.advice) for each in findings] == [(State.WARNING, f"chmod o-r {file}")]


async def test_a_data_dir_that_is_a_file_passes(patient: Patient) -> None:
    patient.data_dir = patient.folder / "data"
    patient.data_dir.write_text("")
    found = {each.check: each for each in await patient.examined()}["user"]
    assert (found.state, found.found) == (State.FAULT, f"data_dir {patient.data_dir} is not a folder")


async def test_what_only_calls_over_ari_need_is_asked_for_where_asterisk_is_off(patient: Patient) -> None:
    """Neither a password, nor a spool, nor recipients of recordings, nor an encoder."""
    patient.spool.rmdir()
    (patient.keys / "recordings.recipients").unlink()
    patient.settings["asterisk"] = {"url": "off", "spool": str(patient.spool)}
    patient.settings["recordings"] = {"dir": str(patient.folder / "recordings")}
    found = {each.check: each for each in await patient.examined()}
    assert {each for each in found.values() if each.state is not State.OK} == set()
    assert found["asterisk"].found == (
        "turned off by [asterisk] url: no call is placed, taken or recorded over ARI"
    )
    assert not {"recipients", "flac", "asterisk spool", "modules renewals"} & found.keys()
    assert "spool" not in found["disk"].found
