"""The secrets that digests are keyed with: never made silently, never used when damaged or open."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ccari.errors import ConfigError, SecretError
from ccari.keyring import keybackup
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import Holder, Key, SecretStore
from ccari.policy.numbers import Number
from ccari.policy.suppression import SECRET_BYTES
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from tests.unit.store.made import new_secret

NUMBER = Number("+48600100001")


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    made = SecretStore(tmp_path)
    assert new_secret(made, "acme")
    return made


def newest(folder: Path) -> Path:
    return folder / "acme" / "suppression-1.key"


def test_a_new_secret_can_be_read_by_others_or_is_like_another(store: SecretStore, tmp_path: Path) -> None:
    assert stat.S_IMODE(newest(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(newest(tmp_path).parent.stat().st_mode) == 0o700
    assert len(bytes.fromhex(newest(tmp_path).read_text())) == 32
    assert new_secret(store, "other")
    assert store.digests("acme", NUMBER).newest != store.digests("other", NUMBER).newest


def test_a_folder_of_secrets_is_open_to_other_writers(tmp_path: Path) -> None:
    """Whatever the umask; the service refuses to start with such a folder."""
    before = os.umask(0)
    try:
        new_secret(SecretStore(tmp_path / "keys"), "robinson", "register")
    finally:
        os.umask(before)
    for each in ("keys", "keys/registers", "keys/registers/robinson"):
        assert stat.S_IMODE((tmp_path / each).stat().st_mode) == 0o700


def test_a_secret_is_made_anew_over_the_old_one(store: SecretStore, tmp_path: Path) -> None:
    before = newest(tmp_path).read_text()
    with pytest.raises(ConfigError, match=r"suppression-1\.key already exists"):
        store.add(Holder("controller", "acme"), Key(1, bytes(SECRET_BYTES)))
    assert newest(tmp_path).read_text() == before


def test_a_secret_that_is_not_there_is_made_in_silence(tmp_path: Path) -> None:
    """Under a new one, no old entry would bar anybody."""
    (tmp_path / "acme").mkdir()
    for controller in ("acme", "other"):
        with pytest.raises(ConfigError, match=f"'{controller}' has no suppression secret in .*: restore it"):
            SecretStore(tmp_path).digests(controller, NUMBER)
    assert not list(tmp_path.rglob("*.key"))


@pytest.mark.parametrize("mode", [0o660, 0o604, 0o644])
def test_a_secret_that_others_can_read_is_used(store: SecretStore, tmp_path: Path, mode: int) -> None:
    newest(tmp_path).chmod(mode)
    with pytest.raises(ConfigError, match="can be read by others: chmod 600 it"):
        store.check("acme")


@pytest.mark.parametrize("content", [b"", b"\n", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff\xfe" * 32])
def test_a_damaged_secret_is_used_or_quoted(store: SecretStore, tmp_path: Path, content: bytes) -> None:
    newest(tmp_path).write_bytes(content)
    with pytest.raises(ConfigError, match="contains no secret of 32 bytes in hexadecimal") as wrong:
        store.check("acme")
    assert "zz" not in str(wrong.value)


def test_an_older_version_is_forgotten_or_taken_for_the_newest(store: SecretStore, tmp_path: Path) -> None:
    first = store.digests("acme", NUMBER)
    for version in (10, 2):
        path = tmp_path / "acme" / f"suppression-{version}.key"
        path.touch(mode=0o600)
        path.write_text(f"{version:02}" * 32)
    (tmp_path / "acme" / "suppression-11.key.bak").write_text("a copy that somebody left")
    found = SecretStore(tmp_path).digests("acme", NUMBER)
    assert (found.key_version, len(found.all)) == (10, 3)
    assert found.all[0] == first.newest
    assert found.newest == found.all[-1]


def test_a_rotated_secret_forgets_the_old_one_or_is_not_written_with(store: SecretStore) -> None:
    first = store.digests("acme", NUMBER)
    assert new_secret(store, "acme") == 2
    found = store.digests("acme", NUMBER)
    assert (found.key_version, found.all) == (2, (first.newest, found.newest))
    assert [key.version for key in store.keys("acme")] == [1, 2]
    assert [key.digest(NUMBER) for key in store.keys("acme")] == list(found.all)


def test_invariant_1_bars_under_a_secret_that_was_made_since_a_number_was_keyed_bar_nobody(
    store: SecretStore, tmp_path: Path
) -> None:
    """Made by a command between the service's two steps: keying the number, and asking the database."""
    before = store.digests("acme", NUMBER)
    new_secret(elsewhere := SecretStore(tmp_path), "acme")
    checks = elsewhere.found(Holder("controller", "acme"))
    known = [f"controller acme {version} {check}" for version, check in checks.items()]
    with pytest.raises(SecretError, match="has just been followed by version 2"):
        store.heed(known, before)
    store.heed(known, store.digests("acme", NUMBER))


