"""Names of recordings: nothing outside the two folders is touched, read or waited for, whoever writes to the spool."""

import asyncio
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccari.errors import RecordingError
from ccari.ports.recordings import InPlace, StoredFile
from ccari.recordings.archive import FileArchive
from ccari.recordings.reading import faults, open_plain
from ccari.recordings.removal import remove
from ccari.recordings.spool import SharedSpool, uuid_of
from tests.unit.recordings.made import TAG, raw_in, record

SECONDS = 60.0
SECRET = b"a secret of somebody else's"
_PARTS = st.one_of(
    st.sampled_from(
        [
            "..",
            ".",
            "",
            "/",
            "acme",
            "2026-11-24",
            "*",
            "?",
            "[a-z]*",
            "~",
            "secret",
            "\x00",
            "x" * 300,
            "é",
            "\udcff",
        ]
    ),
    st.text(max_size=8),
)
FILES = st.lists(_PARTS, max_size=6).map("/".join)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_bytes(SECRET)
    return made


@pytest.mark.parametrize("kind", ["link", "link to a recording", "pipe", "folder", "link to nothing"])
async def test_what_is_no_file_in_the_spool_is_followed_or_waited_for(
    spool: Path, outside: Path, tmp_path: Path, kind: str
) -> None:
    path = raw_in(spool)
    match kind:
        case "link":
            path.symlink_to(outside)
        case "link to a recording":
            path.symlink_to(record(tmp_path / "another.wav"))
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "nothing")
    before = _contents(tmp_path)
    archive = FileArchive(SharedSpool(spool), tmp_path / "kept", "wav", tuple)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(RecordingError, match="is a link or a pipe, not a file"):
            await archive.keep(TAG)
    assert _contents(tmp_path) == before


def _contents(folder: Path) -> dict[Path, bytes]:
    """Of all regular files below it."""
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file() and not each.is_symlink()}


@given(
    st.one_of(
        st.text(),
        st.uuids().map(str),
        st.uuids().map(lambda each: f"{{{each}}}"),
        st.uuids().map(lambda each: each.urn),
    )
)
def test_a_name_that_is_none_of_ours_names_a_recording(name: str) -> None:
    found = uuid_of(name)
    assert found is None or (str(found) == name and "/" not in name)


async def test_a_file_of_another_application_is_listed(spool: Path) -> None:
    ours = uuid4()
    for name in (
        f"{ours}.wav",
        f"{{{uuid4()}}}.wav",
        f"{uuid4()}".upper() + ".wav",
        f"{uuid4().hex}.wav",
        "..wav",
        f"{uuid4()}.txt",
    ):
        (spool / name).touch()
    assert await SharedSpool(spool).recording_ids() == [ours]


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(FILES)
def test_a_path_in_the_database_leads_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, file: str
) -> None:
    """Somebody who controls the database could make the service show or delete files that do not belong to it."""
    top = tmp_path_factory.mktemp("top")
    folder, outside, neighbour = (
        top / "recordings",
        top / "secret",
        top / "recordings" / "acme" / "neighbour.flac",
    )
    neighbour.parent.mkdir(parents=True)
    outside.write_bytes(SECRET)
    neighbour.write_bytes(SECRET)
    kept = StoredFile(
        file,
        "wav",
        1000,
        hashlib.sha256(SECRET).digest(),
        len(SECRET),
        hashlib.sha256(SECRET).digest(),
        (),
        silent=False,
    )
    for each in (file, f"../{file}", str(outside), f"acme/../../{file}secret"):
        named = (
            (folder / each).resolve() == neighbour if "\x00" not in each and "\udcff" not in each else False
        )
        try:
            read = open_plain(folder, each, ())
        except RecordingError:
            read = b""
        assert read == (SECRET if named and ".." not in Path(each).parts else b""), each
        told = faults(folder, InPlace(replace(TAG, recording_id=UUID(int=0)), replace(kept, file=each)))
        assert told, each
        remove(folder, [] if named else [each])
        assert (outside.read_bytes(), neighbour.read_bytes()) == (SECRET, SECRET), each
