"""The cached root: built once, whole or not at all."""

import asyncio
import gzip
import os
import re
from pathlib import Path

import pytest

from tests.lab import LabError
from tests.lab import root as lab_root


async def test_two_builders_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches two test runs that build into, or remove, each other's root."""
    built = tmp_path / "built"
    _fake_mmdebstrap(
        tmp_path, f'sleep 0.3; echo x >>{built}; mkdir -p "$target/etc"; cp -a {tmp_path}/usr "$target"'
    )
    _fake_changelog(tmp_path, "1:22.10.1-1")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lab_root, "sbin", lambda _: None)
    first, second = await asyncio.gather(lab_root.ensure_root(), lab_root.ensure_root())
    assert first == second == await lab_root.ensure_root()
    assert first.name.startswith("asterisk-1%3a22.10.1-1-")
    assert built.read_text() == "x\n"
    assert sorted(path.name for path in first.parent.iterdir()) == sorted([first.name, "build.lock"])


async def test_one_release_is_taken_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a test of Asterisk 16 that runs on 22, and a lab that runs on 16."""
    _fake_mmdebstrap(tmp_path, f'mkdir -p "$target/etc"; cp -a {tmp_path}/usr "$target"')
    _fake_changelog(tmp_path, "1:16.28.0~dfsg-0+deb11u4")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _fake_machine_asterisk(tmp_path, monkeypatch, "22.10.1")
    old = await lab_root.ensure_root(lab_root.OLD)
    assert old.name.startswith("asterisk-1%3a16.28.0~dfsg-0+deb11u4-")
    assert await lab_root.ensure_root(lab_root.OLD) == old
    _fake_machine_asterisk(tmp_path, monkeypatch, "16.28.0")
    with pytest.raises(
        LabError, match=re.escape("has Asterisk 1:16.28.0~dfsg-0+deb11u4, the lab needs 22.10.1")
    ):
        await lab_root.ensure_root()
    assert await lab_root.ensure_root(lab_root.OLD) == Path("/")


@pytest.mark.parametrize(
    ("script", "version", "message"),
    [
        ("echo 'E: the mirror is away' >&2; exit 1", "", "mmdebstrap failed: E: the mirror is away"),
        (
            'mkdir -p "$target"; cp -a usr "$target"',
            "1:22.9.0-1",
            "has Asterisk 1:22.9.0-1, the lab needs 22.10.1",
        ),
    ],
)
async def test_a_failed_build_is_one_line_and_leaves_no_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str, message: str
) -> None:
    """Catches half a root that the next run takes for a whole one."""
    _fake_mmdebstrap(tmp_path, script.replace("cp -a ", f"cp -a {tmp_path}/"))
    _fake_changelog(tmp_path, version)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lab_root, "sbin", lambda _: None)
    with pytest.raises(LabError, match=re.escape(message)):
        await lab_root.ensure_root()
    assert [path.name for path in (tmp_path / "cache/ccari/lab").iterdir()] == ["build.lock"]


def _fake_mmdebstrap(folder: Path, script: str) -> None:
    program = folder / "bin/mmdebstrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nfor last; do target=$before before=$last; done\n{script}\n")
    program.chmod(0o755)


def _fake_machine_asterisk(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    program = folder / "asterisk"
    program.write_text(f"#!/bin/sh\necho Asterisk {version}\n")
    program.chmod(0o755)
    monkeypatch.setattr(lab_root, "sbin", lambda _: str(program))


def _fake_changelog(folder: Path, version: str) -> None:
    changelog = folder / "usr/share/doc/asterisk/changelog.Debian.gz"
    changelog.parent.mkdir(parents=True)
    changelog.write_bytes(gzip.compress(f"asterisk ({version}) unstable; urgency=low\n".encode()))


async def test_without_root_or_mmdebstrap_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a traceback on a fresh machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(lab_root, "sbin", lambda _: None)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(LabError, match="apt-get install mmdebstrap"):
            await lab_root.ensure_root()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        await lab_root.ensure_root()
