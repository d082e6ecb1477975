"""The secrets that digests are keyed with: never made in silence, never used when damaged or open."""

import stat
from pathlib import Path

import pytest

from ccari.errors import ConfigError
from ccari.policy.numbers import Number
from ccari.store.secrets import SecretStore

NUMBER = Number("+48600100001")


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    made = SecretStore(tmp_path)
    assert made.create("acme")
    return made


def newest(folder: Path) -> Path:
    return folder / "acme" / "suppression-1.key"


def test_a_new_secret_can_be_read_by_others_or_is_like_another(store: SecretStore, tmp_path: Path) -> None:
    assert stat.S_IMODE(newest(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(newest(tmp_path).parent.stat().st_mode) == 0o700
    assert len(bytes.fromhex(newest(tmp_path).read_text())) == 32
    assert store.create("other")
    assert store.digests("acme", NUMBER).newest != store.digests("other", NUMBER).newest


def test_a_secret_is_made_anew_over_the_old_one(store: SecretStore, tmp_path: Path) -> None:
    before = newest(tmp_path).read_text()
    assert not store.create("acme")
    assert newest(tmp_path).read_text() == before


def test_a_secret_that_is_not_there_is_made_in_silence(tmp_path: Path) -> None:
    """Under a new one no old entry would bar anybody."""
    (tmp_path / "acme").mkdir()
    for controller in ("acme", "other"):
        with pytest.raises(ConfigError, match=f"'{controller}' has no suppression secret in .*: restore it"):
            SecretStore(tmp_path).digests(controller, NUMBER)
    assert not list(tmp_path.rglob("*.key"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_secret_that_others_can_read_is_used(store: SecretStore, tmp_path: Path, mode: int) -> None:
    newest(tmp_path).chmod(mode)
    with pytest.raises(ConfigError, match="can be read by others: chmod 600 it"):
        store.check("acme")


@pytest.mark.parametrize("content", [b"", b"\n", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff\xfe" * 32])
def test_a_damaged_secret_is_used_or_quoted(store: SecretStore, tmp_path: Path, content: bytes) -> None:
    newest(tmp_path).write_bytes(content)
    with pytest.raises(ConfigError, match="holds no secret of 32 bytes in hex") as wrong:
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


def test_a_folder_that_cannot_be_written_ends_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(
        ConfigError, match=r"cannot write a secret in .*: Not a directory: check \[keys\] dir"
    ):
        SecretStore(tmp_path / "keys").create("acme")
