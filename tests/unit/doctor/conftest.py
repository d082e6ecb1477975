"""A complete ccari, in which each test breaks one thing; only Asterisk is away."""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage
import pytest

from ccari.cli.doctor.findings import Finding, State
from ccari.cli.doctor.rounds import examine
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import SecretStore
from ccari.policy import wording
from ccari.policy.declaration import read
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from ccari.sounds.audio import FORMAT
from ccari.sounds.catalogue import Catalogue
from ccari.sounds.manifest import Entry, Manifest, SoundFile
from ccari.sounds.soundboard import shipped_sounds
from ccari.store import untouched
from tests.lab.ports import free_port
from tests.unit.store import made
from tests.unit.store.made import new_secret

#: The recipient of an identity that nobody has.
RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
PASSWORD = "s3cret-ari-word"  # noqa: S105 - of an Asterisk that is not there


DURABLE = untouched.DURABLE


@dataclass
class Patient:
    """``settings``: those of its ccari.toml, by section."""

    folder: Path
    settings: dict[str, dict[str, Any]]
    data_dir: Path
    file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.file = self.folder / "ccari.toml"

    @property
    def sounds(self) -> Path:
        return Path(self.settings["sounds"]["dir"])

    @property
    def keys(self) -> Path:
        return Path(self.settings["keys"]["dir"])

    @property
    def spool(self) -> Path:
        return Path(self.settings["asterisk"]["spool"])

    def write(self) -> Path:
        """Write its ccari.toml, with strings as in JSON."""
        lines = [f"data_dir = {json.dumps(str(self.data_dir))}"]
        for section, values in self.settings.items():
            lines.append(f"[{section}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        self.file.write_text("\n".join(lines) + "\n")
        self.file.chmod(0o600)
        return self.file

    async def examined(self) -> list[Finding]:
        found = await examine(self.write())
        for each in found:
            assert (each.advice == "") is (each.state is State.OK), each
            assert PASSWORD not in f"{each.found}{each.advice}"
        return found

    async def unwell(self) -> dict[str, Finding]:
        """Everything that is wrong besides Asterisk, by check."""
        found = await self.examined()
        names = [each.check for each in found]
        # whatever is wrong, checks that have nothing to do with it still run
        assert {"configuration", "user", "database", "policy", "asterisk", "spool", "fastagi", "http"} <= {
            *names
        }
        return {each.check: each for each in found if each.state is not State.OK and each.check != "asterisk"}

    async def only(self, check: str) -> Finding:
        """The only thing that is wrong."""
        found = await self.unwell()
        assert list(found) == [check], found
        return found[check]

    def record(self, document: str) -> None:
        """Make sounds for a policy, as far as they do not come with ccari."""
        policy, words = read(document), Catalogue.load(shipped_sounds() / "catalogue.toml")
        shipped, entries = Manifest.load(shipped_sounds()).entries, {}
        for campaign in policy.campaigns:
            for prompt in wording.prompts(policy.controller_of(campaign), campaign, words, campaign.language):
                if prompt.key in shipped:
                    continue
                path = self.sounds / f"{prompt.key}.{FORMAT}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"\xd5" * 8000)
                files = {FORMAT: SoundFile(hashlib.sha256(path.read_bytes()).hexdigest(), -24.0, -3.0)}
                entries[prompt.key] = Entry(prompt.text, campaign.language, "studio", 1000, "test", files)
        Manifest(entries).save(self.sounds)


@pytest.fixture(autouse=True)
def shipped(reachable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompts that come with ccari, at a path that others can reach, wherever the checkout is: below /root, say."""
    link = reachable / "shipped"
    if not link.is_symlink():
        link.symlink_to(shipped_sounds())
    for module in ("ccari.sounds.soundboard", "ccari.cli.doctor.sounds"):
        monkeypatch.setattr(f"{module}.shipped_sounds", lambda: link)


@pytest.fixture(autouse=True)
def synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' server does not wait for its disk."""
    monkeypatch.setattr(untouched, "DURABLE", ())


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever free space the tests' own disk has."""
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: with_room(real(path), free=1 << 40, whole=1 << 41))


def with_room(found: os.statvfs_result, *, free: int, whole: int, files: float = 0.9) -> os.statvfs_result:
    """A disk of this many bytes, of whose files this many are free."""
    blocks = [each // found.f_frsize for each in (whole, free, free)]
    most = 1_000_000
    return os.statvfs_result((*found[:2], *blocks, most, int(most * files), int(most * files), *found[8:]))


@pytest.fixture
def folder(reachable: Path) -> Iterator[Path]:
    """A folder that other users may look into."""
    found = Path(tempfile.mkdtemp(dir=reachable))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture
def patient(dsn: str, folder: Path) -> Patient:
    for each in ("sounds", "spool", "recordings"):
        (folder / each).mkdir(mode=0o755)
    new_secret(SecretStore(folder / "keys"), "acme")
    RecipientFile(folder / "keys").create([RECIPIENT])
    SigningKeys(folder / "keys").create()
    JournalKey(folder / "keys").create()
    ports = [free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(3)]
    found = Patient(
        folder,
        {
            "database": {"url": dsn},
            "asterisk": {
                "url": f"http://127.0.0.1:{ports[0]}", "password": PASSWORD, "spool": str(folder / "spool"),
            },
            "keys": {"dir": str(folder / "keys")},
            "sounds": {"dir": str(folder / "sounds")},
            "agi": {"listen": f"127.0.0.1:{ports[1]}"},
            "http": {"listen": f"127.0.0.1:{ports[2]}"},
        },
        folder,
    )  # fmt: skip
    found.record(made.POLICY)
    return found
