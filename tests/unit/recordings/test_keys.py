"""Who recordings are encrypted to, and what evidence is signed with: never made unasked, never used when exposed."""

import contextlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from ccari.errors import ConfigError
from ccari.keyring.files import check_folder, is_open
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from tests.unit.recordings.disks import mounted

AGE = shutil.which("age")
NOBODY = 65534
#: The least that a file takes of a file system in memory.
PAGE_BYTES = 4096
OTHERS = [str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2)]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def identity(folder: Path) -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.from_str((folder / "recordings.identity").read_text().splitlines()[-1])


def test_a_recipient_is_made_in_silence_or_anew(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    for ask in (RecipientFile(folder).recipients, RecipientFile(folder).renew, SigningKeys(folder).newest,
                SigningKeys(folder).rotate):  # fmt: skip
        with pytest.raises(
            ConfigError,
            match="restore it from the backup, or if there has never been one run: ccari keys init",
        ):
            ask()
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert RecipientFile(folder).create()
    assert SigningKeys(folder).create()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert not RecipientFile(folder).create()
    assert not RecipientFile(folder).create(OTHERS)
    assert not SigningKeys(folder).create()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_private_key_that_was_made_can_be_read_by_others(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    RecipientFile(folder).create()
    SigningKeys(folder).create()
    assert {path.name: mode(path) for path in folder.iterdir() if path.suffix in {".key", ".identity"}} == {
        "recordings.identity": 0o600, "evidence-1.key": 0o600,
    }  # fmt: skip
    assert mode(folder) == 0o700
    check_folder(folder)


@pytest.mark.skipif(AGE is None, reason="needs age, which Debian has")
def test_the_identity_that_was_made_opens_nothing(tmp_path: Path) -> None:
    """The age command is the independent reader; it takes the file as it is."""
    file = RecipientFile(tmp_path)
    file.create()
    sealed = pyrage.encrypt(b"said", [pyrage.x25519.Recipient.from_str(each) for each in file.recipients()])
    assert opened_by_age(sealed, tmp_path / "recordings.identity") == b"said"
    again = subprocess.run(
        [str(AGE), "-R", str(file.path)], input=b"said", capture_output=True, check=True
    ).stdout
    assert pyrage.decrypt(again, [identity(tmp_path)]) == b"said"


def opened_by_age(sealed: bytes, identity_file: Path) -> bytes:
    command = [str(AGE), "-d", "-i", str(identity_file)]
    return subprocess.run(command, input=sealed, capture_output=True, check=True).stdout


def test_an_identity_of_a_killed_command_is_lost_or_made_twice(tmp_path: Path) -> None:
    file = RecipientFile(tmp_path)
    file.create()
    file.path.unlink()
    made = identity(tmp_path)
    assert file.create()
    assert file.recipients() == (str(made.to_public()),)
    assert str(identity(tmp_path)) == str(made)


def test_a_rotation_on_a_full_disk_leaves_an_identity_that_opens_nothing(tmp_path: Path) -> None:
    """The next one said to take it to those who may listen: under its name they had the identity that opens all recordings."""
    with mounted(tmp_path / "disk", "size=64k") as disk:
        file = RecipientFile(disk)
        file.create()
        registered = file.recipients()
        file.identity_path.unlink()
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as full, contextlib.suppress(OSError):
            while full.write(bytes(PAGE_BYTES)):
                pass
        # room for one of the two files
        os.truncate(filler, filler.stat().st_size - PAGE_BYTES)
        with pytest.raises(ConfigError, match="No space left on device"):
            file.renew()
        assert {each.name for each in disk.iterdir()} == {"filler", "recordings.recipients"}
        assert file.recipients() == registered
        filler.unlink()
        (renewed,) = file.renew()
        assert str(identity(disk).to_public()) == renewed


def test_an_identity_of_a_killed_rotation_is_to_be_put_over_one_that_opens_recordings(tmp_path: Path) -> None:
    file = RecipientFile(tmp_path)
    file.create()
    file.identity_path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(
        ConfigError,
        match=r"still exists, and recordings are not encrypted to it: it opens nothing if .*, over none of them",
    ):
        file.renew()
    file.identity_path.write_text("")
    with pytest.raises(ConfigError, match="still exists: take it to those who may listen"):
        file.renew()


def test_registered_recipients_get_an_identity_of_ours_beside_them(tmp_path: Path) -> None:
    file = RecipientFile(tmp_path)
    assert file.create([f" {OTHERS[0]}\n", OTHERS[1], OTHERS[0]])
    assert file.recipients() == tuple(OTHERS)
    assert [path.name for path in tmp_path.iterdir()] == ["recordings.recipients"]


def test_a_comment_is_taken_for_a_recipient_or_lost_with_the_next_one(tmp_path: Path) -> None:
    file = RecipientFile(tmp_path)
    file.path.write_text(f"# the DPO\n\n  {OTHERS[0]}  \n{OTHERS[0]}\n# end")
    assert file.recipients() == (OTHERS[0],)
    assert file.renew([OTHERS[1]], add=True) == tuple(OTHERS)
    assert file.path.read_text().startswith(f"# the DPO\n\n  {OTHERS[0]}  \n{OTHERS[0]}\n# end\n")


def test_an_old_recipient_opens_what_is_recorded_after_it_was_replaced(tmp_path: Path) -> None:
    file = RecipientFile(tmp_path)
    file.create()
    (first,) = file.recipients()
    with pytest.raises(
        ConfigError, match=r"recordings.identity still exists: take it to those who may listen"
    ):
        file.renew()
    assert file.recipients() == (first,)
    (tmp_path / "recordings.identity").rename(tmp_path / "taken-away")
    (second,) = file.renew()
    assert second not in {first, *OTHERS}
    assert str(identity(tmp_path).to_public()) == second
    assert file.renew(OTHERS[:1]) == (OTHERS[0],)
    assert file.renew(OTHERS, add=True) == tuple(OTHERS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (str(pyrage.x25519.Identity.generate()), "line 2: this is an identity, a secret that is now exposed"),
        (OTHERS[0][:-1], "line 2: this is not an age recipient"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "line 2: this is not an age recipient"),
        (f"{OTHERS[0]} {OTHERS[1]}", "line 2: this is not an age recipient"),
        ("", "there is no recipient of recordings in "),
        ("# nobody", "there is no recipient of recordings in "),
    ],
    ids=["an identity", "cut off", "of ssh", "two in a line", "nothing", "a comment"],
)
def test_a_damaged_recipient_is_passed_over_or_quoted(tmp_path: Path, content: str, words: str) -> None:
    """It may be the secret half, pasted into the wrong file; and a good one beside it is no excuse."""
    file = RecipientFile(tmp_path)
    file.path.write_text(f"{OTHERS[0] if 'line 2' in words else ''}\n{content}\n")
    with pytest.raises(ConfigError, match=words) as wrong:
        file.recipients()
    assert not content or content not in str(wrong.value)
    if "line 2" in words:
        with pytest.raises(ConfigError, match=words.removeprefix("line 2: ")) as wrong:
            RecipientFile(tmp_path / "new").create([content])
        assert content not in str(wrong.value)
        assert not (tmp_path / "new").exists()


def test_recipients_that_others_can_write_are_encrypted_to(tmp_path: Path) -> None:
    """Anybody who adds their own recipient there can hear every recording from then on."""
    file = RecipientFile(tmp_path)
    file.create(OTHERS[:1])
    file.path.chmod(0o644)
    assert file.recipients() == (OTHERS[0],)
    for each in (0o664, 0o646):
        file.path.chmod(each)
        with pytest.raises(ConfigError, match="can be written by others: chmod go-w it"):
            file.recipients()


def test_what_is_signed_is_verified_by_another_key_or_after_a_change(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    first = keys.newest()
    signature = first.sign(b"root")
    second = keys.rotate()
    assert (keys.newest().version, keys.newest().fingerprint) == (2, second.fingerprint)
    assert [each.version for each in keys.all()] == [1, 2]
    assert keys.public(first.fingerprint).verifies(signature, b"root")
    assert not keys.public(first.fingerprint).verifies(signature, b"rood")
    assert not keys.public(second.fingerprint).verifies(signature, b"root")
    with pytest.raises(ConfigError, match="there is no evidence key '0000000000000000'"):
        keys.public("0" * 16)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_stranger_cannot_verify_a_signature_or_find_the_fingerprint(tmp_path: Path) -> None:
    """OpenSSL, which knows nothing of ccari."""
    keys = SigningKeys(tmp_path)
    keys.create()
    (tmp_path / "data").write_bytes(b"root")
    (tmp_path / "signature").write_bytes(keys.newest().sign(b"root"))
    public = str(tmp_path / "evidence-1.pub")
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", str(tmp_path / "data"),
              "-sigfile", str(tmp_path / "signature")]  # fmt: skip
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    (tmp_path / "data").write_bytes(b"rood")
    assert subprocess.run(verify, capture_output=True, check=False).returncode != 0
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", public, "-outform", "DER"], capture_output=True, check=True
    ).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256"], input=der, capture_output=True, check=True).stdout
    assert digest.decode().split()[-1][:16] == keys.newest().fingerprint


