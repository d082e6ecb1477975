"""``ccari keys``, run as a person runs it."""

import asyncio
import json
import os
import pty
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pyrage
import pytest

from ccari.keyring.journal_key import JournalKey, check
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from ccari.store.opened import Store
from tests.folders import open_folder
from tests.integration.service import Done, Service, command
from tests.unit.store import made
from tests.unit.store.commands import piped, refused

RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
WHAT_TO_DO = (
    "opens recordings. Move it to the machines of those who may listen, keep a copy in a safe place, and remove it here: "
    "the service does not need it, and an intruder must not find it"
)
PASSPHRASE = "a passphrase of these tests"  # noqa: S105 - of these tests


@pytest.fixture
async def ccari(dsn: str, store: Store, tmp_path: Path) -> Service:
    """The commands on the test's database, with a policy and no keys."""
    await store.policies.apply(made.POLICY, "test")
    return without_database({"CCARI_DATABASE__URL": dsn}, tmp_path)


def without_database(environment: dict[str, str], tmp_path: Path) -> Service:
    return Service(
        environment | {"CCARI_KEYS__DIR": str(tmp_path / "keys"), "CCARI_DATA_DIR": str(tmp_path)},
        tmp_path / "log", tmp_path / "err",
    )  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Service:
    """The commands where there is no database, and none is needed."""
    return without_database({"CCARI_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none"}, tmp_path)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A file with a passphrase."""
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text(PASSPHRASE + "\n")
    return path


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


async def test_a_key_is_not_made_or_nobody_is_told_what_to_do_with_it(ccari: Service, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    done = await ccari.ccari("keys", "init")
    assert done.code == 0, done.err
    (recipient,), evidence = RecipientFile(keys).recipients(), SigningKeys(keys).newest()
    assert done.out.splitlines() == [
        f"acme: made, in {keys}/acme",
        f"recordings: recipients made, in {keys}/recordings.recipients: {recipient}",
        f"recordings: {keys}/recordings.identity {WHAT_TO_DO}",
        f"evidence: key {evidence.fingerprint} made, in {keys}",
        f"local journal: key {check(JournalKey(keys).read())} made, in {keys}",
        "back them up, and keep the backup elsewhere: ccari keys backup --to FILE",
    ]
    before = content_of(keys)
    again = await ccari.ccari("keys", "init")
    said = done.out.replace("recipients made", "recipients existed already")
    said = said.replace(": made", ": existed already")
    for key in (evidence.fingerprint, check(JournalKey(keys).read())):
        said = said.replace(f"{key} made", f"{key} existed already")
    assert again.out == said
    assert content_of(keys) == before
    (keys / "recordings.identity").unlink()
    assert "recordings.identity" not in (await ccari.ccari("keys", "init")).out


async def test_keys_are_left_unmade_where_nobody_reads_on(ccari: Service, tmp_path: Path) -> None:
    """For example by ``ccari keys init | head -1``, whose exit status is that of head."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = await asyncio.to_thread(
            subprocess.run, command("keys", "init"), stdout=gone, stderr=subprocess.PIPE, timeout=60, check=False,
            env=os.environ | ccari.environment,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        b"ccari: the keys that were missing are made; the output could not be printed: Broken pipe\n"
    )
    assert {"acme", "recordings.identity", "evidence-1.key", "journal.key"} <= names(tmp_path / "keys")


async def test_a_registered_recipient_is_passed_over_in_silence(ccari: Service, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    identity = str(pyrage.x25519.Identity.generate())
    done = await ccari.ccari("keys", "init", "--recipient", identity)
    refused(done, "this is an identity, a secret that is now exposed")
    assert identity not in done.err
    assert not keys.exists()
    other = str(pyrage.x25519.Identity.generate().to_public())
    done = await ccari.ccari("keys", "init", "--recipient", RECIPIENT, "--recipient", other)
    assert done.code == 0, done.err
    assert RecipientFile(keys).recipients() == (RECIPIENT, other)
    assert not (keys / "recordings.identity").exists()
    assert (await ccari.ccari("keys", "init", "--recipient", RECIPIENT)).code == 0
    third = str(pyrage.x25519.Identity.generate().to_public())
    refused(
        await ccari.ccari("keys", "init", "--recipient", third),
        "already contains recipients", "ccari keys rotate --recordings --recipient",
    )  # fmt: skip
    assert RecipientFile(keys).recipients() == (RECIPIENT, other)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CCARI_RECORDINGS__ENCRYPTION", "none", "not encrypted, as [recordings] encryption says"),
        ("CCARI_ASTERISK__URL", "off", "none are made, as [asterisk] url says"),
    ],
)
async def test_an_identity_that_nobody_needs_is_made(
    ccari: Service, tmp_path: Path, name: str, value: str, said: str
) -> None:
    ccari.environment = {**ccari.environment, name: value}
    done = await ccari.ccari("keys", "init")
    assert f"recordings: {said}" in done.out.splitlines()
    assert names(tmp_path / "keys") == {
        "acme",
        "evidence-1.key",
        "evidence-1.pub",
        "journal.key",
    }


