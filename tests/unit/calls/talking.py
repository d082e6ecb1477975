"""A call in the middle of a talk, on an Asterisk that does what it is told, or refuses what a test names."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

import orjson

from ccari.calls.actions import Actions
from ccari.calls.ari import Ari
from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.opening import Endpoints
from ccari.calls.order import Order
from ccari.calls.transport import Credentials, LinkLost, Refused, Reply, Transport
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.policy.call import Direction
from ccari.ports.calls import OpenedCall
from ccari.ports.sounds import Script, Sound
from tests.unit.policy.campaigns import CONTROLLER, campaign

#: A desk that is asked for nothing.
IDLE_DESK = Desk(*cast("tuple[Any, Any, Any, Any, Any, Any, Any, Any, Any, Any, Any]", (None,) * 11))


class Asterisk:
    """ARI's operations as asyncari offers them. ``asked``: those requested, each with the channel or object that it is about.

    ``refusals``: the status with which an operation is refused; None for one that is never answered. ``meanwhile``: what happens while
    an operation is under way, once. ``set``: what variables were set to. ``rings``: for how many seconds each channel is rung.
    ``made``: the variables with which each channel was made. ``encryption``: that of all endpoints. ``why``: the reason in a refusal.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refusals: dict[str, HTTPStatus | None] = {}
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.set: list[tuple[str, str]] = []
        self.encryption = "no"
        self.why = "refused"
        self.rings: dict[str, int] = {}
        self.made: dict[str, dict[str, str]] = {}

    def __getattr__(self, _: str) -> "Asterisk":
        # every resource is this object
        return self

    async def _do(self, operation: str, about: str) -> None:
        self.asked.append((operation, about))
        self.meanwhile.pop(operation, lambda: None)()
        if operation in self.refusals:
            status = self.refusals[operation]
            raise LinkLost("no answer") if status is None else Refused(status, operation, self.why)

    async def removeChannel(self, *, channel: list[str], **_: Any) -> None:  # noqa: N802 - ARI's name
        await self._do("removeChannel", channel[0])

    async def createWithId(self, *, bridgeId: str, **_: Any) -> None:  # noqa: N802, N803 - ARI's names
        await self._do("createWithId", bridgeId)

    async def destroy(self, *, bridgeId: str) -> None:  # noqa: N803
        await self._do("destroy", bridgeId)

    async def transfer_progress(self, *, channelId: str, states: str) -> None:  # noqa: N803
        await self._do(states, channelId)

    async def getChannelVar(self, *, channelId: str, variable: str) -> Reply:  # noqa: N802, N803
        await self._do(variable, channelId)
        return Reply(HTTPStatus.OK, '{"value": ""}')

    async def getObject(self, *, id: str, **_: str) -> Reply:  # noqa: A002, N802 - ARI's names
        await self._do("settings", id)
        told = [{"attribute": "media_encryption", "value": self.encryption}]
        return Reply(HTTPStatus.OK, orjson.dumps(told).decode())

    async def setChannelVar(self, *, channelId: str, variable: str, value: str) -> None:  # noqa: N802, N803
        self.set.append((variable, value))
        await self._do("setChannelVar", channelId)

    async def continueInDialplan(self, *, channelId: str) -> None:  # noqa: N802, N803
        await self._do("continueInDialplan", channelId)

    async def hangup(self, *, channelId: str) -> None:  # noqa: N803
        await self._do("hangup", channelId)

    async def create(self, *, channelId: str, variables: dict[str, str], **_: Any) -> None:  # noqa: N803
        self.made[channelId] = variables
        await self._do("create", channelId)

    async def dial(self, *, channelId: str, timeout: int) -> None:  # noqa: ASYNC109, N803 - ARI's names
        self.rings[channelId] = timeout
        await self._do("dial", channelId)

    async def playWithId(self, *, media: str, **_: Any) -> None:  # noqa: N802
        await self._do("play", media)

    async def sendDTMF(self, *, channelId: str, dtmf: str) -> None:  # noqa: N802, N803
        await self._do(f"key {dtmf}", channelId)

    async def stop(self, *, playbackId: str) -> None:  # noqa: N803
        await self._do("stop", playbackId)


def _script(language: str) -> Script:
    prompts = ("right_failed", "agent_call_recorded")
    return Script({each: Sound(f"sound:{language}/{each}", 9000, each) for each in prompts}, {})


class Talking:
    """``actions`` carries the call's commands out on ``asterisk``; its campaign speaks Polish, and English on demand."""

    def __init__(self, direction: Direction, asterisk: Asterisk | None = None) -> None:
        self.asterisk = asterisk or Asterisk()
        home = {Direction.OUTBOUND: "phone-1", Direction.INBOUND: "caller-1"}.get(direction)
        self.ids = Ids(uuid4(), direction, home)
        declared = campaign(transfer="PJSIP/{extension}", languages=["en"])
        opened = OpenedCall(
            self.ids.call, uuid4(), "pbx", "anna", "+48•••••0001", 1, "acme", "renewals", "contract", None
        )
        self.ari = Ari(
            self.asterisk, cast("Transport", None), Credentials("http://pbx", "ccari", "", "ccari")
        )
        self.desk = replace(IDLE_DESK, ari=self.ari, endpoints=Endpoints(self.ari), asterisk="pbx")
        self.order = Order(direction, "+48600100001", "renewals", "anna", channel=home)
        self.journal = Journal(self.ids.call, "anna")
        self.actions = Actions(self.order, self.ids, self.desk, self.journal)
        scripts = {each: _script(each) for each in ("pl", "en")}
        self.actions._allowed = Terms(CONTROLLER, declared, (), None, opened, scripts, "pl", ())

    @property
    def asked(self) -> list[tuple[str, str]]:
        return self.asterisk.asked
