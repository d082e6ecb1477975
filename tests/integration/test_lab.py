"""Tests the lab itself: if it is wrong, every test that relies on it is wrong."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import pytest

from tests.integration.ground import heard_on
from tests.lab import AgentCall, Callee, Lab, LabError, audio, callees, laboratory
from tests.lab.fixtures import lab as lab  # noqa: PLC0414 - a fixture is found by its name here
from tests.lab.pbx import Pbx
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHECKOUT = Path(__file__).parents[2]
CALL_SECONDS = 45.0
COMMAND_SECONDS = 90.0
GONE_SECONDS = 20.0
AUDIBLE_DBFS = -20.0
INAUDIBLE_DBFS = -40.0
"""A-law leaves about -50 dBFS of noise beside a tone."""

EDGE_WINDOWS = 2
"""Windows at either end in which a tone may set in or break off."""


class Ari:
    """The pbx as seen by a program that drives it over ARI."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, events: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.session = session
        self.url = url
        self.events = events

    async def post(self, path: str, **params: str) -> None:
        async with self.session.post(f"{self.url}/ari/{path}", params=params) as response:
            assert response.status < 300, await response.text()

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.url}/ari/{path}") as response:
            return await response.json()

    async def variable(self, channel: str, name: str) -> int:
        """The HTTP status of reading the variable."""
        url = f"{self.url}/ari/channels/{channel}/variable"
        async with self.session.get(url, params={"variable": name}) as response:
            return response.status

    async def event(self, kind: str, channel: str) -> dict[str, Any]:
        """The next event of a kind on a channel; skips others."""
        while (event := await self.next(kind))["channel"]["id"] != channel:
            pass
        return event

    async def next(self, kind: str) -> dict[str, Any]:
        """The next event of a kind on any channel; skips others."""
        async with asyncio.timeout(CALL_SECONDS):
            async for message in self.events:
                event: dict[str, Any] = message.json()
                if event["type"] == kind:
                    return event
        raise AssertionError(f"no {kind} came")

    async def until_up(self, channel: str) -> None:
        async def is_up() -> bool:
            return bool((await self.get(f"channels/{channel}"))["state"] == "Up")

        await until(is_up, within=CALL_SECONDS)

    async def hang_up(self, channel: str) -> None:
        async with self.session.delete(f"{self.url}/ari/channels/{channel}") as response:
            assert response.status == 204

    async def call(self, callee: Callee) -> str:
        """Create and dial a callee as ccari does; returns the channel's id."""
        channel = f"to-{callee.digits}"
        await self.post(
            "channels/create", endpoint=f"PJSIP/{callee.number}@trunk", app="lab-test", channelId=channel
        )
        await self.event("StasisStart", channel)
        await self.post(f"channels/{channel}/dial", timeout="30")
        return channel


@asynccontextmanager
async def ari(lab: Lab) -> AsyncIterator[Ari]:
    """A connection to the pbx's ARI."""
    async with (
        aiohttp.ClientSession(headers=lab.pbx.ari_headers) as session,
        session.ws_connect(f"{lab.pbx.ari_url}/ari/events", params={"app": "lab-test"}) as events,
    ):
        yield Ari(session, lab.pbx.ari_url, events)


async def dial(lab: Lab, callee: Callee, *, agent: str = "talks", context: str = "lab-dial") -> AgentCall:
    """An agent dials a callee without ccari."""
    return await lab.world.dial(callee.number, agent=agent, context=context)


@pytest.mark.parametrize(
    ("callee", "cause", "status"),
    [
        (callees.busy(90), 17, "BUSY"),
        (callees.rejects(90), 21, "CHANUNAVAIL"),
        (callees.congestion(90), 34, "CONGESTION"),
        (callees.unallocated(90), 1, "CHANUNAVAIL"),
    ],
    ids=lambda value: value.digits if isinstance(value, Callee) else None,
)
async def test_a_refusing_callee_gives_its_own_cause_after_one_invite(
    lab: Lab, callee: Callee, cause: int, status: str
) -> None:
    """Catches a callee that refuses differently from what its number says, and INVITEs counted twice or not at all."""
    assert await lab.world.invites(callee.number) == 0
    call = await dial(lab, callee)
    assert await call.ended(within=CALL_SECONDS) == cause
    outcome = await lab.pbx.outcome(call.id)
    assert (outcome.outcome, outcome.reason) == (status, str(cause))
    assert call.answered_at is None
    assert await lab.world.invites(callee.number) == 1


