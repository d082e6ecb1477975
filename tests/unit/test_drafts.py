"""Files that commands write whole or not at all."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ccari.cli.drafts import writing
from ccari.errors import CcariError

SECONDS = 60
WRITES_AS_NOBODY = """
import os, sys
from pathlib import Path
from ccari.cli.drafts import writing
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
try:
    with writing(Path(sys.argv[1])) as file:
        file.write(b"whole")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_the_half_file_of_another_run_is_put_in_place(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with ExitStack() as later:
        with writing(out) as first:
            first.write(b"whole")
            later.enter_context(writing(out)).write(b"half")
        assert out.read_bytes() == b"whole"
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"half", [out])


def test_what_was_put_there_meanwhile_is_overwritten_by_what_is_never_to_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "pack.zip"
    with ExitStack() as later:
        later.enter_context(writing(out, new="evidence")).write(b"later")
        out.write_bytes(b"earlier")
        with pytest.raises(CcariError, match="already exists, and no evidence is overwritten"):
            later.close()
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"earlier", [out])


@pytest.mark.parametrize("new", [None, "export"])
def test_a_file_is_in_place_before_it_is_on_the_disk_or_its_name_is_lost_in_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: str | None
) -> None:
    out, sync = tmp_path / "out.csv", os.fsync
    found = []

    def synced(handle: int) -> None:
        status = os.fstat(handle)
        is_folder = os.path.samestat(status, tmp_path.stat())
        found.append((out.exists(), "folder" if is_folder else status.st_size))
        sync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    with writing(out, new=new) as file:
        file.write(b"whole")
    assert found == [(False, len(b"whole")), (True, "folder")]


def test_a_folder_or_a_pipe_is_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for each in (tmp_path, tmp_path / "pipe", Path()):
        with pytest.raises(CcariError, match="is not a regular file"), writing(each):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_nothing_can_be_put_into_a_folder_that_may_not_be_listed() -> None:
    # not in pytest's folder, which only its owner may enter
    with TemporaryDirectory() as box:
        Path(box).chmod(0o733)
        out = Path(box) / "out.csv"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", WRITES_AS_NOBODY, str(out)], capture_output=True, text=True,
            timeout=SECONDS, check=True,
        )  # fmt: skip
        assert (done.stdout, done.stderr, out.read_bytes()) == ("", "", b"whole")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_may_not_be_looked_into_is_not_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WRITES_AS_NOBODY, str(closed / "out.csv")], capture_output=True, text=True,
        timeout=SECONDS, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (
        f"CcariError: cannot write {closed / 'out.csv'}: Permission denied\n", "",
    )  # fmt: skip
