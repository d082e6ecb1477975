"""``ccari doctor`` beside a real Asterisk and a real service, with real faults."""

import json
import re
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.integration.conftest import POLICY
from tests.integration.databases import new_database
from tests.integration.service import Service
from tests.lab import Lab, Outcome, callees, laboratory
from tests.lab.ports import free_port
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 60.0
REGISTERED, CONSENTED = "+48600999901", "+48600999902"
#: Modules that only campaigns with an answering_machine need.
MACHINES = ("app_amd.so", "app_waitforsilence.so")
ARI = [
    "asterisk",
    "asterisk modules",
    "asterisk write",
    "asterisk spool",
    "asterisk app",
    "clock Asterisk",
    "asterisk dialplan",
    "asterisk telephones",
]

#: A check that the suite's server fails, because it does not wait for its disk.
UNSYNCED = "database durability"


@dataclass
class Ward:
    """A laboratory whose pbx may be broken, and a complete ccari that is not started."""

    lab: Lab
    service: Service

    async def examined(self, code: int, **environment: str) -> dict[str, dict[str, Any]]:
        """The command's findings, by check; none contains a traceback, a number or a password."""
        done = await self.service.ccari("doctor", "--json", environment=environment)
        assert (done.code, done.err) == (code, ""), done.out
        for secret in (self.lab.pbx.ari_password, REGISTERED, CONSENTED, "wr0ng"):
            assert secret not in done.out
        found = {each["check"]: each for each in json.loads(done.out)}
        found.pop(UNSYNCED)
        return found

    async def unwell(self, **environment: str) -> dict[str, dict[str, Any]]:
        found = await self.examined(1, **environment)
        return {name: each for name, each in found.items() if each["state"] != "ok"}

    async def outcome(self, campaign: str) -> Outcome:
        """The outcome, as given to the dialplan, of a call whose agent soon hangs up."""
        pbx = self.lab.pbx
        call = await self.lab.world.dial(
            callees.answers(1).number, campaign=campaign, agent="drops-2", pbx=pbx
        )
        await call.ended()
        return await pbx.outcome(call.id)

    async def application(self) -> tuple[int, Any]:
        """What Asterisk knows about the Stasis application: 404 while nobody listens to its events."""
        pbx = self.lab.pbx
        async with (
            aiohttp.ClientSession(headers=pbx.ari_headers) as session,
            session.get(f"{pbx.ari_url}/ari/applications/ccari") as reply,
        ):
            return reply.status, await reply.json()

    async def is_listened_to(self) -> bool:
        return (await self.application())[0] == 200


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(folder: Path, sounds: Path, dsn: str) -> AsyncIterator[Ward]:
    home = folder / "doctor"
    home.mkdir()
    numbers = home / "robinson.txt"
    numbers.write_text(REGISTERED + "\n")
    async with laboratory(host_folders=[sounds]) as lab:
        pbx = lab.pbx
        pjsip = pbx.home / "etc" / "pjsip.conf"
        # no campaign here has transfer
        pjsip.write_text(
            re.sub(r"(?m)^(\[(?:agents|phone)\]\(lab\))$", r"\1\nallow_transfer = no", pjsip.read_text())
        )
        await pbx.cli("module reload res_pjsip.so")
        http = free_port(socket.SOCK_STREAM, "127.0.0.1")
        service = Service(
            {
                "CCARI_DATA_DIR": str(home),
                "CCARI_DATABASE__URL": await new_database(dsn, "doctor"),
                "CCARI_ASTERISK__URL": pbx.ari_url,
                "CCARI_ASTERISK__USERNAME": pbx.ari_user,
                "CCARI_ASTERISK__PASSWORD_FILE": str(pbx.ari_password_file),
                "CCARI_ASTERISK__SPOOL": str(pbx.spool),
                "CCARI_SOUNDS__DIR": str(sounds),
                "CCARI_AGI__LISTEN": f"127.0.0.1:{pbx.agi_port}",
                "CCARI_HTTP__LISTEN": f"127.0.0.1:{http}",
            },
            home / "ccari.log",
            home / "ccari.err",
        )
        for arguments in (
            ("policy", "apply", str(POLICY)), ("keys", "init"), ("registers", "import", "robinson", str(numbers)),
        ):  # fmt: skip
            await service.succeeds(*arguments)
        # as `keys init` says to do
        (home / "keys" / "recordings.identity").unlink()
        await service.consented(CONSENTED)
        yield Ward(lab, service)