async def test_a_redirection_is_counted_where_it_leads(lab: Lab) -> None:
    """Catches a counter that misses the second INVITE of a followed 302, by which a suppression list could be evaded."""
    refused = callees.redirects(91)
    call = await dial(lab, refused)
    assert await call.ended(within=CALL_SECONDS) != 16
    assert await lab.world.invites(refused.number) == 1
    assert await lab.world.invites(callees.answers(91).number) == 0

    followed = callees.redirects(92)
    call = await dial(lab, followed, agent="drops-1", context="lab-dial-forward")
    assert await call.ended(within=CALL_SECONDS) == 16
    assert call.answered_at is not None
    assert await lab.world.invites(followed.number) == 1
    assert await lab.world.invites(callees.answers(92).number) == 1


async def test_agent_and_callee_hear_each_other_and_nothing_else(lab: Lab) -> None:
    """Catches mute or crossed audio, and recordings of the wrong side."""
    callee = callees.answers(90)
    call = await dial(lab, callee)
    await call.answered(within=CALL_SECONDS)
    await heard_on(lab.world, callee)
    await lab.world.hang_up(call)
    await call.ended(within=CALL_SECONDS)
    for path, tone, absent in (
        (await lab.world.heard_by(callee.number), callees.AGENT_TONE_HZ, callees.TONE_HZ),
        (await lab.world.heard_by_agent(call), callees.TONE_HZ, callees.AGENT_TONE_HZ),
    ):
        heard = audio.read(path)
        inner = slice(EDGE_WINDOWS, -EDGE_WINDOWS)
        assert heard.seconds > 1.5
        assert (heard.tone_levels(tone)[inner] > AUDIBLE_DBFS).all()
        assert (heard.tone_levels(absent)[inner] < INAUDIBLE_DBFS).all()
        assert (heard.other_levels([tone])[inner] < INAUDIBLE_DBFS).all()


@pytest.mark.parametrize(
    ("callee", "keys"),
    [
        (callees.presses("0", 0, 90), "0"),
        (callees.presses("9", 0, 90), "9"),
        (callees.presses("*", 0, 90), "*"),
        (callees.presses("#", 0, 90), "#"),
        (callees.presses_twice("7", 0, 90), "77"),
        (callees.presses_twice("*", 0, 90), "**"),
        (callees.presses_then("9", 0, "5", 0, 90), "95"),
        (callees.presses_then("*", 0, "8", 0, 90), "*8"),
        (callees.presses_then("3", 0, "#", 0, 90), "3#"),
    ],
    ids=lambda value: value.digits if isinstance(value, Callee) else None,
)
async def test_a_key_arrives_as_the_key_it_is_in_order(lab: Lab, callee: Callee, keys: str) -> None:
    """Catches a number that presses another key than callees.py says."""
    async with ari(lab) as pbx:
        channel = await pbx.call(callee)
        pressed = [(await pbx.event("ChannelDtmfReceived", channel))["digit"] for _ in keys]
        await pbx.hang_up(channel)
        assert "".join(pressed) == keys


@pytest.mark.parametrize("key", ["2", "*", "#"])
async def test_a_callee_who_waits_for_a_part_of_the_notice_presses_in_another(lab: Lab, key: str) -> None:
    """Catches a callee who takes any sound for the one that it waits for, or does not hear it at all."""
    first, second = callees.CUES["identity"], callees.CUES["recording"]
    async with ari(lab) as pbx:
        channel = await pbx.call(callees.presses_at(key, "recording", 91))
        await pbx.until_up(channel)
        await pbx.post(
            f"channels/{channel}/play", media=f"tone:!{first}/800|!{second}/60000", playbackId="told"
        )
        began = datetime.fromisoformat((await pbx.next("PlaybackStarted"))["timestamp"])
        pressed = await pbx.event("ChannelDtmfReceived", channel)
        await pbx.hang_up(channel)
        assert pressed["digit"] == key
        assert (datetime.fromisoformat(pressed["timestamp"]) - began).total_seconds() > 0.8


async def test_a_callee_talks_on_after_a_key(lab: Lab) -> None:
    """Catches a tone that does not resume, which would later look like missing audio."""
    call = await dial(lab, callees.presses("4", 0, 93), agent="drops-2")
    await call.ended(within=CALL_SECONDS)
    levels = audio.read(await lab.world.heard_by_agent(call)).tone_levels(callees.TONE_HZ)
    assert (levels[-10:-EDGE_WINDOWS] > AUDIBLE_DBFS).all()


async def test_a_late_callee_rings_first(lab: Lab) -> None:
    """Catches an answer without the delay."""
    call = await dial(lab, callees.answers_late(2, 90), agent="drops-0")
    answered = await call.answered(within=CALL_SECONDS)
    await call.ended(within=CALL_SECONDS)
    assert call.rang_at is not None
    assert (answered - call.rang_at).total_seconds() > 1


