"""``ccari recordings play-to``, ``export`` and ``verify``, run as a person runs them, on recordings as the archive leaves them."""

import asyncio
import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pyrage
import pytest

from ccari.errors import ConfigError, RecordingError
from ccari.gating.journal import entry
from ccari.policy.rights import Right
from ccari.ports.accesses import WantedAccesses
from ccari.ports.calls import OpenedCall
from ccari.ports.recordings import InPlace, lost_fields
from ccari.recordings.archive import FileArchive
from ccari.recordings.known_folder import KnownFolder
from ccari.recordings.reading import identities_of, open_plain
from ccari.recordings.spool import SharedSpool
from ccari.recordings.tags import beside, sidecar
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.faults.files import with_a_bit_changed
from tests.integration.service import Done, Service
from tests.unit.recordings.disks import mounted
from tests.unit.recordings.made import SECOND, record, sound_of
from tests.unit.store import made
from tests.unit.store.commands import on, piped, refused
from tests.unit.store.forging import forge
from tests.unit.store.test_requests import letter

#: The least that a file takes of a file system in memory.
PAGE_BYTES = 4096


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An identity as age-keygen writes it."""
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "key.txt"
    file.write_text(f"# created: today\n# public key: {identity.to_public()}\n{identity}\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def ccari(dsn: str, tmp_path: Path) -> Service:
    return on(dsn, tmp_path)


async def put(store: Store, folder: Path, key: Path | None, call: OpenedCall | None = None) -> InPlace:
    """A stored recording, encrypted to ``key``; of ``call``, which is opened here."""
    call = call or made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", "i1", ())
    tag = made.tag(call)
    told = {
        "recording": str(tag.recording_id), "recording_basis": tag.legal_basis, "mode": tag.mode,
        "delete_at": tag.delete_at.isoformat(timespec="seconds"),
    }  # fmt: skip
    await store.recordings.tag(tag, [entry("recording_tagged", told)])
    await store.recordings.started(tag.recording_id, tag.started_at)
    (spool := folder.with_name("spool")).mkdir(exist_ok=True)
    record(spool / f"{tag.recording_id}.wav")
    recipients = tuple(str(each.to_public()) for each in identities_of(key)) if key else ()
    kept = await FileArchive(SharedSpool(spool), folder, "flac", lambda: recipients).keep(tag)
    await store.recordings.stored(tag, kept, [entry("recording_stored", kept.journal_fields)])
    return await store.recordings.in_place(tag.recording_id)


async def played(store: Store, recording: InPlace, event: str = "recording_played") -> list[dict[str, str]]:
    events = (await store.records.show_call(recording.tag.call_id)).events
    return [each["fields"] for each in events if each["event"] == event]


async def fetched(store: Store, recording: InPlace) -> list[dict[str, str]]:
    return await played(store, recording, "recording_fetched")


async def test_who_has_the_key_cannot_listen_or_nobody_knows_that_they_did(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path
) -> None:
    recording = await put(store, folder, key)
    out = tmp_path / "out.flac"
    done = await ccari.ccari(
        "recordings", "play-to", str(recording.tag.recording_id), str(out), "--identity", str(key)
    )
    assert (done.code, done.out) == (0, f"{out}: 1.0 s of flac\n"), done.err
    assert sound_of(out) == SECOND
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (told,) = await played(store, recording)
    assert told["recording"] == str(recording.tag.recording_id)
    assert told["by"].startswith("cli:")


@pytest.mark.parametrize("right", [Right.RESTRICTION, Right.ACCESS])
async def test_who_may_only_store_a_recording_is_not_told_so_before_they_listen(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path, right: Right
) -> None:
    recording = await put(store, folder, key)
    reference = await store.requests.add("acme", letter(right), made.digests())
    out = tmp_path / "out.flac"
    done = await ccari.ccari(
        "recordings", "play-to", str(recording.tag.recording_id), str(out), "--identity", str(key)
    )
    assert (done.code, done.out) == (0, f"{out}: 1.0 s of flac\n"), done.err
    is_restricted = right is Right.RESTRICTION
    assert (f"restricted by request {reference} (restriction)" in done.err) is is_restricted
    assert ("Art 18(2)" in done.err) is is_restricted


@pytest.mark.parametrize(
    "wrong", ["no-key", "other-key", "key-for-all", "there", "no-folder", "changed", "unknown"]
)
async def test_a_listening_that_fails_leaves_a_file_or_counts_as_one(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path, wrong: str
) -> None:
    recording = await put(store, folder, key)
    out, options, asked = tmp_path / "out.flac", ["--identity", str(key)], str(recording.tag.recording_id)
    match wrong:
        case "no-key":
            options, words = [], "is encrypted: add --identity KEYFILE"
        case "other-key":
            key.write_text(f"{pyrage.x25519.Identity.generate()}\n")  # noqa: ASYNC240
            words = "was encrypted to somebody else, or is damaged"
        case "key-for-all":
            key.chmod(0o644)  # noqa: ASYNC240
            words = "can be read by others"
        case "there":
            out.write_text("mine")
            words = "already exists, and no recording is overwritten: give another name"
        case "no-folder":
            out, words = tmp_path / "nowhere" / "out.flac", "No such file or directory"
        case "changed":
            file = folder / recording.kept.file
            identity = identities_of(key)[0]
            file.write_bytes(pyrage.encrypt(b"something else", [identity.to_public()]))
            words = "its audio was changed"
        case _:
            asked, words = str(recording.tag.call_id), "is stored: see ccari recordings list"
    refused(await ccari.ccari("recordings", "play-to", asked, str(out), *options), words)
    assert not out.exists() or out.read_text() == "mine"
    assert await played(store, recording) == []


async def test_who_listens_gets_the_audio_though_it_cannot_be_told(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path
) -> None:
    recording = await put(store, folder, key)
    async with store.database.connection() as connection:
        await connection.execute(
            "ALTER TABLE call_events ADD CONSTRAINT never CHECK (event <> 'recording_played')"
        )
    out = tmp_path / "out.flac"
    arguments = ("play-to", str(recording.tag.recording_id), str(out), "--identity", str(key))
    refused(await ccari.ccari("recordings", *arguments), "the database refused a row: never")
    assert not out.exists()


def made_a_pipe(file: Path) -> None:
    """Reading it would wait for ever."""
    file.unlink()
    os.mkfifo(file, 0o644)


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        pytest.param(lambda file: file.unlink(), "its file is missing", id="no-file"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-1]), r"its file has \d+ bytes", id="cut"),
        pytest.param(lambda file: file.write_bytes(with_a_bit_changed(file.read_bytes())), "its file was changed", id="byte"),
        pytest.param(made_a_pipe, "its file cannot be read: it is a pipe", id="pipe"),
        pytest.param(lambda file: made_a_pipe(beside(file)), "its tag cannot be read: it is a pipe", id="pipe-for-a-tag"),
        pytest.param(lambda file: beside(file).unlink(), "its tag is missing", id="no-tag"),
        pytest.param(lambda file: beside(file).write_text("[]"), "its tag is not a JSON object", id="list"),
        pytest.param(lambda file: beside(file).write_text("{"), "its tag is not JSON", id="half-a-tag"),
        pytest.param(lambda file: retold(file, legal_basis="consent", more="x"),
                     "its tag differs from the database in legal_basis, more", id="other-tag"),
    ],
)  # fmt: skip
async def test_what_is_not_as_it_was_put_goes_unnoticed_or_unnamed(
    ccari: Service, store: Store, folder: Path, key: Path, spoil: Spoil, fault: str
) -> None:
    first, spoiled = await put(store, folder, key), await put(store, folder, key)
    done = await ccari.ccari("recordings", "verify", "--identity", str(key))
    assert (done.code, done.out) == (0, "2 recordings checked, 0 faulty\n"), done.err
    spoil(folder / spoiled.kept.file)
    done = await ccari.ccari("recordings", "verify", "--json")
    assert done.code == 1
    assert f"of 2 recordings, 1 is faulty; the first is {spoiled.tag.recording_id}" in done.err
    told = json.loads(done.out)
    assert (told["checked"], [each["recording"] for each in told["wrong"]]) == (
        2,
        [str(spoiled.tag.recording_id)],
    )
    assert len(told["wrong"][0]["faults"]) == 1
    assert_matches(told["wrong"][0]["faults"][0], fault)
    assert (await ccari.ccari("recordings", "verify", str(first.tag.recording_id))).code == 0
    assert (await ccari.ccari("recordings", "verify", str(spoiled.tag.recording_id))).code == 1


@pytest.mark.parametrize(
    ("right", "after_ms", "goes_on"),
    [
        pytest.param(Right.REFUSE_RECORDING, 400, "0.6", id="refused"),
        pytest.param(Right.REFUSE_RECORDING, -5000, "1.0", id="refused-before"),
        pytest.param(Right.REFUSE_RECORDING, 950, None, id="rounded"),
        pytest.param(Right.ACCESS, 400, None, id="ends-nothing"),
    ],
)
async def test_what_was_said_after_a_refusal_that_came_late_stays_unnoticed(
    ccari: Service, store: Store, folder: Path, right: Right, after_ms: int, goes_on: str | None
) -> None:
    """The service that was told of the key stood still until another had stored the recording."""
    call = made.call()
    kept = await put(store, folder, None, call)
    at = kept.tag.started_at + timedelta(milliseconds=after_ms)
    reference = await store.calls.register_right(call, replace(made.exercise(right), received_at=at), ())
    done = await ccari.ccari("recordings", "verify", "--json")
    wrong = json.loads(done.out)["wrong"]
    if goes_on is None:
        assert (done.code, wrong) == (0, [])
        return
    assert done.code == 1
    assert [each["faults"] for each in wrong] == [
        [f"it should end with the right of {at.isoformat(timespec='seconds')}, but goes on for {goes_on} s"]
    ]
    purged = ("recordings", "purge", str(kept.tag.recording_id), "--reason", "refused", "--yes")
    for step in (("requests", "resolve", reference), purged):
        assert (await ccari.ccari(*step)).code == 0
    assert (await ccari.ccari("recordings", "verify")).code == 0


async def test_a_purge_says_that_it_has_deleted_what_lies_on_a_disk_that_is_not_mounted(
    ccari: Service, store: Store, folder: Path, tmp_path: Path
) -> None:
    kept = await put(store, folder, None)
    known = KnownFolder(folder, tmp_path / "recordings-folder")
    known.remember(known.identify())
    disk = folder.rename(tmp_path / "disk")  # noqa: ASYNC240
    (folder / kept.kept.file).parent.mkdir(parents=True)
    done = await ccari.ccari("recordings", "purge", str(kept.tag.recording_id), "--reason", "x", "--yes")
    assert done.code == 1
    assert "is not the folder in which recordings were stored before: mount its disk" in done.out + done.err
    shutil.rmtree(folder)
    disk.rename(folder)
    assert (folder / kept.kept.file).exists()
    assert (await ccari.ccari("recordings", "purge", "--yes")).code == 0
    assert not (folder / kept.kept.file).exists()


async def test_a_tag_of_before_there_was_stereo_counts_as_changed_or_hides_that_one_was(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path
) -> None:
    recording = await put(store, folder, key)
    tag = beside(folder / recording.kept.file)
    tag.write_text(
        json.dumps({name: value for name, value in json.loads(tag.read_text()).items() if name != "channels"})
    )
    done = await ccari.ccari("recordings", "verify")
    assert (done.code, done.out) == (0, "1 recording checked, 0 faulty\n"), done.err
    copies = str(tmp_path / "copies")
    done = await ccari.ccari("recordings", "export", str(recording.tag.recording_id), "--out", copies)
    assert done.code == 0, done.err
    async with store.database.connection() as connection:
        await connection.execute("UPDATE recordings SET channels = 'stereo'")
    done = await ccari.ccari("recordings", "verify")
    assert "its tag differs from the database in channels" in done.out


async def test_an_unknown_basis_keeps_the_other_recordings_from_being_looked_at(
    ccari: Service, store: Store, folder: Path, key: Path
) -> None:
    changed, _ = await put(store, folder, key), await put(store, folder, key)
    async with store.database.connection() as connection:
        await connection.execute(
            "UPDATE recordings SET legal_basis = 'because' WHERE id = $1", changed.tag.recording_id
        )
    done = await ccari.ccari("recordings", "verify", "--json")
    assert (done.code, json.loads(done.out)["checked"]) == (1, 2)
    (wrong,) = json.loads(done.out)["wrong"]
    assert wrong["faults"] == [
        f"somebody has changed its legal basis: ccari calls show {changed.tag.call_id}",
        "its legal_basis is because, but legitimate_interest in the journal of its call",
    ]


async def test_an_erased_recording_that_a_backup_brings_back_goes_unnoticed(
    ccari: Service, store: Store, folder: Path, key: Path
) -> None:
    """Or one that was made after the dump; what is about to be stored, or about to be deleted, is neither."""
    erased, unknown, coming, going = [await put(store, folder, key) for _ in range(4)]
    async with store.database.connection() as connection:
        for state, recording in (("deleted", erased), ("finished", coming)):
            await connection.execute(
                "UPDATE recordings SET state = $2, deleted_at = CASE WHEN $2 = 'deleted' THEN now() END, "
                "deletion = CASE WHEN $2 = 'deleted' THEN 'purge' END WHERE id = $1",
                recording.tag.recording_id,
                state,
            )
        await connection.execute("DELETE FROM recordings WHERE id = $1", unknown.tag.recording_id)
        # the dump has no call for the one, and the journal says nothing of the other yet
        untold = [unknown.tag.call_id, coming.tag.call_id]
        await connection.execute("DELETE FROM call_event_fields WHERE call_id = ANY ($1)", untold)
        await connection.execute(
            "INSERT INTO deletions (recording_id, why, decided_by) VALUES ($1, 'purge', 'a person')",
            going.tag.recording_id,
        )
    await store.calls.append(erased.tag.call_id, "recording_deleted", {"why": "purge"})
    (folder / erased.kept.file).with_name("lost+found").touch()
    done = await ccari.ccari("recordings", "verify", "--json")
    assert done.code == 1
    assert "4 files belong to no recording that is kept" in done.err
    left = [each.kept.file for each in (erased, unknown)]
    told = json.loads(done.out)
    assert sorted(told["left_over"]) == sorted([*left, *(str(beside(Path(each))) for each in left)])
    assert (told["checked"], told["wrong"]) == (1, [])
    plain = await ccari.ccari("recordings", "verify")
    assert all(f"{each}: this file belongs to no recording that is kept" in plain.out for each in left)
    assert (await ccari.ccari("recordings", "verify", str(going.tag.recording_id))).code == 0
    for each in told["left_over"]:
        (folder / each).unlink()
    done = await ccari.ccari("recordings", "verify")
    assert (done.code, done.out) == (0, "1 recording checked, 0 faulty\n"), done.err


async def test_an_export_to_a_full_disk_leaves_a_tag_alone_that_is_in_the_way_of_the_next_one(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path
) -> None:
    recording = await put(store, folder, key)
    assert recording.kept.size < PAGE_BYTES
    with mounted(tmp_path / "stick", "size=64k") as stick:
        with (stick / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(PAGE_BYTES)):
                pass
        # room for one of the two
        os.truncate(stick / "filler", (stick / "filler").stat().st_size - PAGE_BYTES)
        command = ("recordings", "export", str(recording.tag.recording_id), "--out", str(stick))
        refused(await ccari.ccari(*command), "No space left on device")
        assert [each.name for each in stick.iterdir()] == ["filler"]
        (stick / "filler").unlink()
        assert (await ccari.ccari(*command)).code == 0


async def test_raw_files_that_an_older_database_does_not_know_stay_unencrypted_and_unnoticed(
    ccari: Service, store: Store, folder: Path, tmp_path: Path
) -> None:
    """Of talks that were recorded when the database was lost: the service stores only what it has a row of, and removes nothing else."""
    ccari.environment = {**ccari.environment, "CCARI_ASTERISK__SPOOL": str(folder.with_name("spool"))}
    stored, settled, lost = [await put(store, folder, None) for _ in range(3)]
    async with store.database.connection() as connection:
        await connection.execute(
            "UPDATE recordings SET state = 'deleted', deleted_at = now(), deletion = 'purge' WHERE id = $1", settled.tag.recording_id
        )  # fmt: skip
        await connection.execute("DELETE FROM recordings WHERE id = $1", lost.tag.recording_id)
        await connection.execute(
            "DELETE FROM call_event_fields WHERE call_id = ANY ($1)", [settled.tag.call_id, lost.tag.call_id]
        )
    await store.calls.append(settled.tag.call_id, "recording_deleted", {"why": "purge"})
    for each in (settled, lost):
        for file in (folder / each.kept.file, beside(folder / each.kept.file)):
            file.unlink()
    spool, at = folder.with_name("spool"), lost.tag.recording_id
    (spool / "voicemail.wav").touch()
    (spool / f"{uuid4()}.mp3").touch()
    (spool / f"{at}-agent.wav").touch()
    for name in ("incoming", "encoding"):
        (tmp_path / name).mkdir()
    (tmp_path / "incoming" / f"{at}.part").touch()
    (tmp_path / "encoding" / f"{at}.abcdefgh").mkdir()
    (tmp_path / "encoding" / f"{stored.tag.recording_id}.abcdefgh").mkdir()
    done = await ccari.ccari("recordings", "verify", "--json")
    assert done.code == 1
    told = json.loads(done.out)
    assert (told["checked"], told["wrong"]) == (1, [])
    assert sorted(told["left_over"]) == sorted(
        map(str, [spool / f"{at}.wav", spool / f"{at}-agent.wav", tmp_path / "incoming" / f"{at}.part",
                  tmp_path / "encoding" / f"{at}.abcdefgh"])
    )  # fmt: skip
    assert "4 files belong to no recording that is kept" in done.err
    assert "unless another application left them in Asterisk's spool" in done.err


#: Root may read everything, and whoever is not root may be unable to reach the database.
CLOSED = """
import errno, os
from ccari.cli.main import main

