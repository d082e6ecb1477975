"""The lab's measures: numbers, packets, tones."""

import numpy as np
import phonenumbers
import pytest

from tests.lab import audio, callees, wire


def test_every_callee_has_a_valid_number_of_its_own() -> None:
    """Catches a number plan that the gate's parser would refuse."""
    numbers = [callee.number for callee in callees.directory()]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        parsed = phonenumbers.parse(number, None)
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE


def test_a_number_plan_that_cannot_say_it_says_so() -> None:
    """Catches a test that thinks it pressed a key."""
    with pytest.raises(ValueError, match="no key 'A'"):
        callees.presses("A", 0, 0)
    with pytest.raises(ValueError, match="0 to 9 seconds, not 10"):
        callees.presses("1", 10, 0)
    with pytest.raises(ValueError, match="0 to 99, not 100"):
        callees.answers(100)
    with pytest.raises(ValueError, match="seconds are 0 to 99, not 100"):
        callees.hangs_up(100, 0)
    with pytest.raises(ValueError, match=r"one of agent, identity, .*, not for weather"):
        callees.presses_at("1", "weather", 0)
    with pytest.raises(ValueError, match="no callee that presses star or hash together with 0 or 1"):
        callees.presses_then("*", 0, "1", 0, 0)
    with pytest.raises(ValueError, match="waits for an answer and presses star or hash"):
        callees.presses_once_answered("1", 0, "#", "agent", 0)


def test_retransmissions_and_reinvites_are_no_new_calls() -> None:
    """Catches a count that grows when a packet is lost or a call is held."""

    def invite(user: str, branch: str, call: str = "1", tag: str = "") -> str:
        return (
            f"INVITE sip:{user}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch={branch}\r\n"
            f"From: <sip:a@b>;tag=x\r\nTo: <sip:{user}@127.0.0.1>{tag}\r\nCall-ID: {call}\r\n\r\n"
        )

    once = [invite("+48600100001", "b1"), invite("+48600100001", "b1")]
    held = invite("+48600100001", "b2", tag=";tag=y")
    other = invite("+486001000011", "b3")
    again = invite("48600100001", "b4", call="2")
    assert wire.invites([*once, held, other], "48600100001") == 1
    assert wire.invites([*once, held, other, again], "48600100001") == 2


def test_a_tone_is_told_from_what_is_beside_it() -> None:
    """Catches a measure that hears tones in speech, or nothing beside a tone."""
    rate = 8000
    times = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * times + 1)
    noise = np.random.default_rng(1).normal(0, 0.01, rate)

    def level(hz: float) -> float:
        return float(audio.Audio(tone, rate).tone_levels(hz, 1.0)[0])

    def other(samples: audio.Samples, *tones: float) -> float:
        return float(audio.Audio(samples, rate).other_levels(tones, 1.0)[0])

    assert level(440) == pytest.approx(-6.0, abs=0.1)
    assert level(850) < -60
    assert other(tone, 440) < -100
    assert other(tone + noise, 440, 850) == pytest.approx(-37, abs=1)
    assert other(tone, 850) == pytest.approx(-6.0, abs=0.1)
    assert other(np.zeros(rate)) == audio.FLOOR_DBFS
    assert len(audio.Audio(tone, rate).tone_levels(440)) == 10