async def test_an_unanswered_call_ends_when_the_agent_gives_up(lab: Lab) -> None:
    """Catches a callee that answers after all, and a hang_up() that leaves the call open."""
    callee = callees.no_answer(90)
    call = await dial(lab, callee)
    await until(lambda: call.rang_at is not None, within=CALL_SECONDS)
    await lab.world.hang_up(call)
    await call.ended(within=CALL_SECONDS)
    assert call.answered_at is None
    with pytest.raises(LabError, match="never answered"):
        await call.answered()
    assert await lab.world.invites(callee.number) == 1
    with pytest.raises(LabError, match="was not begun"):
        await lab.world.heard_by(callee.number)


@pytest.mark.parametrize(("callee", "sends"), [(callees.silent(90), True), (callees.mute(90), False)])
async def test_silence_and_no_packets_are_two_things(lab: Lab, callee: Callee, sends: bool) -> None:  # noqa: FBT001
    """Catches a silent callee who sends no RTP, which Asterisk's recorder takes for the end."""
    async with ari(lab) as pbx:
        channel = await pbx.call(callee)
        recording = await _record_a_second(lab, pbx, channel)
        statistics = await pbx.get(f"channels/{channel}/rtp_statistics")
        await pbx.hang_up(channel)
    assert (statistics["rxcount"] > 0) == sends
    assert (recording.other_levels([]) < INAUDIBLE_DBFS).all()


async def test_a_recording_lies_in_the_spool(lab: Lab) -> None:
    """Catches a spool path that differs from the one seen from outside."""
    async with ari(lab) as pbx:
        channel = await pbx.call(callees.answers(95))
        recording = await _record_a_second(lab, pbx, channel)
        await pbx.hang_up(channel)
    # on a busy machine a packet comes late, and the snoop channel has a gap in its place
    assert median(recording.tone_levels(callees.TONE_HZ)[EDGE_WINDOWS:-EDGE_WINDOWS]) > AUDIBLE_DBFS


async def _record_a_second(lab: Lab, pbx: Ari, channel: str) -> audio.Audio:
    await pbx.until_up(channel)
    # A dialled channel is in a bridge, where Asterisk can record it only through a snoop channel.
    snoop = f"snoop-{channel}"
    await pbx.post(f"channels/{channel}/snoop/{snoop}", app="lab-test", spy="in")
    await pbx.event("StasisStart", snoop)
    await pbx.post(f"channels/{snoop}/record", name=snoop, format="wav", maxDurationSeconds="1")
    file = lab.pbx.spool / f"{snoop}.wav"
    await until(lambda: file.exists() and audio.is_whole(file), within=CALL_SECONDS)
    return audio.read(file)


async def test_an_agent_presses_keys_on_its_own_and_when_told(lab: Lab) -> None:
    """Catches a phone that cannot press an agent's code; heard at the callee, where no bridge hides a key."""
    call = await dial(lab, callees.answers(94), agent="presses-3-0")
    await until(lambda: "DTMF end '3' received" in lab.world.log.read_text(), within=CALL_SECONDS)
    await lab.world.press(call, "8")
    await until(lambda: "DTMF end '8' received" in lab.world.log.read_text(), within=CALL_SECONDS)
    await lab.world.hang_up(call)
    await call.ended(within=CALL_SECONDS)


async def test_an_agent_who_refers_a_call_that_nobody_holds_leads_nowhere(lab: Lab) -> None:
    """Catches a phone that cannot transfer: ccari must be tested with a REFER that Asterisk accepts."""
    call = await dial(lab, callees.hangs_up(2, 98), agent="refers-nobody-0")
    await until(lambda: "REFER nobody" in lab.world.log.read_text(), within=CALL_SECONDS)
    await call.ended(within=CALL_SECONDS)


async def test_asterisk_tells_of_a_sip_session_where_there_is_none(lab: Lab) -> None:
    """The service reads this variable before it answers a REFER; the fake in tests/unit/calls/talking.py can refuse it."""
    async with ari(lab) as pbx:
        await pbx.post(
            "channels/create", endpoint="Local/s@lab-waiting", app="lab-test", channelId="local-99"
        )
        await pbx.event("StasisStart", "local-99")
        sip = await pbx.call(callees.answers(99))
        for channel, status in (("local-99", 500), (sip, 200), ("gone-99", 404)):
            assert await pbx.variable(channel, "CHANNEL(pjsip,call-id)") == status
        await pbx.hang_up("local-99")
        await pbx.hang_up(sip)


async def test_an_invalid_number_reaches_the_pbx_as_it_was_dialled(lab: Lab) -> None:
    """Catches a phone that cleans up a number that the gate must be tested with."""
    call = await lab.world.dial("+48600/1&2@x;y", context="nowhere")
    assert await call.ended(within=CALL_SECONDS) == 1
    assert (await lab.pbx.outcome(call.id)).outcome == "no-such-context"
    assert "[+48600/1&2@x;y@from-agents:1]" in lab.pbx.log.read_text()


