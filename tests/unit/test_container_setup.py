"""What docker/setup.sh makes, and what it leaves alone."""

import shutil
import stat
import subprocess
from pathlib import Path

from tests.unit.documents.pages import CHECKOUT


def set_up(folder: Path) -> None:
    # as somebody whose files nobody else may read
    subprocess.run(["/bin/sh", "-c", f"umask 077 && sh {folder}/setup.sh"], check=True)


def test_an_update_overwrites_or_stumbles_over_the_trunks_that_an_operator_has_written(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "docker"
    shutil.copytree(CHECKOUT / "docker", folder, ignore=shutil.ignore_patterns(".env", "secrets", "site"))
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