scan = os.scandir

def closed(path):
    if os.path.basename(path) in {"closed", "lost+found"}:
        raise PermissionError(errno.EACCES, "Permission denied")
    return scan(path)

os.scandir = closed
main()
"""


async def with_closed_folders(ccari: Service, *arguments: str) -> Done:
    """A command that may not read them."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", CLOSED, *arguments, env={**os.environ, **ccari.environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await running.communicate()
    return Done(running.returncode or 0, out.decode(), err.decode())


async def test_a_folder_that_may_not_be_read_keeps_what_is_wrong_from_being_told(
    ccari: Service, store: Store, folder: Path, key: Path
) -> None:
    """After hours of looking at all files."""
    spoiled, sound = await put(store, folder, key), await put(store, folder, key)
    (folder / "closed").mkdir()
    left = (folder / sound.kept.file).with_name(f"{uuid4()}.flac.age")
    left.touch()
    fault = f"cannot read {folder}/closed: Permission denied"
    done = await with_closed_folders(ccari, "recordings", "verify", "--json")
    assert (done.code, json.loads(done.out)) == (
        1,
        {"checked": 2, "wrong": [], "left_over": [str(left.relative_to(folder))], "fault": fault},
    )
    left.unlink()
    done = await with_closed_folders(ccari, "recordings", "verify")
    assert (done.code, done.err) == (1, f"ccari: not every file could be matched with a recording: {fault}\n")
    (folder / spoiled.kept.file).unlink()
    done = await with_closed_folders(ccari, "recordings", "verify")
    assert done.code == 1
    assert f"{spoiled.tag.recording_id} {spoiled.kept.file}: its file is missing" in done.out
    assert "2 recordings checked, 1 faulty\n" in done.out
    assert fault in done.out
    assert done.err.startswith("ccari: of 2 recordings, 1 is faulty")


@pytest.mark.parametrize("at", [".", "acme"])
async def test_recordings_on_a_disk_of_their_own_are_never_verified(
    ccari: Service, store: Store, folder: Path, key: Path, at: str
) -> None:
    await put(store, folder, key)
    (folder / at / "lost+found").mkdir()
    done = await with_closed_folders(ccari, "recordings", "verify")
    assert (done.code, done.out, done.err) == (0, "1 recording checked, 0 faulty\n", "")


def retold(file: Path, **other: str) -> None:
    tag = beside(file)
    tag.write_text(json.dumps(json.loads(tag.read_text()) | other))


def assert_matches(text: str, pattern: str) -> None:
    with pytest.raises(AssertionError, match=pattern):
        raise AssertionError(text)


async def test_another_audio_in_the_file_goes_unnoticed_by_whoever_can_open_it(
    ccari: Service, store: Store, folder: Path, key: Path
) -> None:
    recording = await put(store, folder, key)
    async with store.database.connection() as connection:
        await connection.execute("UPDATE recordings SET sha256 = $1", bytes(32))
    retold(folder / recording.kept.file, sha256=bytes(32).hex())
    inside = "the audio in its file is not what was recorded"
    assert inside not in (await ccari.ccari("recordings", "verify")).out
    done = await ccari.ccari("recordings", "verify", "--identity", str(key))
    assert done.code == 1
    assert inside in done.out


async def test_another_audio_fits_once_row_and_tag_are_made_to_fit_it(
    ccari: Service, store: Store, folder: Path, key: Path, database: Database
) -> None:
    """By somebody who can write the database and the folder: whoever knows the recipients can encrypt to them."""
    forged, basis, erased = [await put(store, folder, key) for _ in range(3)]
    kept, (recipient,) = forged.kept, forged.kept.recipients
    content = pyrage.encrypt(b"another talk", [pyrage.x25519.Recipient.from_str(recipient)])
    (folder / kept.file).write_bytes(content)
    await forge(
        database, "UPDATE recordings SET sha256 = sha256($2), file_sha256 = sha256($3), bytes = $4 WHERE id = $1",
        forged.tag.recording_id, b"another talk", content, len(content),
    )  # fmt: skip
    await forge(
        database, "UPDATE recordings SET legal_basis = 'consent' WHERE id = $1", basis.tag.recording_id
    )
    await forge(database, "DELETE FROM call_event_fields WHERE call_id = $1", erased.tag.call_id)
    out = folder.with_name("out.flac")
    done = await ccari.ccari(
        "recordings", "play-to", str(forged.tag.recording_id), str(out), "--identity", str(key)
    )
    refused(done, f"{kept.file} is not what was recorded: its audio was changed")
    assert not out.exists()
    for each in (forged, basis):
        now = await store.recordings.in_place(each.tag.recording_id)
        beside(folder / now.kept.file).write_bytes(sidecar(now.tag, now.kept))
    done = await ccari.ccari("recordings", "verify", "--identity", str(key), "--json")
    assert {each["recording"]: each["faults"] for each in json.loads(done.out)["wrong"]} == {
        str(forged.tag.recording_id): [
            "it is not the one that the journal of its call says was stored: its sha256 differs"
        ],
        str(basis.tag.recording_id): [
            "its legal_basis is consent, but legitimate_interest in the journal of its call"
        ],
        str(erased.tag.recording_id): ["the journal of its call does not say that it was tagged and stored"],
    }
    assert done.code == 1


async def test_a_recording_was_never_made_or_was_deleted_as_somebody_likes(
    ccari: Service, store: Store, folder: Path, key: Path, database: Database
) -> None:
    """By somebody who can write the database, and has deleted the files too."""
    gone, discarded, deleted, lost, kept = [await put(store, folder, key) for _ in range(5)]
    for each in (gone, discarded, deleted, lost):
        beside(folder / each.kept.file).unlink()
        (folder / each.kept.file).unlink()
    await forge(database, "DELETE FROM recordings WHERE id = $1", gone.tag.recording_id)
    forging = "UPDATE recordings SET state = $2 WHERE id = $1"
    await forge(database, forging, discarded.tag.recording_id, "discarded")
    await forge(database, forging, lost.tag.recording_id, "failed")
    await store.calls.append(lost.tag.call_id, "recording_lost", lost_fields(lost.tag.recording_id, "x"))
    await forge(
        database, "UPDATE recordings SET state = 'deleted', deletion = 'retention', deleted_at = now() WHERE id = $1", deleted.tag.recording_id
    )  # fmt: skip
    done = await ccari.ccari("recordings", "verify", "--json")
    verified = json.loads(done.out)
    says = "but the journal of its call {} says that it was stored"
    assert {each["recording"]: each["faults"] for each in verified["wrong"]} == {
        str(gone.tag.recording_id): [f"it is missing from the database, {says.format(gone.tag.call_id)}"],
        str(discarded.tag.recording_id): [f"it is discarded, {says.format(discarded.tag.call_id)}"],
        str(deleted.tag.recording_id): [
            f"it is deleted, but the journal of its call {deleted.tag.call_id} does not say so"
        ],
    }
    assert (done.code, verified["checked"]) == (1, 4)
    await store.calls.append(deleted.tag.call_id, "recording_deleted", {"why": "retention"})
    await forge(
        database,
        "DELETE FROM call_event_fields WHERE call_id = ANY ($1)",
        [gone.tag.call_id, discarded.tag.call_id],
    )
    assert (await ccari.ccari("recordings", "verify")).out == "1 recording checked, 0 faulty\n"
    assert (folder / kept.kept.file).exists()


async def test_an_unencrypted_recording_needs_a_key(
    ccari: Service, store: Store, folder: Path, tmp_path: Path
) -> None:
    recording = await put(store, folder, None)
    out = tmp_path / "out.flac"
    done = await ccari.ccari("recordings", "play-to", str(recording.tag.recording_id), str(out))
    assert done.code == 0, done.err
    assert sound_of(out) == SECOND
    assert len(await played(store, recording)) == 1


async def test_copies_cannot_be_opened_without_ccari_or_nobody_knows_who_made_them(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path
) -> None:
    both = [await put(store, folder, key) for _ in range(2)]
    out, names = tmp_path / "for" / "the authority", [str(each.tag.recording_id) for each in both]
    done = await ccari.ccari("recordings", "export", *names, names[0], "--out", str(out), "--why", "file 7")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [str(out / f"{name}.flac.age") for name in names]
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{end}" for name in names for end in ("flac.age", "json")
    }
    for each, name in zip(both, names, strict=True):
        for copy in (out / f"{name}.flac.age", out / f"{name}.json"):
            assert copy.read_bytes() == (folder / each.kept.file).with_name(copy.name).read_bytes()
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        plain = tmp_path / f"{name}.flac"
        subprocess.run(["age", "--decrypt", "-i", key, "-o", plain, out / f"{name}.flac.age"], check=True)  # noqa: ASYNC221
        assert sound_of(plain) == SECOND
        (told,) = await fetched(store, each)
        assert (told["recording"], told["by"][:4]) == (name, "cli:")
    accesses = await store.accesses.list(10, WantedAccesses())
    assert [(each["access"], each["what"]["recording"], each["why"]) for each in accesses[::-1]] == [
        ("recording_fetched", name, "file 7") for name in names
    ]