async def test_a_ccari_that_only_has_to_be_started_is_called_faulty_or_started(ward: Ward) -> None:
    found = await ward.examined(0)
    assert {each["state"] for each in found.values()} == {"ok"}
    assert found.keys() >= {
        "configuration", "user", "keys", "database", "schema", "clock database", "policy", "time zone", "disk", "secret acme",
        "recipients", "evidence key", "journal key", "local journal", "flac", "ffmpeg", "sounds renewals", "sounds for Asterisk", "register robinson", "consents offers", *ARI, "spool", "recordings",
        "fastagi", "http",
    }  # fmt: skip
    assert found["http"]["found"].endswith(" is free, and no service is running: ccari serve")
    assert (await ward.application())[0] == 404


async def test_a_running_service_loses_its_calls_to_the_doctor_or_is_called_faulty(ward: Ward) -> None:
    service = ward.service
    await service.start()
    try:
        before, logged = await ward.application(), len(service.lines())
        assert before[0] == 200
        found = await ward.examined(0)
        assert {each["state"] for each in found.values()} == {"ok"}
        assert found["http"]["found"] == f"ccari answers on {service.environment['CCARI_HTTP__LISTEN']}"
        assert found["fastagi"]["found"] == f"ccari answers on {service.environment['CCARI_AGI__LISTEN']}"
        assert await ward.application() == before
        assert service.lines()[logged:] == []
        told = await service.ccari("doctor")
        assert (told.code, told.err, len(told.out.splitlines())) == (0, "", len({*found, UNSYNCED}))
        call = await ward.lab.world.dial(callees.busy(97).number, campaign="brief")
        await call.ended()
        assert (await ward.lab.pbx.outcome(call.id)).outcome == "busy"
    finally:
        assert await service.stop() == 0


async def test_it_is_not_said_that_another_service_keeps_this_one_from_starting(ward: Ward, dsn: str) -> None:
    service = ward.service
    await service.start()
    try:
        await until(ward.is_listened_to, within=SECONDS)
        elsewhere = f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"
        found = await ward.examined(0, CCARI_HTTP__LISTEN=elsewhere)
        (told,) = [each for each in found.values() if each["state"] != "ok"]
        assert (told["check"], told["state"]) == ("asterisk app", "warning")
        assert told["found"].startswith(
            "a service with this database is connected as ccari, and no ccari answers"
        )
        found = await ward.examined(1, CCARI_DATABASE__URL=await new_database(dsn, "another"))
        assert found["asterisk app"]["state"] == "fault"
        assert (
            "a service with another database drives this Asterisk as ccari" in found["asterisk app"]["found"]
        )
    finally:
        assert await service.stop() == 0


async def test_a_wrong_password_or_user_passes(ward: Ward) -> None:
    for wrong in (
        {"CCARI_ASTERISK__PASSWORD": "wr0ng"},
        {"CCARI_ASTERISK__USERNAME": "nobody"},
    ):
        found = await ward.unwell(**wrong)
        assert list(found) == ["asterisk"]
        assert found["asterisk"]["state"] == "fault"
        assert "refused the ARI user " in found["asterisk"]["found"]
        assert found["asterisk"]["advice"] == "check its name and password in ari.conf and in [asterisk]"


async def test_a_user_who_may_only_read_passes(ward: Ward) -> None:
    pbx = ward.lab.pbx
    conf = pbx.home / "etc" / "ari.conf"
    conf.write_text(conf.read_text() + "\n[reader]\ntype = user\npassword = wr0ng\nread_only = yes\n")
    await pbx.cli("module reload res_ari.so")
    found = await ward.unwell(CCARI_ASTERISK__USERNAME="reader", CCARI_ASTERISK__PASSWORD="wr0ng")  # noqa: S106
    assert list(found) == ["asterisk write"]
    assert found["asterisk write"]["found"] == "the ARI user reader is read-only"
    assert found["asterisk write"]["advice"] == (
        "remove read_only from [reader] in ari.conf, then: asterisk -rx 'module reload res_ari.so'"
    )


async def test_a_module_that_is_missing_shows_in_the_middle_of_a_call(ward: Ward) -> None:
    pbx = ward.lab.pbx
    await pbx.cli("module unload func_timeout.so")
    try:
        found = await ward.unwell()
    finally:
        await pbx.cli("module load func_timeout.so")
    assert list(found) == ["asterisk modules"]
    assert found["asterisk modules"]["found"] == "not running: func_timeout.so"
    assert found["asterisk modules"]["advice"] == (
        "write `load = func_timeout.so` in modules.conf, and for now: asterisk -rx 'module load func_timeout.so'"
    )


