"""What all runs share: a PostgreSQL, the notice, and anything that the ways other than ccari have to fetch."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ccari.cli.sounds import prompts_of
from ccari.policy.declaration import read
from ccari.sounds import Catalogue, EspeakNg, build
from ccari.sounds.audio import plays_ms
from ccari.sounds.soundboard import shipped_sounds
from ccari.store.embedded import embedded_postgres
from tests.integration import studio
from tests.integration.databases import new_database

POLICY = Path(__file__).parent / "policy.toml"
NOTICE = "recording_opt_out"
#: With the silence around it that the build adds, it lasts a second.
TONE_SECONDS = 0.85


@dataclass
class Place:
    folder: Path
    sounds: Path
    dsn: str
    _databases: int = field(default=0, init=False)

    @property
    def notice(self) -> Path:
        return self.sounds / "pl/bench" / NOTICE

    @property
    def plain_notice(self) -> Path:
        """The same notice as a WAV file at the telephones' rate, for a way without ccari."""
        return self.folder / "plain" / NOTICE

    @property
    def notice_seconds(self) -> float:
        return plays_ms(self.notice.with_suffix(".sln12")) / 1000

    @property
    def postmaster(self) -> int:
        """PostgreSQL's parent process."""
        return int((self.folder / "data/postgresql/cluster/postmaster.pid").read_text().split()[0])

    @property
    def host_folders(self) -> list[Path]:
        """The folders that an Asterisk sees."""
        return [self.folder]

    async def new_database(self) -> str:
        """Create an empty database; returns its DSN."""
        self._databases += 1
        return await new_database(self.dsn, f"bench_{self._databases}")

    def new_folder(self, name: str) -> Path:
        made = self.folder / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        return made


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    sounds = await asyncio.to_thread(_sounds, folder)
    async with embedded_postgres(folder / "data") as dsn:
        yield Place(folder, sounds, dsn)


def _sounds(folder: Path) -> Path:
    """The prompts of the policy; the one about the recording is a tone of the right length."""
    words = Catalogue.load(shipped_sounds() / "catalogue.toml")
    prompts = list(prompts_of(read(POLICY.read_text("utf-8")), words, {}))
    studio.record(folder / "studio", [each for each in prompts if each.id == NOTICE], TONE_SECONDS)
    build(prompts, folder / "sounds", engine=EspeakNg(), studio=folder / "studio", shipped=shipped_sounds())
    plain = folder / "plain" / f"{NOTICE}.wav"
    plain.parent.mkdir(exist_ok=True)
    built = folder / "sounds/pl/bench" / f"{NOTICE}.sln12"
    as_wav = ["-f", "s16le", "-ar", "12000", "-i", str(built), "-ar", "8000", str(plain)]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *as_wav], check=True)
    return folder / "sounds"