@pytest.mark.parametrize("wrong", ["there", "tag there", "no folder", "changed", "unknown"])
async def test_a_copy_that_fails_overwrites_something_or_stays_halfway_or_counts_as_one(
    ccari: Service, store: Store, folder: Path, key: Path, tmp_path: Path, wrong: str
) -> None:
    first, recording = [await put(store, folder, key) for _ in range(2)]
    name, out = str(recording.tag.recording_id), tmp_path / "copies"
    asked = [str(first.tag.recording_id), name]
    match wrong:
        case "there" | "tag there":
            out.mkdir()
            (out / f"{name}.{'json' if wrong == 'tag there' else 'flac.age'}").write_text("mine")
            words = f"already exists, and no {'tag' if wrong == 'tag there' else 'recording'} is overwritten: give another name"
        case "no folder":
            out.write_text("mine")
            words = "cannot make"
        case "changed":
            (folder / recording.kept.file).write_bytes(b"something else")
            words = f"recording {name}: its file has 14 bytes"
        case _:
            asked[1] = str(recording.tag.call_id)
            words = "is stored: see ccari recordings list"
    done = await ccari.ccari("recordings", "export", *asked, "--out", str(out))
    refused(done, words)
    assert (f"; 1 recording before it in {out}" in done.err) is (wrong != "no folder")
    assert await fetched(store, recording) == []
    if wrong == "no folder":
        assert out.read_text() == "mine"
        return
    copies = {path.name: path.read_bytes() for path in out.iterdir() if name in path.name}
    assert set(copies.values()) <= {b"mine"}


@pytest.mark.parametrize("content", ["", "# nothing\n", "AGE-SECRET-KEY-1NONE\n", "age-encryption.org/v1\n"])
def test_a_file_without_an_identity_passes_for_one_or_is_quoted(key: Path, content: str) -> None:
    key.write_text(content)
    with pytest.raises(ConfigError, match="must contain an age identity") as raised:
        identities_of(key)
    assert "NONE" not in str(raised.value)
    key.unlink()
    with pytest.raises(ConfigError, match="there is no file"):
        identities_of(key)


def test_a_key_that_opens_recordings_must_lie_on_a_disk(key: Path) -> None:
    """As a shell provides one, by ``<(age -d …)``."""
    with piped(key.read_bytes()) as pipe:
        assert [str(each) for each in identities_of(pipe)] == [str(each) for each in identities_of(key)]


def test_a_missing_recording_is_told_in_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="there is no file acme/x"):
        open_plain(tmp_path, "acme/x.flac.age", [pyrage.x25519.Identity.generate()])
    (tmp_path / "acme").write_text("no folder")
    with pytest.raises(RecordingError, match="cannot be read: Not a directory"):
        open_plain(tmp_path, "acme/x.flac", ())
