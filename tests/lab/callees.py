"""Who answers at which number: world's dialplan derives a callee's behaviour from the number that is dialled.

Numbers are valid Polish mobile numbers, ``48 600 BB KN SS``: behaviour, key, seconds or what is waited for, and a serial
from 00 to 99 that gives each test its own numbers. ``48 601`` and ``48 602 KN KN SS`` press two keys, ``48 603 KN KC SS`` the
second of them once they hear what C stands for.
"""

from dataclasses import dataclass

TONE_HZ = 850
"""What a talking callee sounds like; an agent sounds 440 Hz."""

AGENT_TONE_HZ = 440

RINGING_HZ = 1060
"""Of the ringing that Asterisk plays on an answered line."""

CUES = {
    "agent": AGENT_TONE_HZ, "identity": 1130, "recording": 1370, "rights": 1510, "stopped": 3130, "unrecorded": 1870,
}  # fmt: skip
"""What a callee can wait for before it presses a key: the agent's voice, or a part of the notice or of an answer, by its tone in Hz."""


@dataclass(frozen=True)
class Callee:
    """A number and the behaviour behind it."""

    number: str
    summary: str

    @property
    def digits(self) -> str:
        """The number without its plus sign."""
        return self.number.removeprefix("+")


def answers(serial: int) -> Callee:
    return _callee(10, 0, serial, "answers and talks")


def silent(serial: int) -> Callee:
    return _callee(11, 0, serial, "answers and sends silence")


def mute(serial: int) -> Callee:
    return _callee(12, 0, serial, "answers and sends no packet at all")


def answers_late(after_seconds: int, serial: int) -> Callee:
    return _callee(13, after_seconds, serial, f"rings {after_seconds} s, answers and talks")


def machine(serial: int) -> Callee:
    return _callee(14, 0, serial, "is an answering machine, which greets without end")


def says_hello(serial: int) -> Callee:
    return _callee(15, 0, serial, "answers, says hello, waits 3 s and talks")


def echoes(serial: int) -> Callee:
    return _callee(16, 0, serial, "answers and sends back what it hears")


def busy(serial: int) -> Callee:
    return _callee(20, 0, serial, "is busy (486, cause 17)")


def no_answer(serial: int) -> Callee:
    return _callee(21, 0, serial, "rings and never answers")


def rejects(serial: int) -> Callee:
    return _callee(22, 0, serial, "declines (403, cause 21)")


def congestion(serial: int) -> Callee:
    return _callee(23, 0, serial, "is behind a congested network (503, cause 34)")


def unallocated(serial: int) -> Callee:
    return _callee(24, 0, serial, "does not exist (404, cause 1)")


def early_media(for_seconds: int, serial: int) -> Callee:
    return _callee(
        25, for_seconds, serial, f"sends early media (183) for {for_seconds} s, and answers and talks"
    )


def presses_early(key: str, after_seconds: int, serial: int) -> Callee:
    """``key`` must be a digit."""
    _, digit = _key(key)
    return _callee(
        26,
        10 * digit + _one_digit(after_seconds),
        serial,
        f"sends early media (183), presses {key} in it after {after_seconds} s, and answers and talks",
    )


def presses(key: str, after_seconds: int, serial: int) -> Callee:
    behaviour, digit = _key(key)
    return _callee(
        30 + behaviour,
        10 * digit + _one_digit(after_seconds),
        serial,
        f"answers, presses {key} after {after_seconds} s and talks on",
    )


def presses_at(key: str, cue: str, serial: int) -> Callee:
    """``cue``: one of :data:`CUES`. However late the notice begins, the key falls into what the callee has just begun to hear."""
    behaviour, digit = _key(key)
    return _callee(
        36 + behaviour,
        10 * digit + _cue(cue),
        serial,
        f"answers, presses {key} as soon as it hears {cue}, and talks on",
    )


def presses_twice(key: str, after_seconds: int, serial: int) -> Callee:
    behaviour, digit = _key(key)
    return _callee(
        33 + behaviour,
        10 * digit + _one_digit(after_seconds),
        serial,
        f"answers, presses {key} after {after_seconds} s and again {after_seconds} s later",
    )


