"""What a seed makes, and how the soak breaks links and listens."""

import asyncio
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.integration.studio import CONFIRMED, TONES
from tests.lab import callees, wire
from tests.lab.callees import AGENT_TONE_HZ, TONE_HZ
from tests.lab.ports import free_port
from tests.soak import hearing
from tests.soak.campaigns import CAMPAIGNS
from tests.soak.house import POLICY
from tests.soak.links import link
from tests.soak.plan import BARRED_BEFORE, QUIET_END_SECONDS, Fault, make

MINUTES_20 = 1200.0
RATE = 8000
SHORT_SECONDS = 0.3
#: Without it, the wait would last for ever.
LONG_SECONDS = 10.0


def test_a_seed_makes_another_plan_the_second_time() -> None:
    one, other, third = (make(seed, 300, calls_each_second=0.5) for seed in (7, 7, 8))
    assert one == other
    assert one.calls != third.calls
    assert one.faults != third.faults


def test_a_long_run_lacks_a_kind_of_fault_a_campaign_or_a_barred_number() -> None:
    plan = make(1, MINUTES_20, calls_each_second=0.5)
    assert {each.kind for each in plan.faults} == set(Fault)
    assert {each.campaign for each in plan.calls} == set(CAMPAIGNS)
    before = {each.number for each in plan.bars if not each.at}
    assert len(before) == BARRED_BEFORE
    assert before & {each.number for each in plan.calls}
    assert max(each.ends for each in plan.faults) <= MINUTES_20 - QUIET_END_SECONDS
    assert {each.by != 0 for each in plan.faults if each.kind is Fault.STEP_CLOCK} == {True}


def test_nobody_withholds_their_number_hands_over_or_enters_a_code_in_a_long_run() -> None:
    calls = make(1, MINUTES_20, calls_each_second=0.5).calls
    assert {each.withheld for each in calls if CAMPAIGNS[each.campaign].inbound} == {True, False}
    assert not any(each.withheld for each in calls if not CAMPAIGNS[each.campaign].inbound)
    refers = {(each.agent.split("-")[1].isdigit(), CAMPAIGNS[each.campaign].transfers)
              for each in calls if each.agent.startswith("refers-")}  # fmt: skip
    assert refers == {(number, may) for number in (True, False) for may in (True, False)}
    entered = {(each.campaign, code) for each in calls if each.agent.startswith("presses-")
               for code in each.agent.split("-")[1:4:2]}  # fmt: skip
    assert entered == {(name, code) for name, declared in CAMPAIGNS.items() for code in declared.codes}


def test_somebody_calls_in_who_hears_the_notice_before_they_listen() -> None:
    """What a callee who answers late hears is recorded from the answer on; as a caller, they would have been answered
    long before.
    """
    late = callees.answers_late(3, 0).number[:8]
    for seed in range(20):
        calls = make(seed, 1200, calls_each_second=0.5).calls
        assert [each for each in calls if CAMPAIGNS[each.campaign].inbound and each.number[:8] == late] == []
        assert any(each.number[:8] == late for each in calls)


def test_a_fault_that_cannot_be_done_here_is_planned() -> None:
    plan = make(1, MINUTES_20, calls_each_second=0.5, without=[Fault.STEP_CLOCK])
    assert Fault.STEP_CLOCK not in {each.kind for each in plan.faults}


def test_the_checkers_campaigns_are_others_than_the_policys() -> None:
    from ccari.policy.declaration import read

    declared = read(POLICY.read_text("utf-8")).campaigns
    assert {each.id: (each.controller, each.recording.mode.value) for each in declared} == {
        name: (each.controller, each.mode) for name, each in CAMPAIGNS.items()
    }
    words = {"pause_recording": "pause", "resume_recording": "resume", "stop_recording": "refuse_recording"}
    assert {
        each.id: (
            {code: words.get(does, does.value) for code, does in each.agent_keys.items()},
            each.transfer is not None,
        )
        for each in declared
    } == {name: (each.codes, each.transfers) for name, each in CAMPAIGNS.items()}
    assert {each.id: each.caller_id or "" for each in declared} == {
        name: f"+{each.caller}" if each.caller else "" for name, each in CAMPAIGNS.items()
    }


async def test_a_link_that_is_cut_passes_something_on() -> None:
    async with (
        _echo() as to,
        link(to, ("127.0.0.1", port := free_port(socket.SOCK_STREAM, "127.0.0.1"))) as between,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        between.cut()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        between.mend()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        writer.close()


async def test_a_link_that_is_stalled_loses_what_was_sent(tmp_path: Path) -> None:
    async with asyncio.timeout(LONG_SECONDS), _echo() as to, link(to, tmp_path / "socket") as between:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        between.stall()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_SECONDS):
                await reader.readexactly(1)
        between.mend()
        assert await reader.readexactly(3) == b"two"
        writer.close()


def test_an_ear_takes_ringing_for_an_agent_or_misses_a_prompt_below_a_voice() -> None:
    silence, ringing = _sound(0.5), _sound(1.0, 440.0, 480.0)
    notice, confirmed = _sound(0.8, TONES["identity"]), _sound(0.8, CONFIRMED, TONE_HZ, AGENT_TONE_HZ)
    talk = _sound(2.0, AGENT_TONE_HZ, TONE_HZ)
    found = hearing.tones(np.concatenate([silence, notice, ringing, talk, confirmed, talk]), RATE)
    certain = [each for each in found if each.seconds >= hearing.CERTAIN_SECONDS]
    assert [each.hz for each in certain] == [TONES["identity"], AGENT_TONE_HZ, CONFIRMED]
    assert [round(each.began, 1) for each in certain] == [0.5, 2.3, 4.3]


def test_a_call_is_counted_twice_on_the_wire_or_loses_its_time() -> None:
    invite = _invite("abc", "z9hG4bK1")
    again = _invite("abc", "z9hG4bK2", to=";tag=far")
    bye = "BYE sip:48600100001@127.0.0.1 SIP/2.0\r\n\r\n"
    told = [(10.25, invite), (10.75, invite), (11.0, again), (12.0, bye)]
    assert wire.calls_tried(told) == [(10.25, "48600100001", "48221110001")]


def test_the_time_of_a_packet_is_misread(tmp_path: Path) -> None:
    text = b"OPTIONS sip:a SIP/2.0\r\n\r\n"
    packet = bytes(wire.TEXT) + text
    header = struct.pack("<IIII", 1_800_000_000, 250_000, len(packet), len(packet))
    file = tmp_path / "sip.pcap"
    file.write_bytes(bytes(wire.FILE_HEADER) + header + packet)
    assert list(wire.arrivals(file, 5060)) == [(1_800_000_000.25, text.decode())]


def _invite(call: str, branch: str, to: str = "") -> str:
    return (
        "INVITE sip:48600100001@127.0.0.1:6000 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:6001;branch={branch}\r\n"
        "From: <sip:+48221110001@127.0.0.1>;tag=near\r\n"
        f"To: <sip:48600100001@127.0.0.1>{to}\r\nCall-ID: {call}\r\n\r\n"
    )


def _sound(seconds: float, *tones: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(sum((0.25 * np.sin(2 * np.pi * hz * times) for hz in tones), np.zeros(len(times))))


class _echo:  # noqa: N801 - a context, used as a function
    """A server that sends back what it gets; yields its address."""

    async def __aenter__(self) -> tuple[str, int]:
        port = free_port(socket.SOCK_STREAM, "127.0.0.1")
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", port)
        return "127.0.0.1", port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()
