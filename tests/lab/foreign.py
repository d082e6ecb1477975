"""PBXs that run somebody else's dialplan, beside the lab's own and with the same world around them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.laboratory import Lab
from tests.lab.pbx import Pbx


class ForeignPbx(Pbx):
    """``dialplan`` is added to the lab's own and the shipped contexts; ``modules`` to those that every Asterisk loads.

    Its shipped contexts look for FastAGI at the same address as the lab's own pbx.
    """

    def __init__(self, root: Path, lab: Lab, name: str, dialplan: str, modules: Sequence[str]) -> None:
        self.name = name
        super().__init__(
            root, lab.directory, world_sip_port=lab.world.sip_port, host_folders=lab.pbx.host_folders
        )
        self.agi_port = lab.pbx.agi_port
        self._dialplan = dialplan
        self._modules = modules

    def settings(self) -> Mapping[str, object]:
        """Add the foreign dialplan and what it needs."""
        return {
            **super().settings(),
            "further_dialplan": self._dialplan,
            "release_modules": "\n".join(f"load = {module}" for module in self._modules),
        }

    @asynccontextmanager
    async def started(self) -> AsyncIterator["ForeignPbx"]:
        """Start it, and stop it at the end."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    @asynccontextmanager
    async def asking(self, address: str) -> AsyncIterator[None]:
        """Meanwhile, its shipped contexts look for ccari at this ``HOST:PORT``."""
        await self.set_global("CCARI_AGI", address)
        try:
            yield
        finally:
            await self.set_global("CCARI_AGI", f"127.0.0.1:{self.agi_port}")

    async def set_global(self, name: str, value: str) -> None:
        """Set a global variable of its dialplan; the value may be empty."""
        answer = await self.cli(f'dialplan set global {name} "{value}"')
        if "set to" not in answer:
            raise LabError(f"{self.name} did not set {name}: {answer.strip()}")
