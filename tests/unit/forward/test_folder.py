"""The folder drop: a file is whole, its owner's only, and where it was meant to be."""

import json
import stat
from pathlib import Path

import pytest

from ccari.errors import ForwardError
from ccari.forward.folder import drop
from tests.unit.forward.test_message import FORWARD
from tests.unit.store.made import NUMBER


def test_a_file_can_be_read_by_others_or_has_another_name(tmp_path: Path) -> None:
    path = drop(tmp_path, FORWARD)
    assert path == tmp_path / "ACME-2026-000123-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["number"] == NUMBER.e164
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_a_crash_left_half_written_stays_or_lends_its_mode(tmp_path: Path) -> None:
    draft = tmp_path / ".ACME-2026-000123-1.json.draft"
    draft.write_text('{"half')
    draft.chmod(0o644)
    path = drop(tmp_path, FORWARD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["sequence"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_mounted_is_made_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(ForwardError, match=r"cannot write in .*/gone: No such file or directory"):
        drop(tmp_path / "gone", FORWARD)
    assert list(tmp_path.iterdir()) == []
