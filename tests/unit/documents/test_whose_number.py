"""What an auditor is told to do who wants to know whose number a pack is about."""

import subprocess
import sys
from pathlib import Path

from ccari.keyring.secrets import SecretStore
from tests.unit.documents.pages import CHECKOUT, blocks
from tests.unit.store.made import NUMBER, new_secret


def test_an_auditor_computes_another_digest_than_is_in_the_pack(tmp_path: Path) -> None:
    secrets = SecretStore(tmp_path)
    new_secret(secrets, "acme")
    page = CHECKOUT / "docs" / "evidence.md"
    (line,) = [each.text for each in blocks(page) if each.text.startswith("python3 ")]
    typed = line.replace("python3", sys.executable, 1)
    done = subprocess.run(  # noqa: S602 - as the page has it
        typed,
        shell=True,
        cwd=tmp_path / "acme",
        input=f"{NUMBER.e164}\n",
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout == f"number: {secrets.digests('acme', NUMBER).newest.hex()}\n"
