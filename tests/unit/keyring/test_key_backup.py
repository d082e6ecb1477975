"""A backup of the keys: complete or none at all, readable by other programs too, and never written over a key."""

import io
import os
import pty
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyrage
import pytest

from ccari.errors import ConfigError
from ccari.keyring import keybackup
from ccari.keyring.secrets import SecretStore
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from tests.faults.files import with_a_bit_changed
from tests.unit.store.made import new_secret

AGE = shutil.which("age")
PASSPHRASE = "ten words that nobody else would say — żółw"  # noqa: S105 - of these tests


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def modes_of(folder: Path) -> set[tuple[str, int]]:
    return {("folder" if each.is_dir() else "file", stat.S_IMODE(each.stat().st_mode))
            for each in (folder, *folder.rglob("*"))}  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keys folder with one of everything."""
    folder = tmp_path_factory.mktemp("keys") / "keys"
    store = SecretStore(folder)
    new_secret(store, "acme")
    new_secret(store, "acme")
    store.retire("acme", 1)
    new_secret(store, "robinson", "register")
    RecipientFile(folder).create()
    SigningKeys(folder).create()
    (folder / "acme" / ".suppression-3.draft").write_text("half a secr")
    (folder / "empty").mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="module")
def sealed(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its backup: making one takes a second, and so does trying a passphrase."""
    to = tmp_path_factory.mktemp("backup") / "keys.age"
    keybackup.write(keybackup.pack(keys), to, PASSPHRASE)
    return to


def test_a_key_is_left_out_of_the_backup_or_the_identity_is_in_it(keys: Path) -> None:
    """What opens recordings must not be stored with them, even under another name."""
    (keys / "acme" / "copy-of-it.txt").write_bytes((keys / "recordings.identity").read_bytes().lower())
    try:
        packed = keybackup.pack(keys)
        assert set(packed.left_out) == {"recordings.identity", "acme/copy-of-it.txt"}
        assert set(packed.files) == {
            "acme/suppression-1.retired", "acme/suppression-2.key", "registers/robinson/suppression-1.key",
            "recordings.recipients", "evidence-1.key", "evidence-1.pub",
        }  # fmt: skip
        assert b"AGE-SECRET-KEY" not in packed.tar.upper()
        assert "recordings.identity" in keybackup.pack(keys, with_identity=True).files
    finally:
        (keys / "acme" / "copy-of-it.txt").unlink()


def test_what_is_restored_is_not_what_was_there_or_is_open_to_others(keys: Path, tmp_path: Path) -> None:
    """Whatever the umask."""
    packed = keybackup.pack(keys, with_identity=True)
    folder = tmp_path / "made" / "keys"
    before = os.umask(0)
    try:
        restored = keybackup.unpack(packed.tar, folder)
    finally:
        os.umask(before)
    assert set(restored) == set(packed.files)
    assert content_of(folder) == {name: (keys / name).read_bytes() for name in packed.files}
    assert modes_of(folder) == {("folder", 0o700), ("file", 0o600)}
    assert [each.name for each in folder.parent.iterdir()] == ["keys"]
    SecretStore(folder).check("acme")
    assert SigningKeys(folder).newest().fingerprint == SigningKeys(keys).newest().fingerprint
    assert RecipientFile(folder).recipients() == RecipientFile(keys).recipients()


def test_a_backup_cannot_be_put_into_an_empty_folder_or_goes_over_a_full_one(
    keys: Path, tmp_path: Path
) -> None:
    packed = keybackup.pack(keys)
    there = tmp_path / "there"
    there.mkdir(mode=0o700)
    keybackup.unpack(packed.tar, there)
    assert set(content_of(there)) == set(packed.files)
    assert not [each for each in there.iterdir() if each.name.startswith(".")]
    for name in ("acme/suppression-1.retired", "acme/suppression-2.key", "recordings.recipients",
                 "registers/robinson/suppression-1.key", "evidence-1.key"):  # fmt: skip
        (there / name).unlink()
    before = content_of(there)
    with pytest.raises(ConfigError, match="there is not empty, and keys are never overwritten"):
        keybackup.unpack(packed.tar, there)
    assert content_of(there) == before