def presses_then(first: str, first_after: int, second: str, second_after: int, serial: int) -> Callee:
    """Press two keys, the second ``second_after`` seconds after the first; star and hash combine only with 2 to 9."""
    keys = f"{first}{second}"
    plan = 1
    if "*" in keys or "#" in keys:
        if "0" in keys or "1" in keys:
            raise ValueError("the number plan has no callee that presses star or hash together with 0 or 1")
        plan, keys = 2, keys.replace("*", "0").replace("#", "1")
    return Callee(
        f"+4860{plan}{keys[0]}{_one_digit(first_after)}{keys[1]}{_one_digit(second_after)}{_serial(serial)}",
        f"answers, presses {first} after {first_after} s and {second} {second_after} s later",
    )


def presses_once_answered(first: str, after_seconds: int, second: str, cue: str, serial: int) -> Callee:
    """Press ``second`` when it hears the ``cue``, one of :data:`CUES`: into the answer to ``first``, however late that comes. Both keys are
    digits.
    """
    if any(_key(key)[0] for key in (first, second)):
        raise ValueError("the number plan has no callee that waits for an answer and presses star or hash")
    return Callee(
        f"+48603{first}{_one_digit(after_seconds)}{second}{_cue(cue)}{_serial(serial)}",
        f"answers, presses {first} after {after_seconds} s and {second} as soon as it hears {cue}, and talks on",
    )


def hangs_up(after_seconds: int, serial: int) -> Callee:
    return _callee(40, after_seconds, serial, f"answers, talks and hangs up after {after_seconds} s")


def holds(for_seconds: int, serial: int) -> Callee:
    return _callee(41, for_seconds, serial, f"answers, puts the call on hold for {for_seconds} s, and talks")


def presses_and_holds(key: str, after_seconds: int, serial: int) -> Callee:
    """``key`` must be a digit. The hold falls into the answer to it."""
    _, digit = _key(key)
    return _callee(
        42,
        10 * digit + _one_digit(after_seconds),
        serial,
        f"answers, presses {key} after {after_seconds} s, puts the call on hold for 6 s at once, and talks",
    )


def redirects(serial: int) -> Callee:
    """Redirect to ``answers(serial)`` with a 302."""
    return _callee(50, 10, serial, f"is redirected (302) to {answers(serial).number}")


def directory() -> list[Callee]:
    """One callee of every behaviour, for display."""
    return [
        answers(1),
        silent(1),
        mute(1),
        answers_late(5, 1),
        machine(1),
        says_hello(1),
        echoes(1),
        busy(1),
        no_answer(1),
        rejects(1),
        congestion(1),
        unallocated(1),
        early_media(3, 1),
        presses_early("7", 1, 1),
        presses("5", 3, 1),
        presses("*", 3, 1),
        presses("#", 3, 1),
        presses_at("2", "recording", 1),
        presses_twice("7", 3, 1),
        presses_then("9", 2, "5", 3, 1),
        presses_once_answered("2", 3, "2", "stopped", 1),
        hangs_up(2, 1),
        holds(3, 1),
        presses_and_holds("8", 4, 1),
        redirects(1),
    ]


def _callee(behaviour: int, argument: int, serial: int, summary: str) -> Callee:
    if not 0 <= argument <= 99:
        raise ValueError(f"a callee's seconds are 0 to 99, not {argument}")
    return Callee(f"+48600{behaviour:02}{argument:02}{_serial(serial)}", summary)


def _key(key: str) -> tuple[int, int]:
    """What a key adds to the behaviour, and its digit in the number."""
    if key in {"*", "#"}:
        return (1 if key == "*" else 2), 0
    if len(key) == 1 and key in "0123456789":
        return 0, int(key)
    raise ValueError(f"a telephone has no key {key!r}")


def _cue(cue: str) -> int:
    """The place of the cue, by which the dialplan knows it."""
    if cue not in CUES:
        raise ValueError(f"a callee waits for one of {', '.join(CUES)}, not for {cue}")
    return [*CUES].index(cue)


def _one_digit(seconds: int) -> int:
    if not 0 <= seconds <= 9:
        raise ValueError(f"a key is pressed after 0 to 9 seconds, not {seconds}")
    return seconds


def _serial(serial: int) -> str:
    if not 0 <= serial <= 99:
        raise ValueError(f"a serial is 0 to 99, not {serial}")
    return f"{serial:02}"
