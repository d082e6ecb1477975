"""The two Asterisks of a run: the laboratory's, with the benchmark's own dialplans and short logs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.bench.calls.ear import Ear, Ports
from tests.lab.laboratory import temporary_folder, together
from tests.lab.pbx import Pbx
from tests.lab.ports import RTP
from tests.lab.root import ensure_root
from tests.lab.world import World

HERE = Path(__file__).parent
#: From the answer: the time for the notice, and for a talk that takes the rest.
CALLEE_SECONDS = 5.3
#: Half of the ports for each: a call takes four ports of each, and the laboratory's own range would be used up by 500
#: calls.
_PBX_RTP = RTP.start, RTP.start + len(RTP) // 2 - 1
_WORLD_RTP = _PBX_RTP[1] + 1, RTP.stop - 1
_LOOK_UP, _CDR = ("res_odbc_transaction", "res_odbc", "func_odbc"), ("cdr_pgsql",)


@dataclass(frozen=True)
class Wanted:
    """``context``: the dialplan context of the way; ``database``: a DSN; ``notice``: a sound file without its
    extension; ``driver``: the folder of the ODBC driver, if the dialplan asks the database itself.
    """

    context: str
    database: str
    notice: Path
    cdr: bool
    driver: Path | None = None


class BenchPbx(Pbx):
    templates: ClassVar[tuple[str, ...]] = ("common", "pbx", str(HERE / "etc/pbx"))

    def __init__(
        self, wanted: Wanted, root: Path, directory: Path, world: World, host_folders: list[Path]
    ) -> None:
        super().__init__(root, directory, world_sip_port=world.sip_port, host_folders=host_folders)
        self._wanted = wanted
        self._sockets = parse_qs(urlsplit(wanted.database).query)["host"][0]
        self._database = urlsplit(wanted.database).path.strip("/")

    def settings(self) -> Mapping[str, object]:
        settings = super().settings()
        modules = (*(_LOOK_UP if self._asks else ()), *(_CDR if self._wanted.cdr else ()))
        return {
            **settings,
            "release_modules": "\n".join(
                [str(settings["release_modules"]), *(f"load = {each}.so" for each in modules)]
            ),
            "way": self._wanted.context,
            "notice": self._wanted.notice,
            "spool": self.spool,
            "sockets": self._sockets,
            "database": self._database,
            "cdr": "yes" if self._wanted.cdr else "no",
            "odbc": "yes" if self._asks else "no",
        }

    def environment(self) -> Mapping[str, str]:
        if self._wanted.driver is None:
            return {}
        sources = self.home / "odbc"
        sources.mkdir(parents=True, exist_ok=True)
        (sources / "odbcinst.ini").touch()
        (sources / "odbc.ini").write_text(
            f"[bench]\nDriver = {self._wanted.driver / 'odbc/psqlodbcw.so'}\n"
            f"Servername = {self._sockets}\nDatabase = {self._database}\nUsername = postgres\n"
        )
        return {"ODBCSYSINI": str(sources), "LD_LIBRARY_PATH": str(self._wanted.driver)}

    @property
    def _asks(self) -> bool:
        return self._wanted.driver is not None


class BenchWorld(World):
    templates: ClassVar[tuple[str, ...]] = ("common", "world", str(HERE / "etc/world"))

    def __init__(self, root: Path, directory: Path, callee_seconds: float = CALLEE_SECONDS) -> None:
        super().__init__(root, directory)
        self._callee_seconds = callee_seconds

    def settings(self) -> Mapping[str, object]:
        return {**super().settings(), "callee_seconds": self._callee_seconds}


@dataclass(frozen=True)
class Exchange:
    pbx: Pbx
    world: World

    @property
    def ports(self) -> Ports:
        pbx, world = self.pbx, self.world
        return Ports(pbx.sip_port, pbx.rtp_ports, world.sip_port, world.rtp_ports)

    def ear(self) -> Ear:
        return Ear(self.ports)


@asynccontextmanager
async def exchange(
    wanted: Wanted, host_folders: list[Path], callee_seconds: float = CALLEE_SECONDS
) -> AsyncIterator[Exchange]:
    """The pbx that works in this way, and the world around it, whose callees hang up after this time; it sees
    ``host_folders``, read-only.
    """
    root = await ensure_root()
    async with temporary_folder() as directory:
        world = BenchWorld(root, directory, callee_seconds)
        pbx = BenchPbx(wanted, root, directory, world, host_folders)
        world.pbx_sip_port = pbx.sip_port
        pbx.rtp_ports, world.rtp_ports = _PBX_RTP, _WORLD_RTP
        try:
            await together(pbx.start(), world.start())
            yield Exchange(pbx, world)
        finally:
            await pbx.stop()
            await world.stop()
