"""Inbound calls over Stasis while ccari runs, in FreePBX and in a plain dialplan: who is connected, and who is not
because the set-up is incomplete. Also callees over one of two trunks.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.integration.conftest import POLICY
from tests.integration.databases import new_database
from tests.integration.dialplans.test_inbound_through_pbxs import chosen
from tests.integration.service import Service
from tests.lab import Callee, Lab, Outcome, audio, callees
from tests.lab.foreign import ForeignPbx
from tests.lab.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The cause of SIP 403, which does not make a carrier take the PBX for dead.
REJECTED = 21
#: Its notice is shipped; it is the only campaign here that says whom to connect to.
HOTLINE = """
[[campaigns]]
id = "hotline"
controller = "acme"
purpose = "infolinia"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{number}@trunk"
agent = "PJSIP/{agent}@agents"
[campaigns.recording]
mode = "notice"
[campaigns.notice]
prompts = ["recording"]

[[campaigns]]
id = "second"
controller = "acme"
purpose = "infolinia"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "Local/{number}@two-trunks"
caller_id = "+48221234567"
[campaigns.recording]
mode = "notice"
[campaigns.notice]
prompts = ["recording"]
[campaigns.keys]
"8" = "access"
"""
#: How the same DID is answered in a FreePBX and in one's own dialplan.
WAYS = pytest.mark.parametrize("context", ["did", "plain-did"], ids=["FreePBX", "plain"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def driving(
    lab: Lab, service: Service, current: ForeignPbx, folder: Path, sounds: Path, dsn: str
) -> AsyncIterator[Service]:
    """A second service, which drives this PBX; the first one answers its FastAGI."""
    home = folder / "hotline"
    home.mkdir()
    policy = home / "policy.toml"
    policy.write_text(POLICY.read_text() + HOTLINE)
    own = await new_database(dsn, "hotline")
    made = Service(
        {
            "CCARI_DATA_DIR": str(home / "data"),
            "CCARI_DATABASE__URL": own,
            "CCARI_ASTERISK__URL": current.ari_url,
            "CCARI_ASTERISK__USERNAME": current.ari_user,
            "CCARI_ASTERISK__PASSWORD_FILE": str(current.ari_password_file),
            "CCARI_ASTERISK__SPOOL": str(current.spool),
            "CCARI_SOUNDS__DIR": str(sounds),
            "CCARI_AGI__LISTEN": "off",
            "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
        },
        home / "ccari.log",
        home / "ccari.err",
    )
    for arguments in (("policy", "apply", str(policy)), ("keys", "init")):
        await made.succeeds(*arguments)
    await made.start()
    async with open_database(own) as database:
        made.store = Store(own, database)
        yield made
    assert await made.stop() == 0, made.errors.read_text()


@contextlib.asynccontextmanager
async def answering(pbx: ForeignPbx, context: str, destination: str) -> AsyncIterator[None]:
    """Set the destination of the DID, and where callers go without ccari."""
    told = {
        "LAB_DESTINATION": destination,
        "CCARI_INBOUND_FALLBACK": "lab-staff,s,1" if context == "plain-did" else "",
    }
    for name, value in told.items():
        await pbx.set_global(name, value)
    try:
        yield
    finally:
        for name in told:
            await pbx.set_global(name, "")


async def calls(lab: Lab, pbx: ForeignPbx, context: str, campaign: str) -> tuple[int, Outcome]:
    """One caller's call to its end: the cause sent to them, and the dialplan's variables."""
    call = await lab.world.dial("123456", campaign=campaign, context=context, caller="+48600990084", pbx=pbx)
    cause = await call.ended()
    return cause, await pbx.outcome(call.id)


@WAYS
async def test_a_caller_is_not_connected(
    lab: Lab, driving: Service, current: ForeignPbx, context: str
) -> None:
    agent = f"drops-1-{context}"
    async with answering(current, context, agent):
        _, told = await calls(lab, current, context, "hotline")
    assert (told.stasis_status, told.outcome) == ("SUCCESS", "bridged")
    assert await lab.world.invites(agent) == 1
    record = await driving.ended(told.call)
    assert {"notice_heard", "call_bridged"} <= {each["event"] for each in record["events"]}


@WAYS
@pytest.mark.parametrize("choice", ["connect", "refuse"])
@pytest.mark.parametrize(
    ("campaign", "destination", "reason"),
    [
        ("hotline", "PJSIP/anna", "bad_arguments"),
        ("nonsense", "anna", "unknown_campaign"),
        ("renewals", "anna", "no_destination"),
    ],
)
async def test_a_fault_of_the_set_up_cuts_callers_off_or_connects_them_unasked(
    lab: Lab, driving: Service, current: ForeignPbx, context: str, choice: str, campaign: str, destination: str,
    reason: str,
) -> None:  # fmt: skip
    async with answering(current, context, destination), chosen(current, choice):
        cause, told = await calls(lab, current, context, campaign)
    assert (told.stasis_status, told.outcome) == ("SUCCESS", "blocked")
    assert told.reason == ("staff" if choice == "connect" else reason)
    assert (cause == REJECTED) == (choice == "refuse")


@WAYS
@pytest.mark.parametrize(
    ("place", "reason"), [("", "no_agent"), ("lab-staff,s,1", "staff")], ids=["nowhere", "elsewhere"]
)
async def test_a_caller_whom_no_agent_answers_goes_where_nobody_has_sent_them(
    lab: Lab, driving: Service, current: ForeignPbx, context: str, place: str, reason: str
) -> None:
    async with answering(current, context, f"busy-{context}"):
        await current.set_global("CCARI_INBOUND_NO_AGENT", place)
        try:
            _, told = await calls(lab, current, context, "hotline")
        finally:
            await current.set_global("CCARI_INBOUND_NO_AGENT", "")
    assert (told.outcome, told.reason) == ("failed", reason)
    record = await driving.ended(told.call)
    assert "notice_heard" in {each["event"] for each in record["events"]}


async def test_a_caller_who_goes_on_without_ccari_is_recorded_as_the_agent_of_a_call_to_which_a_telephone_forwards(
    lab: Lab, driving: Service, current: ForeignPbx
) -> None:
    forwards = callees.redirects(98)
    await current.set_global("LAB_TELEPHONE", forwards.number)
    async with chosen(current, "connect"):
        call = await lab.world.dial("123456", context="lab-without", agent="drops-5", pbx=current)
        await call.ended()
    assert await lab.world.invites(forwards.number) == 1
    assert await lab.world.invites(callees.answers(98).number) == 0


async def over_two_trunks(lab: Lab, pbx: ForeignPbx, callee: Callee, *, first: str = "trunk-away") -> Outcome:
    """As docs/pbx.md shows it."""
    await pbx.set_global("LAB_FIRST_TRUNK", first)
    call = await lab.world.dial(callee.number, campaign="second", agent="drops-3", pbx=pbx)
    await call.ended()
    return await pbx.outcome(call.id)


async def test_a_callee_over_the_second_trunk_hears_no_notice_has_no_keys_or_is_recorded_without_a_voice(
    lab: Lab, driving: Service, current: ForeignPbx
) -> None:
    callee = callees.presses("8", 1, 75)
    told = await over_two_trunks(lab, current, callee)
    record = await driving.ended(told.call)
    assert (told.outcome, told.reason) == ("bridged", "access")
    order = ["right_registered", "notice_heard", "recording_started", "call_bridged"]
    assert [each["event"] for each in record["events"] if each["event"] in order] == order
    sound = driving.recorded(record["recordings"][0])
    assert audio.has(sound, callees.TONE_HZ)
    assert audio.has(sound, callees.AGENT_TONE_HZ)
    assert "48221234567@" in await lab.world.invite(callee.number)


@pytest.mark.parametrize(
    ("callee", "first", "verdict", "invites"),
    [
        (callees.busy(75), "trunk", ("busy", ""), 1),
        (callees.congestion(75), "trunk", ("failed", "congestion"), 2),
        (callees.unallocated(75), "trunk", ("failed", "unallocated"), 2),
        (callees.unallocated(76), "trunk-away", ("failed", "unallocated"), 1),
        (callees.rejects(75), "trunk", ("failed", "rejected"), 1),
    ],
    ids=["busy", "congestion", "unallocated", "first-away", "declined"],
)
async def test_who_is_not_reached_over_two_trunks_is_told_or_dialled_otherwise_than_the_page_says(
    lab: Lab, driving: Service, current: ForeignPbx, callee: Callee, first: str, verdict: tuple[str, str], invites: int
) -> None:  # fmt: skip
    told = await over_two_trunks(lab, current, callee, first=first)
    assert (told.outcome, told.reason) == verdict
    assert await lab.world.invites(callee.number) == invites


async def test_a_redirection_is_followed_over_two_trunks(
    lab: Lab, driving: Service, current: ForeignPbx
) -> None:
    assert (await over_two_trunks(lab, current, callees.redirects(75))).outcome == "failed"
    assert await lab.world.invites(callees.answers(75).number) == 0


async def test_a_hold_is_seen_behind_a_local_channel_and_the_page_says_it_is_not(
    lab: Lab, driving: Service, current: ForeignPbx
) -> None:
    told = await over_two_trunks(lab, current, callees.holds(3, 75))
    events = {each["event"] for each in (await driving.ended(told.call))["events"]}
    assert "notice_heard" in events
    assert "notice_put_off" not in events
