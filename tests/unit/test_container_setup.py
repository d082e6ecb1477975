"""What docker/setup.sh makes, and what it leaves alone."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.unit.documents.pages import CHECKOUT
from tests.unit.recordings.disks import mounted


def copy_of_docker(folder: Path) -> Path:
    shutil.copytree(CHECKOUT / "docker", folder, ignore=shutil.ignore_patterns(".env", "secrets", "site"))
    return folder


def set_up(folder: Path) -> None:
    # as somebody whose files nobody else may read
    subprocess.run(["/bin/sh", "-c", f"umask 077 && sh {folder}/setup.sh"], check=True)


def test_an_update_overwrites_or_stumbles_over_the_trunks_that_an_operator_has_written(
    tmp_path: Path,
) -> None:
    folder = copy_of_docker(tmp_path / "docker")
    set_up(folder)
    trunks = folder / "site" / "pjsip.conf"
    assert trunks.read_bytes() == (folder / "site.example" / "pjsip.conf").read_bytes()
    for each in (trunks.parent, trunks):
        assert stat.S_IMODE(each.stat().st_mode) & 0o044 == 0o044
    kept = {folder / ".env": "RTP_END=10399\n", trunks: "[trunk]\n"}
    for file, text in kept.items():
        file.write_text(text)
    passwords = {each: each.read_text() for each in (folder / "secrets").iterdir()}
    set_up(folder)
    assert {file: file.read_text() for file in (*kept, *passwords)} == kept | passwords
    # it would overwrite what git tracks, or refuse to
    ignored = (CHECKOUT / ".gitignore").read_text().splitlines()
    assert {"/docker/.env", "/docker/secrets/", "/docker/site/"} <= {*ignored}


def test_a_checkout_that_is_closed_to_others_keeps_prometheus_from_its_alerts_and_the_demo_from_its_trunks(
    tmp_path: Path,
) -> None:
    folder = copy_of_docker(tmp_path / "docker")
    mounts = [
        path for each in ("prometheus", "demo") for path in (folder / each, *(folder / each).rglob("*"))
    ]
    for each in mounts:
        each.chmod(0o700 if each.is_dir() else 0o600)
    set_up(folder)
    assert [each for each in mounts if each.stat().st_mode & 0o004 == 0] == []


def test_a_full_disk_leaves_a_password_that_is_empty(tmp_path: Path) -> None:
    folder = copy_of_docker(tmp_path / "docker")
    with mounted(folder / "secrets", "size=8k") as secrets:
        (secrets / "filler").write_bytes(bytes(8192))
        with pytest.raises(subprocess.CalledProcessError):
            set_up(folder)
        (secrets / "filler").unlink()
        set_up(folder)
        assert [each.stat().st_size for each in secrets.iterdir()] == [64, 64]