async def test_keys_of_telephones_that_send_them_by_info_are_not_heard(ward: Ward) -> None:
    pbx = ward.lab.pbx
    await pbx.cli("module unload res_pjsip_dtmf_info.so")
    try:
        found = await ward.examined(0)
    finally:
        await pbx.cli("module load res_pjsip_dtmf_info.so")
    assert [name for name, each in found.items() if each["state"] != "ok"] == ["asterisk keys"]
    assert found["asterisk keys"]["advice"].startswith(
        "write `load = res_pjsip_dtmf_info.so` in modules.conf"
    )


#: Endpoints in pjsip.conf, and what doctor must report about each.
TRAPS = {
    "redirected": ("identify_by = ip\nallow_transfer = no\nredirect_method = uri_pjsip", "call whomever a redirection names"),
    "open": ("allow_transfer = no", "let in without a password"),
    "on-hold": ("identify_by = ip\nallow_transfer = no\nsuppress_moh_on_sendonly = yes", "a notice counts that nobody hears"),
    "fax": ("identify_by = ip\nallow_transfer = no\nfax_detect = yes", "leads whoever sends a fax's tone out of ccari"),
    "refer": ("identify_by = ip", "from a trunk dials past the gate"),
    "crash": ("identify_by = ip\nauth = phone", "crashes this Asterisk"),
    "browser": ("auth = phone\nallow_transfer = no\nwebrtc = yes", "whoever closes their browser stays on the line"),
}  # fmt: skip


async def test_telephones_lead_calls_past_the_gate_or_crash_asterisk_unseen(ward: Ward) -> None:
    pbx = ward.lab.pbx
    pjsip = pbx.home / "etc" / "pjsip.conf"
    before = pjsip.read_text()
    added = {**{name: lines for name, (lines, _) in TRAPS.items()}, "48221239876": TRAPS["open"][0]}
    pjsip.write_text(
        before + "".join(f"\n[{name}]\ntype = endpoint\n{lines}\n" for name, lines in added.items())
    )
    try:
        await pbx.cli("module reload res_pjsip.so")
        found = await ward.examined(0)
    finally:
        pjsip.write_text(before)
        await pbx.cli("module reload res_pjsip.so")
    assert [name for name, each in found.items() if each["state"] != "ok"] == ["asterisk telephones"]
    told = dict(each.split(": ", 1) for each in found["asterisk telephones"]["found"].split("; "))
    assert found["asterisk telephones"]["state"] == "warning"
    assert "9876" not in str(found)
    for name, (_, harm) in TRAPS.items():
        (said,) = [said for names, said in told.items() if name in names.split(", ")]
        assert harm in said
    assert found["asterisk telephones"]["advice"].startswith(
        "in pjsip.conf, or what writes it: set redirect_method = user at redirected; set identify_by = ip"
    )


async def test_calls_of_a_campaign_are_cut_off_for_a_module_that_only_it_needs(
    ward: Ward, tmp_path: Path
) -> None:
    """The module's absence may not keep other campaigns from calling, either."""
    pbx, file = ward.lab.pbx, tmp_path / "policy.toml"
    # with a new log, in which nothing is connected yet
    service = replace(ward.service, log=tmp_path / "log", errors=tmp_path / "err", process=None)
    declared = 'caller_id = "+48221234567"\nanswering_machine = {}\ntransfer = "PJSIP/{extension}@agents"'
    file.write_text(POLICY.read_text("utf-8").replace('caller_id = "+48221234567"', declared, 1))
    for each in MACHINES:
        await pbx.cli(f"module unload {each}")
    try:
        assert {each["state"] for each in (await ward.examined(0)).values()} == {"ok"}
        await service.start()
        assert await service.stop() == 0
        assert (await service.ccari("policy", "apply", str(file))).code == 0
        found = await ward.unwell()
        service = replace(service, log=tmp_path / "later", process=None)
        await service.start()
        ended = [await ward.outcome(campaign) for campaign in ("renewals", "brief")]
        assert await service.stop() == 0
        for each in MACHINES:
            await pbx.cli(f"module load {each}")
        whole = await ward.examined(0)
    finally:
        if service.process is not None:
            await service.stop(signal.SIGKILL)
        for each in MACHINES:
            await pbx.cli(f"module load {each}")
        assert (await service.ccari("policy", "apply", str(POLICY))).code == 0
    assert list(found) == ["modules renewals", "dialplan"]
    assert found["modules renewals"]["found"] == (
        "not running: app_amd.so, app_waitforsilence.so, for its answering_machine: "
        "calls over Stasis and HTTP that need them are refused"
    )
    for each in MACHINES:
        assert f"asterisk -rx 'module load {each}'" in found["modules renewals"]["advice"]
    assert [(each.outcome, each.reason) for each in ended] == [
        ("unavailable", "store_unavailable"), ("bridged", ""),
    ]  # fmt: skip
    unfit = [line for line in service.lines() if line["event"] == "gate_unfit"]
    assert {line["campaign"] for line in unfit} == {"renewals"}
    # once when it connects, and once for the call
    assert [line.get("call_id") for line in unfit] == [None, ended[0].call]
    assert unfit[0]["reason"] == (
        "Asterisk lacks app_amd.so, app_waitforsilence.so, for its answering_machine: load them in modules.conf"
    )
    assert [name for name, each in whole.items() if each["state"] != "ok"] == ["dialplan"]
    assert whole["modules renewals"]["found"] == (
        "those that its answering_machine and transfer need are running"
    )
    assert whole["dialplan"]["advice"].startswith("asterisk -rx 'dialplan show ccari-amd'; ")


