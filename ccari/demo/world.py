"""The Asterisk at the other end of the line, which plays agents' phones and callees, controlled over its ARI."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from ccari.errors import CcariError, ConfigError

REQUEST_SECONDS = 10.0
#: How long an agent's phone waits for the PBX to answer: until then the callee hears the notice.
PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Where the other Asterisk is, and where it reaches the PBX by SIP."""

    url: str
    user: str
    password: str
    pbx_sip: str
    phone_password: str

    @classmethod
    def from_environment(cls) -> "WorldSettings":
        """Read the laboratory's variables. Raises ConfigError if one is missing."""
        try:
            return cls(
                url=os.environ["CCARI_LAB_WORLD_URL"],
                user=os.environ["CCARI_LAB_WORLD_USER"],
                password=Path(os.environ["CCARI_LAB_WORLD_PASSWORD_FILE"]).read_text("utf-8").strip(),
                pbx_sip=os.environ["CCARI_LAB_PBX_SIP"],
                phone_password=os.environ["CCARI_LAB_PHONE_PASSWORD"],
            )
        except (KeyError, OSError):
            raise ConfigError(
                "the demo needs two Asterisks of its own: run make demo in a checkout of ccari"
            ) from None


class World:
    def __init__(self, settings: WorldSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session

    async def dial(self, number: str, campaign: str, agent: str) -> None:
        """An agent's phone dials ``number`` on the PBX; once connected it does what ``agent`` names."""
        await self._request(
            "POST",
            "channels",
            {
                "endpoint": f"PJSIP/pbx/sip:{quote(number, safe='+')}@{self._settings.pbx_sip}",
                "context": "agents",
                "extension": agent,
                "priority": 1,
                "callerId": "Agent 101 <101>",
                "timeout": PATIENCE_SECONDS,
                "variables": {"PJSIP_HEADER(add,X-Campaign)": campaign},
            },
        )

    async def invites(self, number: str) -> int:
        """How many calls to ``number`` the far Asterisk has counted."""
        name = f"INVITES_{number.removeprefix('+')}"
        variable = await self._request("GET", f"asterisk/variable?variable={name}")
        return int(variable["value"] or 0)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        settings = self._settings
        headers = {"Authorization": aiohttp.encode_basic_auth(settings.user, settings.password)}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with self._session.request(
                method, f"{settings.url}/ari/{path}", json=body, headers=headers, timeout=timeout
            ) as reply:
                reply.raise_for_status()
                return await reply.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CcariError(f"the demo's other Asterisk refused: {type(error).__name__}") from None