async def test_a_list_of_keys_lacks_one_or_shows_a_secret(ccari: Service, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    await ccari.ccari("keys", "init", "--recipient", RECIPIENT)
    await ccari.ccari("keys", "rotate", "--evidence")
    rows = await ccari.json("keys", "list")
    first, second = (each.fingerprint for each in SigningKeys(keys).all())
    assert [row["kind"] for row in rows] == ["suppression", "recipient", "evidence", "evidence", "journal"]
    assert [(row["version"], row["check"], row["use"]) for row in rows[1:]] == [
        (None, RECIPIENT, "opens recordings"), (1, first, "verifies"), (2, second, "signs"),
        (None, check(JournalKey(keys).read()), "encrypts"),
    ]  # fmt: skip
    table = (await ccari.ccari("keys", "list")).out
    assert all(each in table for each in (RECIPIENT, first, second))
    for each in (keys / "acme/suppression-1.key", keys / "evidence-2.key"):
        secret = [line for line in each.read_text().splitlines() if not line.startswith("---")]
        assert not any(line in table + json.dumps(rows) for line in secret)


async def test_a_rotation_is_of_the_wrong_kind_or_loses_an_older_key(bare: Service, tmp_path: Path) -> None:
    """It needs no database."""
    keys = tmp_path / "keys"
    refused(
        await bare.ccari("keys", "rotate", "--evidence"), "there is no evidence key in", "ccari keys init"
    )
    refused(
        await bare.ccari("keys", "rotate", "--recordings"), "there is no recipient of recordings", "keys init"
    )
    RecipientFile(keys).create()
    SigningKeys(keys).create()
    old = SigningKeys(keys).newest()
    done = await bare.ccari("keys", "rotate", "--evidence")
    new = SigningKeys(keys).newest()
    assert done.out == f"evidence: signed with key {new.fingerprint} from now on, version 2; back it up\n"
    assert SigningKeys(keys).public(old.fingerprint).version == 1
    (own,) = RecipientFile(keys).recipients()
    refused(await bare.ccari("keys", "rotate", "--recordings"), "recordings.identity still exists")
    done = await bare.ccari("keys", "rotate", "--recordings", "--recipient", RECIPIENT, "--add")
    assert done.code == 0, done.err
    assert RecipientFile(keys).recipients() == (own, RECIPIENT)
    done = await bare.ccari("keys", "rotate", "--recordings", "--recipient", RECIPIENT)
    assert RecipientFile(keys).recipients() == (RECIPIENT,)
    assert "can be opened only with the earlier identity: keep that too" in done.out
    before = content_of(keys)
    for wrong in (
        ("--recordings", "--evidence"), ("--evidence", "--controller", "acme"), ("--add",), ("--recipient", RECIPIENT),
    ):  # fmt: skip
        assert (await bare.ccari("keys", "rotate", *wrong)).code == 2, wrong
    assert content_of(keys) == before


async def test_what_is_backed_up_does_not_come_back(bare: Service, tmp_path: Path, words: Path) -> None:
    keys, to = tmp_path / "keys", tmp_path / "keys.age"
    RecipientFile(keys).create()
    SigningKeys(keys).create()
    before = content_of(keys)
    done = await bare.ccari("keys", "backup", "--to", str(to), "--passphrase-file", str(words))
    assert done.code == 0, done.err
    told, left_out = done.out.splitlines()
    assert told.startswith(f"{to}: 3 files of {keys}; keep it")
    assert left_out.startswith("left out: recordings.identity, which opens recordings: give it to")
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert not tarfile.is_tarfile(to)
    restore = ("keys", "restore", str(to), "--passphrase-file", str(words))
    refused(await bare.ccari(*restore), f"{keys} is not empty, and keys are never overwritten")
    shutil.rmtree(keys)
    done = await bare.ccari(*restore)
    assert (done.code, done.out) == (0, f"3 files are in {keys}; check the installation: ccari doctor\n")
    before.pop("recordings.identity")
    assert content_of(keys) == before


async def test_a_passphrase_must_lie_on_a_disk(bare: Service, tmp_path: Path) -> None:
    """As a shell provides one, by ``<(pass show …)``: somebody then has it elsewhere, at the latest after a disaster."""
    keys, to = tmp_path / "keys", tmp_path / "keys.age"
    SigningKeys(keys).create()
    before = content_of(keys)
    with piped(b"a passphrase of these tests\n") as pipe:
        done = await bare.ccari("keys", "backup", "--to", str(to), "--passphrase-file", str(pipe))
        assert done.code == 0, done.err
    shutil.rmtree(keys)
    with piped(b"a passphrase of these tests\n") as pipe:
        done = await bare.ccari("keys", "restore", str(to), "--passphrase-file", str(pipe))
        assert done.code == 0, done.err
    assert content_of(keys) == before


async def test_a_misused_backup_ends_in_a_traceback_or_leaves_something(
    bare: Service, tmp_path: Path, words: Path
) -> None:
    keys = tmp_path / "keys"
    SigningKeys(keys).create()
    open_, short, lines, empty, binary = (
        tmp_path / name for name in ("open", "short", "lines", "empty", "binary")
    )
    for path, content, mode in (
        (open_, b"a passphrase of these tests", 0o644), (short, b"elevenchars\n", 0o600),
        (lines, b"a passphrase\nof two lines\n", 0o600), (empty, b"\n", 0o600), (binary, b"\xff" * 20, 0o600),
    ):  # fmt: skip
        path.touch(mode=mode)
        path.write_bytes(content)
    there = tmp_path / "there"
    there.write_text("something")
    to = str(tmp_path / "keys.age")

    async def backup(place: str, passphrase: Path | None) -> Done:
        options = ("--passphrase-file", str(passphrase)) if passphrase else ()
        return await bare.ccari("keys", "backup", "--to", place, *options)

    said = await asyncio.gather(
        backup(to, open_), backup(to, short), backup(to, lines), backup(to, empty), backup(to, binary),
        backup(to, tmp_path / "none"), backup(to, None), backup(str(there), words),
        backup(str(keys / "keys.age"), words), backup(str(tmp_path / "none" / "keys.age"), words),
    )  # fmt: skip
    for done, wanted in zip(
        said,
        (
            "can be read by others: chmod 600 it", "use 12 characters or more", "on one line",
            "on one line", "is not UTF-8 text", "none: No such file", "give --passphrase-file",
            "already exists", "is in the folder that is to be backed up", "cannot write",
        ),
        strict=True,
    ):  # fmt: skip
        refused(done, wanted)
        assert "elevenchars" not in done.err
    assert there.read_text() == "something"
    assert names(tmp_path) == {
        "keys", "passphrase", "open", "short", "lines", "empty", "binary", "there",
    }  # fmt: skip
    assert names(keys) == {"evidence-1.key", "evidence-1.pub"}


async def test_a_passphrase_is_shown_on_the_terminal_or_asked_for_once(bare: Service, tmp_path: Path) -> None:
    """With only one prompt, a slip would lock the backup for ever."""
    SigningKeys(tmp_path / "keys").create()
    to = tmp_path / "keys.age"
    shown = await on_terminal(
        bare, ("backup", "--to", str(to)), [PASSPHRASE, "another passphrase", PASSPHRASE, PASSPHRASE]
    )
    assert shown.count("Passphrase: ") == 2
    assert shown.count("Repeat for confirmation: ") == 2
    assert "do not match" in shown
    assert PASSPHRASE not in shown
    shutil.rmtree(tmp_path / "keys")
    shown = await on_terminal(bare, ("restore", str(to)), [PASSPHRASE])
    assert PASSPHRASE not in shown
    assert SigningKeys(tmp_path / "keys").newest().version == 1


async def test_a_terminal_in_another_encoding_gets_a_traceback(bare: Service, tmp_path: Path) -> None:
    SigningKeys(tmp_path / "keys").create()
    to = tmp_path / "keys.age"
    latin_2 = "zażółć gęślą jaźń".encode("iso8859-2")
    shown = await on_terminal(bare, ("backup", "--to", str(to)), [latin_2], code=1)
    assert shown.splitlines()[-1] == (
        "ccari: the terminal sends text that is not UTF-8: set it to UTF-8, or give --passphrase-file"
    )
    assert "Traceback" not in shown
    assert not to.exists()


async def on_terminal(
    service: Service, arguments: tuple[str, ...], answers: Sequence[str | bytes], code: int = 0
) -> str:
    """What a command shows on a terminal of its own, each question answered in turn. ``code``: its exit status."""

    def run() -> str:
        child, terminal = pty.fork()
        if child == 0:
            words = command("keys", *arguments)
            os.execve(words[0], words, {**os.environ, **service.environment})  # noqa: S606
        shown, left = "", list(answers)
        while True:
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break  # Linux signals the end of a terminal that nobody holds by EIO
            if shown.endswith(("Passphrase: ", "confirmation: ")) and left:
                answer = left.pop(0)
                os.write(terminal, (answer if isinstance(answer, bytes) else answer.encode()) + b"\n")
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(status) == code, shown
        assert not left
        return shown

    return await asyncio.to_thread(run)


async def test_a_misused_restore_ends_in_a_traceback_or_leaves_something(
    bare: Service, tmp_path: Path, words: Path
) -> None:
    SigningKeys(tmp_path / "keys").create()
    to, cut, link = tmp_path / "keys.age", tmp_path / "cut.age", tmp_path / "loop"
    assert (await bare.ccari("keys", "backup", "--to", str(to), "--passphrase-file", str(words))).code == 0
    cut.write_bytes(to.read_bytes()[:-100])
    link.symlink_to(link)
    other = tmp_path / "other"
    other.touch(mode=0o600)
    other.write_text("another passphrase than that")
    shutil.rmtree(tmp_path / "keys")
    said = await asyncio.gather(
        bare.ccari("keys", "restore", str(to), "--passphrase-file", str(other)),
        bare.ccari("keys", "restore", str(cut), "--passphrase-file", str(words)),
        bare.ccari("keys", "restore", str(words), "--passphrase-file", str(words)),
        bare.ccari("keys", "restore", str(tmp_path / "none"), "--passphrase-file", str(words)),
        bare.ccari("keys", "restore", str(link), "--passphrase-file", str(words)),
        bare.ccari("keys", "restore", str(to)),
    )
    for done, wanted in zip(
        said,
        (
            "the passphrase is wrong", "or the file is damaged or cut off", "it is not encrypted with age",
            "No such file", "Too many levels of symbolic links", "give --passphrase-file",
        ),
        strict=True,
    ):  # fmt: skip
        refused(done, wanted)
        assert "passphrase than that" not in done.err
    assert not (tmp_path / "keys").exists()
    assert not [each for each in names(tmp_path) if each.endswith(".restoring")]


async def test_a_read_only_folder_ends_in_a_traceback(ccari: Service, tmp_path: Path) -> None:
    """Root is stopped by the kind of file system, not by modes: /proc stands for one that takes nothing."""
    ccari.environment = {**ccari.environment, "CCARI_KEYS__DIR": "/proc/keys-none"}
    refused(await ccari.ccari("keys", "init"), "cannot write ", "check [keys] dir")
    ccari.environment = {**ccari.environment, "CCARI_KEYS__DIR": str(tmp_path / "keys")}
    SigningKeys(tmp_path / "keys").create()
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    refused(
        await ccari.ccari("keys", "backup", "--to", "/proc/keys.age", "--passphrase-file", str(tmp_path / "passphrase")),
        "cannot write /proc/keys.age",
    )  # fmt: skip


async def test_others_can_put_another_database_or_other_keys_in_place_where_the_umask_lets_them(
    tmp_path: Path,
) -> None:
    """The folder above the keys, and the embedded database's, were theirs to write into."""
    with open_folder("umask") as folder:
        environment = {
            **os.environ,
            "CCARI_DATA_DIR": str(folder / "data"),
            "CCARI_KEYS__DIR": str(folder / "above" / "keys"),
        }
        for words in (("db", "migrate"), ("keys", "rotate", "--evidence")):
            running = await asyncio.create_subprocess_exec(
                *command(*words), env=environment, umask=0, stderr=subprocess.DEVNULL
            )
            await asyncio.wait_for(running.wait(), 120)
        written = [
            each for each in folder.rglob("*") if each.lstat().st_mode & 0o022 and not each.is_symlink()
        ]
        assert (folder / "data" / "postgresql").is_dir()
        assert [each for each in written if not each.is_socket()] == []