async def test_an_asterisk_that_drops_voices_behind_queues_goes_unseen(ward: Ward, tmp_path: Path) -> None:
    """The laboratory's is Debian's, which does drop them."""
    file = tmp_path / "policy.toml"
    file.write_text(
        POLICY.read_text("utf-8").replace(
            'caller_id = "+48221234567"', 'caller_id = "+48221234567"\nagent = "Local/sales@lab-queues"', 1
        )
    )
    assert (await ward.service.ccari("policy", "apply", str(file))).code == 0
    try:
        found = await ward.unwell()
    finally:
        assert (await ward.service.ccari("policy", "apply", str(POLICY))).code == 0
    # a campaign with an agent can be called, and its prompts for callers are missing
    assert list(found) == ["sounds renewals", "asterisk voices"]
    assert found["asterisk voices"]["state"] == "warning"
    assert "behind the agent of renewals answers" in found["asterisk voices"]["found"]


async def test_a_spool_that_is_another_asterisks_passes(ward: Ward, tmp_path: Path) -> None:
    found = await ward.examined(0, CCARI_ASTERISK__SPOOL=str(tmp_path))
    assert [name for name, each in found.items() if each["state"] != "ok"] == ["asterisk spool"]
    assert found["asterisk spool"]["state"] == "warning"
    assert f'set [asterisk] spool = "{ward.lab.pbx.spool}"' in found["asterisk spool"]["advice"]


@pytest.mark.parametrize(
    ("name", "value", "found", "advice"),
    [
        ("CCARI_DIALPLAN", "0", "the last call came by version 0 of extensions_ccari.conf", "copy it anew"),
        ("CCARI_APP", "sales", "hands calls to the application sales", "set `CCARI_APP = ccari`"),
    ],
)
async def test_a_dialplan_that_is_not_this_ccaris_passes(
    ward: Ward, name: str, value: str, found: str, advice: str
) -> None:
    await ward.lab.pbx.cli(f"dialplan set global {name} {value}")
    try:
        examined = await ward.examined(0)
    finally:
        await ward.lab.pbx.cli(f'dialplan set global {name} ""')
    assert [each for each, said in examined.items() if said["state"] != "ok"] == ["asterisk dialplan"]
    assert found in examined["asterisk dialplan"]["found"]
    assert advice in examined["asterisk dialplan"]["advice"]


async def test_an_asterisk_that_hangs_or_is_away_hides_the_rest(ward: Ward) -> None:
    pbx = ward.lab.pbx
    await pbx.kill(signal.SIGSTOP)
    try:
        hung = await ward.unwell()
    finally:
        await pbx.kill(signal.SIGCONT)
    assert list(hung) == ["asterisk"]
    assert hung["asterisk"]["found"].endswith(" did not answer within 5 s")
    assert "core show uptime" in hung["asterisk"]["advice"]
    await pbx.stop()
    away = await ward.unwell()
    assert list(away) == ["asterisk"]
    assert away["asterisk"]["found"].endswith(" cannot be reached: Connection refused")
    assert away["asterisk"]["advice"] == "is it running, with HTTP and ARI enabled in http.conf and ari.conf?"