async def test_host_folders_are_seen_but_not_written(tmp_path: Path) -> None:
    """Catches a lab that cannot play the checkout's sounds, or could change them."""
    (tmp_path / "seen").write_text("x")
    async with laboratory(host_folders=[tmp_path]) as lab:
        inside = Path(f"/proc/{lab.pbx.pid}/root")
        assert (inside / tmp_path.relative_to("/") / "seen").read_text() == "x"
        with pytest.raises(OSError, match="Read-only"):
            (inside / tmp_path.relative_to("/") / "new").write_text("y")


async def test_a_killed_pbx_starts_again_at_the_same_address() -> None:
    """Catches a restart on other ports, and calls that wait for ever for a dead world."""
    async with laboratory() as lab:
        call = await dial(lab, callees.answers(96))
        await call.answered(within=CALL_SECONDS)
        address, pid = lab.pbx.ari_url, lab.pbx.pid
        await lab.pbx.kill()
        assert not lab.pbx.running
        await lab.pbx.start()
        assert (lab.pbx.ari_url, lab.pbx.running) == (address, True)
        assert lab.pbx.pid != pid
        assert "0 calls processed" in await lab.pbx.cli("core show channels")
        await lab.world.kill(signal.SIGKILL)
        with pytest.raises(LabError, match="world went away"):
            await call.ended(within=CALL_SECONDS)
        await lab.world.start()
        callee = callees.busy(96)
        assert await (await dial(lab, callee)).ended(within=CALL_SECONDS) == 17
        assert await lab.world.invites(callee.number) == 1
        assert await lab.world.invites(callees.answers(96).number) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_lab_leaves_nothing_behind(fails: bool) -> None:  # noqa: FBT001
    """Catches processes, mounts and folders that outlive a test run, passed or failed."""
    seen: list[Lab] = []
    with pytest.raises(RuntimeError) if fails else nullcontext():
        async with laboratory() as lab:
            seen.append(lab)
            call = await dial(lab, callees.answers(97))
            await call.answered(within=CALL_SECONDS)
            assert len(_using(lab.directory)) == 3, "pbx, world and the remover"
            if fails:
                raise RuntimeError
    assert not seen[0].directory.exists()
    assert _using(seen[0].directory) == []
    # other tests mount things meanwhile
    assert str(seen[0].directory) not in _mounts()


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)],
)
async def test_a_signalled_lab_leaves_nothing_behind(signum: signal.Signals, code: int) -> None:
    """Catches what only an orderly end would remove: after SIGKILL, too, no Asterisk and no folder remain."""
    process = await _lab("up")
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        async with asyncio.timeout(COMMAND_SECONDS):
            said += (await process.stdout.readline()).decode()
    found = re.search(r"CCARI_ASTERISK__SPOOL=(\S+)/pbx/spool/recording", said)
    assert found is not None
    directory = Path(found[1])
    asterisks = _using(directory)
    assert len(asterisks) == 3, "pbx, world and the remover"
    process.send_signal(signum)
    async with asyncio.timeout(COMMAND_SECONDS):
        await process.communicate()
    assert process.returncode == code
    await until(lambda: not directory.exists() and not _using(directory), within=GONE_SECONDS)


def _using(directory: Path) -> list[int]:
    """The processes whose command line names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # other processes run meanwhile, and their command lines need not be text
            if bytes(directory) in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


async def test_run_gives_the_command_its_addresses_and_its_exit_code() -> None:
    """Catches a test command that fails and is reported as passed."""
    check = 'test "$(stat -c %a "$CCARI_ASTERISK__PASSWORD_FILE")" = 600 && test -d "$CCARI_ASTERISK__SPOOL" && exit 7'
    process = await _lab("run", "--", "sh", "-c", check)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (7, b"", b"")


async def test_a_missing_command_is_one_line() -> None:
    """Catches a traceback in place of one clear sentence."""
    process = await _lab("run", "--", "no-such-command")
    _, err = await process.communicate()
    assert process.returncode == 127
    assert err == b"lab: cannot run no-such-command: No such file or directory\n"


async def _lab(*arguments: str) -> asyncio.subprocess.Process:
    # tests that run in the background have SIGINT ignored, which a program inherits
    return await asyncio.create_subprocess_exec(
        *("env", "--default-signal=INT", sys.executable, "-m", "tests.lab", *arguments),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_port_taken_meanwhile_is_said(lab: Lab) -> None:
    """Catches a lab that would drive somebody else's Asterisk."""
    twin = Pbx(lab.pbx.root, lab.directory / "twin", world_sip_port=lab.world.sip_port)
    twin.ari_url = lab.pbx.ari_url
    with pytest.raises(LabError, match="taken by another program"):
        await twin.start()
    assert not twin.running
    assert lab.pbx.running
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", twin.sip_port))
