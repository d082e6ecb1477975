"""The Asterisk under test, with this project's dialplan."""

import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.lab.asterisk import Asterisk
from tests.lab.errors import LabError
from tests.lab.following import Followed
from tests.lab.ports import free_port
from tests.lab.waiting import until

CHECKOUT = Path(__file__).parents[2]
OUTCOME_SECONDS = 30.0
_OUTCOME = re.compile(r"CCARI-OUTCOME ([^|]*)\|(.*)\|end$")


@dataclass(frozen=True)
class Outcome:
    """The variables that an agent's channel had when its call on the pbx ended."""

    call: str
    outcome: str
    reason: str
    stasis_status: str
    hangup_cause: str


class Pbx(Asterisk):
    """The instance that ccari drives."""

    name = "pbx"
    templates: ClassVar[tuple[str, ...]] = ("common", "pbx")
    # Asterisk reports times in its machine's zone, which must not show anywhere
    time_zone: ClassVar[str | None] = "Asia/Tokyo"

    def __init__(
        self, root: Path, directory: Path, *, world_sip_port: int, host_folders: Sequence[Path] = ()
    ) -> None:
        super().__init__(root, directory, [CHECKOUT / "dialplan", CHECKOUT / "sounds", *host_folders])
        self.world_sip_port = world_sip_port
        self.phone_password = secrets.token_hex(6)
        self.agi_port = free_port(socket.SOCK_STREAM, "127.0.0.1")
        self._followed = Followed(self.log)
        self._outcomes: dict[str, Outcome] = {}

    def settings(self) -> Mapping[str, object]:
        """Add world's address, the project's dialplan, the address at which it finds FastAGI, and queues."""
        settings = super().settings()
        return {
            **settings,
            "release_modules": f"{settings['release_modules']}\nload = app_queue.so",
            "world_sip_port": self.world_sip_port,
            "phone_password": self.phone_password,
            "dialplan": CHECKOUT / "dialplan/extensions_ccari.conf",
            "agi_dialplan": CHECKOUT / "dialplan/extensions_ccari_agi.conf",
            "agi_port": self.agi_port,
            "further_dialplan": "",
        }

    async def outcome(self, call: str, *, within: float = OUTCOME_SECONDS) -> Outcome:
        """Wait for the hangup handler of an agent's call, and return its outcome; ``call`` is ``AgentCall.id``."""
        try:
            await until(lambda: call in self._told(), within=within)
        except TimeoutError:
            raise LabError(f"call {call} had no outcome within {within} s; {self.fate}") from None
        return self._outcomes[call]

    def _told(self) -> Mapping[str, Outcome]:
        for line in self._followed.new():
            if found := _OUTCOME.search(line.decode("utf-8", "replace")):
                self._outcomes[found[1]] = Outcome(*found[2].split("|"))
        return self._outcomes