def test_the_tenth_key_comes_before_the_second(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    for version in range(2, 11):
        assert keys.rotate().version == version
    (tmp_path / "evidence-11.key.bak").write_text("a copy that somebody left")
    assert keys.newest().version == 10


def test_an_older_key_signs_in_silence_where_the_newest_is_lost(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    lost = keys.rotate()
    (tmp_path / "evidence-2.key").unlink()
    with pytest.raises(ConfigError, match=r"evidence-2.key is missing: .*run: ccari keys rotate --evidence"):
        keys.newest()
    assert not keys.create()
    assert keys.public(lost.fingerprint).version == 2
    assert keys.rotate().version == 3


def test_a_public_half_that_is_lost_stops_the_signing_or_the_verifying(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    (tmp_path / "evidence-1.pub").unlink()
    made = keys.newest()
    assert keys.public(made.fingerprint).verifies(made.sign(b"root"), b"root")


def test_halves_of_two_pairs_are_used_as_one(tmp_path: Path) -> None:
    """What is signed with one would not verify with any published key."""
    keys = SigningKeys(tmp_path)
    keys.create()
    keys.rotate()
    (tmp_path / "evidence-1.pub").rename(tmp_path / "evidence-2.pub")
    with pytest.raises(ConfigError, match=r"evidence-2.key and evidence-2.pub are not a pair: restore both"):
        keys.newest()


def other_pem() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"s3cret", b"-----BEGIN PRIVATE KEY-----\ns3cret\n", other_pem()],
    ids=["nothing", "text", "cut off", "of another kind"],
)
@pytest.mark.parametrize("half", ["key", "pub"])
def test_a_damaged_evidence_key_is_used_or_quoted(tmp_path: Path, half: str, content: bytes) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    (tmp_path / f"evidence-1.{half}").write_bytes(content)
    with pytest.raises(ConfigError, match=f"evidence-1.{half} contains no Ed25519 .*restore it") as wrong:
        keys.newest()
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize("spoilt", [0o660, 0o604, 0o644])
def test_an_evidence_key_that_others_can_read_signs(tmp_path: Path, spoilt: int) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    (tmp_path / "evidence-1.key").chmod(spoilt)
    with pytest.raises(
        ConfigError, match="can be read by others: chmod 600 it, and find out whether anybody has read it"
    ):
        keys.newest()


def test_an_evidence_key_shows_in_a_traceback(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    assert repr(keys.newest()) == "SigningKey(version=1)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_has_rotated_cannot_be_read_by_the_service(tmp_path: Path) -> None:
    nobody = 65534
    RecipientFile(tmp_path).create(OTHERS[:1])
    SigningKeys(tmp_path).create()
    for each in (tmp_path, *tmp_path.iterdir()):
        os.chown(each, nobody, nobody)
    RecipientFile(tmp_path).renew(OTHERS[1:])
    SigningKeys(tmp_path).rotate()
    assert {
        (each.name, each.stat().st_uid, each.stat().st_gid, mode(each)) for each in tmp_path.iterdir()
    } == {
        (name, nobody, nobody, 0o600)
        for name in (
            "recordings.recipients",
            "evidence-1.key",
            "evidence-1.pub",
            "evidence-2.key",
            "evidence-2.pub",
        )
    }


def test_a_private_file_anywhere_in_the_folder_is_open_unnoticed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    RecipientFile(folder).create()
    SigningKeys(folder).create()
    deep = folder / "registers" / "robinson" / "suppression-1.key"
    deep.parent.mkdir(parents=True)
    deep.touch(mode=0o600)
    for each in ("evidence-1.pub", "recordings.recipients"):
        (folder / each).chmod(0o644)
    check_folder(folder)
    for path, spoilt, good, words in (
        (deep, 0o660, 0o600, "can be read by others: chmod 600 it"),
        (folder / "recordings.identity", 0o644, 0o600, "can be read by others: chmod 600 it"),
        (folder / "evidence-1.pub", 0o664, 0o644, "can be written by others: chmod go-w it"),
        (deep.parent, 0o777, 0o700, "other users can put files into .*: chmod go-w it"),
        (folder, 0o770, 0o700, "other users can put files into .*: chmod go-w it"),
    ):
        path.chmod(spoilt)
        with pytest.raises(ConfigError, match=words) as wrong:
            check_folder(folder)
        assert str(path) in str(wrong.value)
        path.chmod(good)
    check_folder(folder)
    (folder / "dangling").symlink_to("/nowhere")
    check_folder(folder)
    open_elsewhere = tmp_path / "elsewhere"
    open_elsewhere.touch(mode=0o644)
    (folder / "link.key").symlink_to(open_elsewhere)
    with pytest.raises(ConfigError, match=r"link.key can be read by others"):
        check_folder(folder)


def test_a_folder_that_cannot_be_written_ends_the_making_in_a_traceback(tmp_path: Path) -> None:
    in_the_way = tmp_path / "keys"
    in_the_way.write_text("in the way")
    for make in (RecipientFile(in_the_way).create, SigningKeys(in_the_way).create):
        with pytest.raises(
            ConfigError, match=r"(cannot write|cannot read) .*keys: .* check \[keys\] dir|Not a directory"
        ):
            make()


#: Mode of a file that belongs to root, and whether it is open to others.
OF_ROOT = {0o440: False, 0o640: False, 0o400: False, 0o460: True, 0o650: True, 0o444: True, 0o604: True}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of root's")
@pytest.mark.parametrize("mode", OF_ROOT, ids=oct)
def test_a_credential_that_root_gives_to_the_service_is_refused_or_passes_when_it_is_open(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "passphrase"
    path.touch()
    path.chmod(mode)
    assert is_open(path, path.stat()) is OF_ROOT[mode]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to others")
def test_an_owner_may_give_a_private_file_to_their_group(tmp_path: Path) -> None:
    """If the file is root's, root decides who is in the group; if it is another user's, somebody else does."""
    path = tmp_path / "suppression-1.key"
    path.touch()
    path.chmod(0o640)
    os.chown(path, NOBODY, NOBODY)
    assert is_open(path, path.stat())
    path.chmod(0o600)
    assert not is_open(path, path.stat())