@pytest.mark.parametrize("there", [True, False])
def test_a_restore_is_over_before_it_is_on_the_disk(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """After a power cut some seconds later, only the folder of the restore was there: the keys were not, and could not be restored."""
    to, sync = tmp_path / "new", os.fsync
    settled: list[tuple[Path, bool]] = []

    def synced(handle: int) -> None:
        settled.append((Path(f"/proc/self/fd/{handle}").readlink(), (to / "acme").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    if there:
        to.mkdir()
    keybackup.unpack(keybackup.pack(keys).tar, to)
    assert settled[-1] == (to if there else tmp_path, True)


@pytest.mark.parametrize("there", [True, False])
def test_what_a_killed_restore_has_left_stays_for_good_or_is_in_the_way(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    to, packed = tmp_path / "new", keybackup.pack(keys)
    if there:
        to.mkdir()
    if not (killed := os.fork()):
        # at the first key
        monkeypatch.setattr(keybackup, "write_new", lambda *_: os._exit(9))
        keybackup.unpack(packed.tar, to)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9
    assert [*tmp_path.rglob("*.restoring")]
    assert keybackup.unpack(packed.tar, to) == packed.files
    assert not [*tmp_path.rglob("*.restoring")]


@pytest.mark.parametrize("there", [False, True], ids=["no-folder", "an-empty-folder"])
def test_what_root_restores_cannot_be_read_by_the_service(keys: Path, tmp_path: Path, *, there: bool) -> None:
    """As what root creates there: it belongs to the owner of the folder above."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may give files away")
    data_dir, nobody = tmp_path / "data", 65534
    (folder := data_dir / "keys").mkdir(parents=True)
    for each in (data_dir, folder):
        os.chown(each, nobody, nobody)
    if not there:
        folder.rmdir()
    keybackup.unpack(keybackup.pack(keys).tar, folder)
    restored = {str(each.relative_to(data_dir)): each.stat() for each in data_dir.rglob("*")}
    assert {"keys", "keys/acme", "keys/registers/robinson/suppression-1.key"} <= restored.keys()
    assert {
        name for name, each in restored.items() if (each.st_uid, each.st_gid) != (nobody, nobody)
    } == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a folder that another may not read")
def test_keys_on_a_disk_of_their_own_can_be_neither_backed_up_nor_restored(quick: Path, keys: Path) -> None:
    """Its file system has a folder that only root reads, and the service's user makes the backup."""
    with tempfile.TemporaryDirectory(dir=quick) as made:
        Path(made).chmod(0o711)
        disk, nobody = Path(made, "keys"), 65534
        (disk / "lost+found").mkdir(mode=0o700, parents=True)
        keybackup.unpack(keybackup.pack(keys).tar, disk)
        for each in (disk, *disk.rglob("*")):
            if each.name != "lost+found":
                os.chown(each, nobody, nobody)
        if not (child := os.fork()):
            os.setgroups([])
            os.setresgid(nobody, nobody, nobody)
            os.setresuid(nobody, nobody, nobody)
            try:
                os._exit(len(keybackup.pack(disk).files))
            except ConfigError:
                os._exit(255)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(keybackup.pack(keys).files)


def tar_of(*entries: tuple[str, bytes], **more: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (("acme/suppression-1.key", b"x"), *entries):
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = (
                len(content),
                more.get("kind", tarfile.REGTYPE),
                "/etc/passwd",
            )
            if name.startswith("acme/suppression"):
                entry.type = tarfile.REGTYPE
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


UNSAFE: Mapping[str, tuple[bytes, str]] = {
    "absolute": (tar_of(("/etc/cron.d/x", b"x")), "leads out of the folder"),
    "above": (tar_of(("acme/../../x", b"x")), "leads out of the folder"),
    "control characters": (tar_of(("acme/\x1b[2J", b"x")), "leads out of the folder"),
    "a link": (tar_of(("acme/link", b""), kind=tarfile.SYMTYPE), "something that is not a key: 'acme/link'"),
    "a hard link": (
        tar_of(("acme/link", b""), kind=tarfile.LNKTYPE),
        "something that is not a key: 'acme/link'",
    ),
    "a device": (
        tar_of(("acme/null", b""), kind=tarfile.CHRTYPE),
        "something that is not a key: 'acme/null'",
    ),
    "a pipe": (tar_of(("acme/pipe", b""), kind=tarfile.FIFOTYPE), "something that is not a key: 'acme/pipe'"),
    "huge": (
        tar_of(("acme/big", bytes(keybackup.MOST_BYTES + 1))),
        "something that is not a key: 'acme/big'",
    ),
    "twice": (tar_of(("acme/./suppression-1.key", b"y")), "contains 'acme/suppression-1.key' twice"),
    "a file as a folder": (tar_of(("acme/suppression-1.key/x", b"y")), "cannot write in "),
    "cut off": (tar_of()[:600], "is damaged|there is no key|no tar"),
    "no tar": (b"x" * 5000, "is damaged: what is encrypted in it is not a tar archive"),
    "nothing": (b"", "is damaged|there is no key in the backup"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_or_damaged_tar_writes_something(tmp_path: Path, name: str) -> None:
    tar, words = UNSAFE[name]
    folder = tmp_path / "keys"
    with pytest.raises(ConfigError, match=words):
        keybackup.unpack(tar, folder)
    assert list(tmp_path.iterdir()) == []
    folder.mkdir()
    with pytest.raises(ConfigError, match=words):
        keybackup.unpack(tar, folder)
    assert list(folder.iterdir()) == []


def test_a_tar_that_tar_has_made_is_not_taken(keys: Path, tmp_path: Path) -> None:
    made = subprocess.run(["tar", "c", "-C", str(keys), "."], capture_output=True, check=True).stdout
    keybackup.unpack(made, tmp_path / "keys")
    assert content_of(tmp_path / "keys") == content_of(keys)


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_what_is_no_file_is_missing_from_the_backup_in_silence(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "keys"
    SigningKeys(folder).create()
    odd = folder / "odd.key"
    match kind:
        case "link":
            odd.symlink_to(folder / "evidence-1.key")
        case "dangling":
            odd.symlink_to("/nowhere")
        case "folder":
            odd.symlink_to(tmp_path)
        case _:
            os.mkfifo(odd)
    with pytest.raises(ConfigError, match=r"odd.key is not a regular file, and would not be backed up"):
        keybackup.pack(folder)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("core", (1 << 20) + 1, "is too large for a key"),
        ("key\u00a0of anna", 1, "could not be restored under that name"),
    ],
    ids=["large", "name"],
)
def test_a_backup_is_made_that_cannot_be_restored(tmp_path: Path, name: str, size: int, words: str) -> None:
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    (tmp_path / "keys" / name).write_bytes(bytes(size))
    with pytest.raises(ConfigError, match=words):
        keybackup.pack(tmp_path / "keys")
    (tmp_path / "keys" / name).rename(tmp_path / "elsewhere")
    keybackup.unpack(keybackup.pack(tmp_path / "keys").tar, tmp_path / "restored")


def test_a_backup_of_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*none to back up"):
        keybackup.pack(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    RecipientFile(tmp_path / "keys").create()
    (tmp_path / "keys" / "recordings.recipients").unlink()
    with pytest.raises(ConfigError, match=r"there is no key in .* to back up"):
        keybackup.pack(tmp_path / "keys")


def test_a_backup_can_be_read_by_others_or_shows_a_secret(sealed: Path, keys: Path) -> None:
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert [each.name for each in sealed.parent.iterdir()] == ["keys.age"]
    raw = sealed.read_bytes()
    assert raw.startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert (keys / "acme/suppression-2.key").read_bytes().strip() not in raw
    assert b"suppression" not in raw


def test_a_backup_does_not_open_or_opens_by_another_passphrase(
    sealed: Path, keys: Path, tmp_path: Path
) -> None:
    assert keybackup.read(sealed, lambda: PASSPHRASE) == keybackup.pack(keys).tar
    damaged = {"cut": sealed.read_bytes()[:-1], "changed": with_a_bit_changed(sealed.read_bytes())}
    for name, raw in damaged.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(
            ConfigError, match=f"{name} cannot be opened: .* or the file is damaged or cut off"
        ):
            keybackup.read(tmp_path / name, lambda: PASSPHRASE)
    with pytest.raises(ConfigError, match="cannot be opened: the passphrase is wrong") as wrong:
        keybackup.read(sealed, lambda: "another passphrase")
    assert "another passphrase" not in str(wrong.value)


def test_a_machine_that_is_too_slow_calls_the_passphrase_wrong(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keybackup, "TRIES", 2)
    _, stanza, _ = sealed.read_bytes().split(b"\n", 2)
    asked_for = stanza.rpartition(b" ")[0] + b" 40"
    (file := tmp_path / "slow.age").write_bytes(sealed.read_bytes().replace(stanza, asked_for, 1))
    with pytest.raises(
        ConfigError, match=r"slow\.age cannot be opened here: this machine is too busy, or too slow"
    ):
        keybackup.read(file, lambda: PASSPHRASE)


def test_a_machine_that_is_busy_for_some_seconds_calls_the_passphrase_wrong(
    sealed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As age measures it; the measurement itself cannot be made to fail. After these, it measures the machine itself."""
    decrypt, measured = pyrage.passphrase.decrypt, iter([False] * 20)

    def measuring(encrypted: bytes, passphrase: str) -> bytes:
        if not next(measured, True):
            raise pyrage.DecryptError("Excessive work parameter for passphrase.")
        return decrypt(encrypted, passphrase)

    monkeypatch.setattr(pyrage.passphrase, "decrypt", measuring)
    assert keybackup.read(sealed, lambda: PASSPHRASE) == keybackup.pack(keys).tar


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "cannot read .*: No such file"), (b"", "is not a backup of keys"), (b"PK\3\4" * 20, "is not a backup of keys"),
        (b"age-encryption.org/v1\n", "cannot be opened"), (b"age-encryption.org/v1\n-> X25519 abc\n", "cannot be opened"),
    ],
)  # fmt: skip
def test_what_is_no_backup_ends_in_a_traceback(tmp_path: Path, raw: bytes | None, words: str) -> None:
    if raw is not None:
        (tmp_path / "file").write_bytes(raw)
    with pytest.raises(ConfigError, match=words):
        keybackup.read(tmp_path / "file", lambda: PASSPHRASE)


def test_a_backup_is_written_over_a_file_or_through_a_link(sealed: Path, tmp_path: Path) -> None:
    packed = keybackup.Packed(b"tar", ("x",), ())
    before = sealed.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for to in (sealed, tmp_path / "link", tmp_path):
        with pytest.raises(ConfigError, match="already exists, and no backup is overwritten"):
            keybackup.write(packed, to, PASSPHRASE)
    assert sealed.read_bytes() == before
    assert not (tmp_path / "elsewhere").exists()


def test_a_backup_that_could_not_be_written_leaves_a_part_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pyrage.passphrase, "encrypt", lambda _tar, _passphrase: b"encrypted")
    packed = keybackup.Packed(b"tar", ("x",), ())

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=r"cannot write .*: No space left on device"):
            keybackup.write(packed, tmp_path / "keys.age", PASSPHRASE)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"cannot write .*none/keys.age: No such file or directory"):
        keybackup.write(packed, tmp_path / "none" / "keys.age", PASSPHRASE)

    def no_links(_self: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    keybackup.write(packed, tmp_path / "keys.age", PASSPHRASE)
    assert [each.name for each in tmp_path.iterdir()] == ["keys.age"]


@pytest.mark.skipif(AGE is None, reason="needs age, which Debian has")
def test_a_backup_opens_with_ccari_alone(sealed: Path, keys: Path, tmp_path: Path) -> None:
    """The age command asks for the passphrase on its terminal, and tar does the rest."""
    child, terminal = pty.fork()
    if child == 0:
        os.execlp(str(AGE), "age", "-d", "-o", str(tmp_path / "keys.tar"), str(sealed))  # noqa: S606
    said = b""
    while b"passphrase" not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, PASSPHRASE.encode() + b"\n")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, said
    (tmp_path / "keys").mkdir()
    subprocess.run(["tar", "x", "-C", str(tmp_path / "keys"), "-f", str(tmp_path / "keys.tar")], check=True)
    packed = keybackup.pack(keys)
    assert content_of(tmp_path / "keys") == {name: (keys / name).read_bytes() for name in packed.files}
    assert modes_of(tmp_path / "keys" / "acme") == {("folder", 0o700), ("file", 0o600)}
