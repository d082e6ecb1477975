"""Callers while ccari is down or hangs: they go where the PBX's admin has chosen."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccari.gating.shipped import DIALPLAN, VERSION
from tests.integration.dialplans.pbxs import BOUND_SECONDS, Through, Way, away, hung
from tests.integration.service import Service
from tests.lab import Lab, Outcome
from tests.lab.foreign import ForeignPbx
from tests.lab.pbx import CHECKOUT

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextlib.asynccontextmanager
async def chosen(pbx: ForeignPbx, choice: str) -> AsyncIterator[None]:
    """Meanwhile, the admin has made this choice for callers."""
    await pbx.set_global("CCARI_INBOUND_WITHOUT", choice)
    try:
        yield
    finally:
        await pbx.set_global("CCARI_INBOUND_WITHOUT", "")


@contextlib.asynccontextmanager
async def asked_first(pbx: ForeignPbx) -> AsyncIterator[None]:
    """The dialplan asks over FastAGI first whether ccari is alive, as if the global variable were not set."""
    await pbx.set_global("CCARI_ASK_ALIVE", "")
    try:
        yield
    finally:
        await pbx.set_global("CCARI_ASK_ALIVE", "no")


@contextlib.asynccontextmanager
async def without_fastagi(pbx: ForeignPbx) -> AsyncIterator[None]:
    """As if extensions_ccari_agi.conf were not included."""
    await pbx.cli("dialplan remove context ccari-alive")
    try:
        yield
    finally:
        await pbx.cli("dialplan reload")
        assert "ccari-alive" in await pbx.cli("dialplan show ccari-alive")


async def call_in(lab: Lab, pbx: ForeignPbx, context: str, choice: str) -> Outcome:
    async with chosen(pbx, choice):
        return await Through(lab, pbx, Way("current", context)).dial(
            "123456", caller="+48600990088", within=BOUND_SECONDS
        )


@pytest.mark.parametrize("choice", ["connect", "", "refuse"])
async def test_a_caller_of_vicidial_is_not_treated_as_was_chosen_while_ccari_is_away(
    lab: Lab, service: Service, old: ForeignPbx, choice: str
) -> None:
    through = Through(lab, old, Way("old", "trunkinbound"))
    async with old.asking(away()), chosen(old, choice):
        told = await through.dial("123456", caller="+48600990086")
    assert (told.reason == "did_route") == (choice == "connect")


async def test_a_caller_of_vicidial_has_no_keys(lab: Lab, service: Service, old: ForeignPbx) -> None:
    through = Through(lab, old, Way("old", "trunkinbound"))
    told = await through.dial("123456", agent="presses-8-2", caller="+48600990087")
    assert (told.outcome, told.reason) == ("access", "did_route")


@pytest.mark.parametrize(
    "through", [Way("old", "recorded"), Way("current", "recorded")], indirect=True, ids=["16", "22"]
)
async def test_who_refuses_to_be_recorded_in_the_menu_comes_to_where_the_pbx_records(
    through: Through,
) -> None:
    comes_to = {}
    for right in ("none", "", "access", "objection_marketing", "access,objection_marketing", "refuse_recording",
                  "erasure", "objection", "access,refuse_recording", "erasure,access", "access,objection,access"):  # fmt: skip
        await through.pbx.set_global("CCARI_RIGHT", right)
        try:
            comes_to[right] = (await through.dial("123456")).outcome
        finally:
            await through.pbx.set_global("CCARI_RIGHT", "")
    stopped = {right for right, place in comes_to.items() if place == "unrecorded"}
    assert stopped == {"refuse_recording", "erasure", "objection", "access,refuse_recording", "erasure,access",
                       "access,objection,access"}  # fmt: skip
    assert set(comes_to.values()) == {"recorded", "unrecorded"}


@pytest.mark.parametrize(
    "through", [Way("old", "announced"), Way("current", "announced")], indirect=True, ids=["16", "22"]
)
async def test_who_was_told_of_no_recording_comes_to_where_the_pbx_records(through: Through) -> None:
    comes_to = {}
    for announcement in ("custom/our-announcement", str(CHECKOUT / "sounds/pl/digit_3")):
        await through.pbx.set_global("LAB_ANNOUNCEMENT", announcement)
        comes_to[Path(announcement).name] = (await through.dial("123456")).outcome
    assert comes_to == {"our-announcement": "unrecorded", "digit_3": "recorded"}


both_ways_in = pytest.mark.parametrize("context", ["did", "plain-did"], ids=["FreePBX", "plain"])
every_choice = pytest.mark.parametrize("choice", ["connect", "", "refuse"])


@both_ways_in
@every_choice
async def test_a_caller_is_not_treated_as_was_chosen_while_ccari_is_away(
    lab: Lab, service: Service, current: ForeignPbx, context: str, choice: str
) -> None:
    # FastAGI answers, but no ccari is behind the PBX's own Stasis
    await current.set_global("CCARI_INBOUND_FALLBACK", "lab-staff,s,1" if context == "plain-did" else "")
    async with asked_first(current):
        told = await call_in(lab, current, context, choice)
    assert (told.stasis_status, told.outcome) == ("FAILED", "unavailable")
    assert told.reason == ("staff" if choice == "connect" else "service_away")


async def test_the_shipped_dialplan_counts_as_another_version_or_tells_none(
    lab: Lab, service: Service, current: ForeignPbx
) -> None:
    async with asked_first(current):
        await call_in(lab, current, "did", "")
    gated = await Through(lab, current, Way("current", "lab-gated")).dial("+48600990078")
    await service.ended(gated.call)
    assert service.count("dialplan_differs") == 0
    assert f"{DIALPLAN}={VERSION}" in await current.cli("dialplan show globals")


@both_ways_in
@every_choice
async def test_ccari_is_asked_where_the_admin_says_not_to_or_a_failed_stasis_is_not_treated_as_was_chosen(
    lab: Lab, service: Service, current: ForeignPbx, context: str, choice: str
) -> None:
    await current.set_global("CCARI_INBOUND_FALLBACK", "lab-staff,s,1" if context == "plain-did" else "")
    # FastAGI never answers, so Stasis is not tried
    async with hung() as address, current.asking(address):
        told = await call_in(lab, current, context, choice)
    assert (told.stasis_status, told.outcome) == ("FAILED", "unavailable")
    assert told.reason == ("staff" if choice == "connect" else "service_away")


async def test_a_caller_is_cut_off_where_fastagi_is_left_out(
    lab: Lab, service: Service, current: ForeignPbx
) -> None:
    async with asked_first(current), without_fastagi(current):
        told = await call_in(lab, current, "did", "connect")
    assert (told.stasis_status, told.outcome, told.reason) == ("FAILED", "unavailable", "staff")


async def test_a_caller_waits_for_a_hung_ccari(lab: Lab, service: Service, current: ForeignPbx) -> None:
    await current.set_global("CCARI_INBOUND_FALLBACK", "")
    async with asked_first(current), hung() as address, current.asking(address):
        refused = await call_in(lab, current, "did", "refuse")
        connected = await call_in(lab, current, "did", "connect")
    assert (refused.stasis_status, refused.outcome, refused.reason) == ("", "unavailable", "service_away")
    assert (connected.stasis_status, connected.outcome, connected.reason) == ("", "unavailable", "staff")
