"""If a module of Asterisk that some campaign needs is missing, that campaign's calls are refused, and no others."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ccari.calls import ari
from ccari.calls.actions import Actions
from ccari.calls.ari import Ari
from ccari.calls.ledger import Ledger
from ccari.calls.link import _tell_of_unfit
from ccari.calls.modules import ANSWERING_MACHINE, MODULES, TRANSFER
from ccari.calls.order import Order
from ccari.calls.transport import Credentials, Transport
from ccari.errors import UnsuitableError
from ccari.gating.terms import Terms
from ccari.policy.call import Direction
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block
from ccari.ports.policies import PolicyBook
from tests.unit.calls.talking import IDLE_DESK, Talking
from tests.unit.policy.campaigns import CONTROLLER, campaign

MACHINES = campaign(answering_machine={})
TRANSFERS = campaign(id="offers", transfer="PJSIP/{extension}")
ALLOWED, REFUSED = on.GateAllowed, on.GateBlocked(Block.STORE_UNAVAILABLE)


class Pbx:
    """Asterisk as far as it reports its running modules; ``asked``: how often it was asked."""

    def __init__(self, running: Sequence[str] = MODULES) -> None:
        self.running = set(running)
        self.asked = 0
        self.asterisk = self
        self.ari = Ari(self, cast("Transport", None), Credentials("http://pbx", "ccari", "", "ccari"))

    async def listModules(self) -> Any:  # noqa: N802 - ARI's name
        self.asked += 1
        stopped = {"name": "app_queue.so", "status": "Not Running"}
        listed = [stopped, *({"name": each, "status": "Running"} for each in sorted(self.running))]
        return SimpleNamespace(json=lambda: listed)


class Allowing:
    """A gate that allows every call."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    async def open(self, _: Order) -> Terms:
        return self._terms


async def gated(pbx: Pbx, declared: Campaign, direction: Direction = Direction.OUTBOUND) -> object:
    """What the call is told about the gate."""
    talking = Talking(direction)
    order = Order(direction, "+48600100001", declared.id, "anna", channel="phone-1")
    actions = Actions(order, talking.ids, replace(IDLE_DESK, ari=pbx.ari), talking.journal)
    actions._ledger = cast("Ledger", Allowing(replace(talking.actions._terms, campaign=declared)))
    actions._dialplan.is_withheld = _shown  # type: ignore[method-assign]
    return await actions.carry_out(do.CheckGate())


async def _shown() -> bool:
    return False


async def test_a_module_of_one_campaign_ends_the_service_and_the_calls_of_all_the_others() -> None:
    pbx = Pbx()
    await pbx.ari.check_modules()
    assert isinstance(await gated(pbx, campaign()), ALLOWED)
    with capture_logs() as logged:
        assert await gated(pbx, MACHINES) == REFUSED
        assert await gated(pbx, TRANSFERS) == REFUSED
    assert [(each["event"], each["log_level"], each["campaign"]) for each in logged] == [
        ("gate_unfit", "error", "renewals"), ("gate_unfit", "error", "offers"),
    ]  # fmt: skip
    assert logged[0]["reason"] == (
        "Asterisk lacks app_amd.so, app_waitforsilence.so, for its answering_machine: load them in modules.conf"
    )


async def test_a_caller_is_turned_away_for_machines_that_nobody_looks_for() -> None:
    pbx = Pbx()
    assert isinstance(await gated(pbx, MACHINES, Direction.INBOUND), ALLOWED)
    assert await gated(pbx, TRANSFERS, Direction.INBOUND) == REFUSED


async def test_a_module_that_was_loaded_is_missed_until_the_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pbx = Pbx()
    monkeypatch.setattr(ari, "MODULES_AGAIN_SECONDS", 0.0)
    assert await gated(pbx, MACHINES) == REFUSED
    pbx.running |= {*ANSWERING_MACHINE, *TRANSFER}
    assert isinstance(await gated(pbx, MACHINES), ALLOWED)
    assert isinstance(await gated(pbx, TRANSFERS), ALLOWED)


async def test_each_call_asks_asterisk_for_all_its_modules() -> None:
    pbx = Pbx()
    await pbx.ari.check_modules()
    for _ in range(3):
        assert await gated(pbx, MACHINES) == REFUSED
    assert pbx.asked == 1


async def test_a_module_that_every_call_needs_is_done_without() -> None:
    pbx = Pbx([each for each in MODULES if each != "res_stasis_snoop.so"])
    with pytest.raises(UnsuitableError, match=r"Asterisk lacks res_stasis_snoop\.so: load them"):
        await pbx.ari.check_modules()


async def test_a_service_drives_an_asterisk_that_cannot_dial() -> None:
    """Asterisk answers a dial with 204 all the same, and nobody's phone rings."""
    pbx = Pbx([each for each in MODULES if each != "bridge_holding.so"])
    with pytest.raises(UnsuitableError, match=r"Asterisk lacks bridge_holding\.so: load them"):
        await pbx.ari.check_modules()


async def test_the_first_call_finds_out_what_its_campaign_lacks() -> None:
    pbx = Pbx([*MODULES, *ANSWERING_MACHINE])
    policy = Policy(controllers=(CONTROLLER,), campaigns=(MACHINES, TRANSFERS))
    book = cast("PolicyBook", SimpleNamespace(policy=policy))
    await pbx.ari.check_modules()
    with capture_logs() as logged:
        await _tell_of_unfit(replace(IDLE_DESK, ari=pbx.ari, book=book))
    assert [(each["event"], each["campaign"], each["reason"]) for each in logged] == [
        (
            "gate_unfit",
            "offers",
            "Asterisk lacks res_pjsip_refer.so, func_channel.so, for its transfer: load them in modules.conf",
        )
    ]