def test_a_running_service_does_not_see_a_secret_that_a_command_makes_or_retires(
    store: SecretStore, tmp_path: Path
) -> None:
    """It would not find what was entered under it. The folder's time does not change: its clock is coarse."""
    running, folder = SecretStore(tmp_path), tmp_path / "acme"
    stamp = folder.stat().st_mtime_ns
    assert len(running.digests("acme", NUMBER).all) == 1
    new_secret(store, "acme")
    os.utime(folder, ns=(stamp, stamp))
    written = SecretStore(tmp_path).digests("acme", NUMBER)
    assert running.digests("acme", NUMBER) == written
    assert written.key_version == 2
    store.retire("acme", 1)
    os.utime(folder, ns=(stamp, stamp))
    assert running.digests("acme", NUMBER).all == (written.newest,)


def test_a_secret_that_lies_still_is_read_at_each_call(store: SecretStore, tmp_path: Path) -> None:
    os.utime(tmp_path / "acme", ns=(0, 0))
    before = store.digests("acme", NUMBER)
    newest(tmp_path).write_text("damaged")
    assert store.digests("acme", NUMBER) == before


def test_a_secret_that_is_written_with_is_retired_or_a_retired_one_is_gone(
    store: SecretStore, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no version 1 to retire; older versions: none"):
        store.retire("acme", 1)
    secret = newest(tmp_path).read_text()
    new_secret(store, "acme")
    for version in (2, 3):
        with pytest.raises(ConfigError, match=f"no version {version} to retire; older versions: 1"):
            store.retire("acme", version)
    store.retire("acme", 1)
    assert [key.version for key in store.keys("acme")] == [2]
    assert newest(tmp_path).with_suffix(".retired").read_text() == secret
    assert new_secret(store, "acme") == 3


def test_a_register_shares_a_controllers_secret_or_is_taken_for_loaded(
    store: SecretStore, tmp_path: Path
) -> None:
    assert store.listed_as(["acme"], NUMBER) == ()
    assert not store.has_register("acme")
    assert new_secret(store, "acme", "register")
    ((register, digest),) = store.listed_as(["acme", "another"], NUMBER)
    assert register == "acme"
    assert digest == store.register_keys("acme")[-1].digest(NUMBER)
    assert digest != store.digests("acme", NUMBER).newest


def test_the_value_that_tells_secrets_apart_is_the_same_for_two_or_tells_a_digest(store: SecretStore) -> None:
    new_secret(store, "acme")
    one, two = store.keys("acme")
    assert one.check != two.check
    assert one.check == SecretStore(store.folder).keys("acme")[0].check
    assert not one.digest(NUMBER).hex().startswith(one.check)


def test_a_secret_shows_in_a_traceback(store: SecretStore) -> None:
    (key,) = store.keys("acme")
    assert repr(key) == "Key(version=1)"


def test_a_folder_that_cannot_be_written_ends_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(
        ConfigError, match=r"cannot write acme in .*keys: Not a directory: check \[keys\] dir"
    ):
        new_secret(SecretStore(tmp_path / "keys"), "acme")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a file that the service cannot read")
def test_a_secret_that_root_makes_cannot_be_read_by_the_service(tmp_path: Path) -> None:
    nobody = 65534
    os.chown(tmp_path, nobody, nobody)
    made = SecretStore(tmp_path / "keys")
    new_secret(made, "acme")
    new_secret(made, "robinson", "register")
    new_secret(made, "acme")
    assert {each.stat().st_uid for each in tmp_path.rglob("*")} == {nobody}
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == 3


READS_EACH_AS_NOBODY = """
import os, sys
from pathlib import Path
from ccari.keyring.files import check_folder
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
folder = Path(sys.argv[1])
check_folder(folder)
store = SecretStore(folder)
print(store.digests("acme", Number(sys.argv[2])).key_version, len(store.register_keys("robinson")))
print(len(RecipientFile(folder).recipients()), SigningKeys(folder).newest().version, len(JournalKey(folder).read()))
print(os.access(folder / "recordings.identity", os.R_OK), os.access(folder / "acme", os.W_OK))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can keep keys that the service may only read")
def test_a_service_that_reads_the_keys_of_root_by_its_group_loses_them_at_a_rotation(quick: Path) -> None:
    """All calls were blocked, and nobody was recorded, from ``sudo ccari keys rotate`` on. The identity is not for the service."""
    with tempfile.TemporaryDirectory(dir=quick) as made:
        Path(made).chmod(0o711)
        folder, restored = Path(made, "keys"), Path(made, "restored")
        for each in (folder, restored):
            each.mkdir()
            os.chown(each, 0, 65534)
            each.chmod(0o750)
        store = SecretStore(folder)
        for name, kind in (("acme", "controller"), ("acme", "controller"), ("robinson", "register")):
            new_secret(store, name, kind)
        RecipientFile(folder).create()
        SigningKeys(folder).create()
        SigningKeys(folder).rotate()
        JournalKey(folder).create()
        keybackup.unpack(keybackup.pack(folder, with_identity=True).tar, restored)
        for each in (folder, restored):
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", READS_EACH_AS_NOBODY, str(each), NUMBER.e164], capture_output=True, text=True,
                check=False, timeout=60,
            )  # fmt: skip
            assert (done.stdout, done.stderr) == ("2 1\n1 2 32\nFalse False\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can keep keys under another group")
def test_keys_of_root_are_given_to_the_group_of_a_folder_that_is_open_to_all(tmp_path: Path) -> None:
    """As new folders have it below one with the setgid bit, such as /usr/local: nobody has chosen this group for the keys."""
    os.chown(tmp_path, 0, 65534)
    tmp_path.chmod(0o2755)
    store = SecretStore(tmp_path / "keys")
    new_secret(store, "acme")
    new_secret(SecretStore(tmp_path), "acme")
    assert not [each for each in tmp_path.rglob("*") if each.stat().st_mode & stat.S_IRWXG]


READS_AS_NOBODY = """
import os, sys
from pathlib import Path
from ccari.policy.numbers import Number
from ccari.keyring.secrets import Holder, SecretStore
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
store = SecretStore(Path(sys.argv[1]))
for ask in (
    store.holders, lambda: store.lacks(Holder("controller", "acme")), lambda: store.retired(Holder("controller", "acme")),
    lambda: store.digests("acme", Number(sys.argv[2])), lambda: store.keys("other"),
):
    try:
        print(ask())
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a folder that another may not read")
@pytest.mark.parametrize("closed", [".", "acme"])
def test_a_secret_that_may_not_be_read_passes_for_one_that_is_lost(closed: str, quick: Path) -> None:
    with tempfile.TemporaryDirectory(dir=quick) as made:
        folder = Path(made, "keys")
        new_secret(SecretStore(folder), "acme")
        new_secret(SecretStore(folder), "other")
        # lost+found of a separate disk, say
        (folder / "foreign").mkdir(mode=0o700)
        for each in (Path(made), folder, folder / "other", folder / "acme"):
            each.chmod(0o755)
        (folder / "other/suppression-1.key").unlink()
        (folder / closed).chmod(0o711)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", READS_AS_NOBODY, str(folder), NUMBER.e164], capture_output=True, text=True,
            check=True, timeout=60,
        )  # fmt: skip
    unread = "ConfigError: cannot read {}: Permission denied: let ccari's user read it"
    holders, lacks, retired, digests, keys = done.stdout.splitlines()
    assert done.stderr == ""
    assert holders == (unread.format(folder) if closed == "." else "[]")
    if closed == "acme":
        assert lacks == retired == unread.format(folder / closed)
        # a client that asks about a number over HTTP is sent to another node
        assert digests == lacks.replace("ConfigError", "SecretError")
    assert "'other' has no suppression secret" in keys


def test_a_secret_is_gone_after_a_power_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, and its name in the folder, are on the disk before anything is written with it."""
    synced: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    made = SecretStore(tmp_path)
    new_secret(made, "acme")
    new_secret(made, "acme")
    named = [each.name for each in synced]
    assert [each for each in named if each.startswith(".suppression-2.key")]
    assert named[-1] == "acme"
    made.retire("acme", 1)
    assert len(synced) == len(named) + 1
