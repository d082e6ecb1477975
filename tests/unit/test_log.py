"""What is written to the log: a line of JSON for each event, and never a number or a secret."""

import asyncio
import errno
import json
import logging
import os
import select
from io import StringIO
from typing import Any, Literal

import pytest
import structlog

from ccari import log
from ccari.calls.transport import Credentials
from ccari.policy.numbers import Number

NUMBER = Number("+48600100001")
#: For what happens at once on a machine that is not busy.
SECONDS = 30.0
PASSWORD = "s3cret-p4ssword"  # noqa: S105 - of nothing


pytestmark = pytest.mark.usefixtures("logging_as_before")


def written(level: str = "debug", format: Literal["json", "console"] = "json") -> StringIO:  # noqa: A002
    stream = StringIO()
    log.configure(format, level, stream)
    return stream


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    """An error that holds a number, in frames that hold more of it."""
    event = {"caller": {"number": NUMBER.e164}}
    credentials = Credentials("http://127.0.0.1:8088", "ccari", PASSWORD, "ccari")
    dialled = f"PJSIP/{NUMBER.digits}@trunk"
    raise RuntimeError(f"cannot call {NUMBER!r} {NUMBER} {credentials} {len(event)} {len(dialled)}")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_an_error_of_a_library_quotes_the_number_that_it_was_given(
    format_: Literal["json", "console"],
) -> None:
    stream = written(format=format_)
    for key in (NUMBER.e164, NUMBER.digits, f"PJSIP/{NUMBER.digits}@trunk"):
        try:
            dict[str, str]()[key]
        except KeyError:
            structlog.get_logger().exception("call_failed")
            logging.getLogger("some.library").exception("it broke")
    assert NUMBER.digits not in stream.getvalue()
    assert stream.getvalue().count("KeyError: 'PJSIP/…@trunk'") == 2
    assert "test_log.py" in stream.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_the_number_or_the_password(format_: Literal["json", "console"]) -> None:
    """Rich shows the local variables of every frame unless it is told not to."""
    stream = written(format=format_)
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("call_failed", number=NUMBER)
        logging.getLogger("some.library").exception("it broke for %s", NUMBER)
    text = stream.getvalue()
    assert text.count("cannot call") >= 2
    assert NUMBER.masked in text
    for secret in (NUMBER.e164, NUMBER.digits, NUMBER.digits[2:], PASSWORD):
        assert secret not in text


def test_a_line_is_no_json_or_lacks_when_what_and_how_grave() -> None:
    stream = written()
    structlog.get_logger().info(
        "call_gated", reason="zażółć\n\x00\x1b[31m", number=NUMBER, fields={"a": (1, None)}
    )
    logging.getLogger("some.library").warning("a %s", "message")
    structlog.get_logger().error("odd", given=b"\xff", at_all=object(), half="\udcff", big=2**70)
    first, second, third = lines(stream)
    assert list(first)[:3] == list(second)[:3] == ["at", "level", "event"]
    assert (first["event"], first["level"], first["number"]) == ("call_gated", "info", str(NUMBER))
    assert (second["event"], second["message"]) == ("library_message", "a message")
    assert second["logger"] == "some.library"
    assert (third["event"], third["big"]) == ("odd", 2**70)


def test_a_field_of_an_event_stands_for_when_its_line_was_written_and_how_grave_it_is() -> None:
    stream = written()
    structlog.get_logger().warning("request_verified", level="L2", at="2026-01-01T00:00:00Z")
    (line,) = lines(stream)
    assert list(line) == ["at", "level", "event"]
    assert line["level"] == "warning"
    assert line["at"] > "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "name", ["asyncari", "asyncari.client", "asyncswagger11.client", "aiohttp.access", "asyncio"]
)
def test_a_library_that_formats_dial_strings_is_heard_at_debug(name: str) -> None:
    stream = written("debug")
    logging.getLogger(name).debug("dialling %s", NUMBER.e164)
    logging.getLogger(name).info("dialling %s", NUMBER.e164)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_a_level_lets_too_much_or_too_little_through(level: str, heard: int) -> None:
    stream = written(level)
    logger = structlog.get_logger()
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)("said")
    assert len(lines(stream)) == heard


class Full(StringIO):
    """The disk of a log, and how much room there is on it."""

    is_full = True

    def flush(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("reader", ["gone", "away for a while"])
def test_who_logs_fails_for_a_log_that_cannot_be_written(reader: str) -> None:
    stream, before = Full(), log.lines_lost()
    log.configure("json", "debug", stream)
    structlog.get_logger().info("call_gated")
    logging.getLogger("some.library").warning("beside it")
    assert log.lines_lost() == before + 2
    if reader == "gone":
        stream.close()
        structlog.get_logger().info("call_gated")
        assert log.lines_lost() == before + 3
        return
    stream.is_full = False
    structlog.get_logger().info("call_ended")
    structlog.get_logger().info("call_gated")
    told = [(each["event"], each.get("lines_lost")) for each in lines(stream)]
    assert told[-2:] == [("call_ended", 2), ("call_gated", None)]


def test_calls_wait_for_whoever_has_stopped_reading_their_log() -> None:
    """A pipe takes no more than 64 KiB, and then whoever writes waits: the loop on which all calls run."""
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream, open(reader, "rb", buffering=0) as read:  # noqa: PTH123
        before = log.lines_lost()
        log.configure("json", "debug", stream, patience=0.01)
        # longer than what is written at once, so that one of them breaks off in the middle
        for _ in range(100):
            structlog.get_logger().info("call_gated", told="x" * 5000)
        lost = log.lines_lost() - before
        assert 0 < lost < 100
        found = b""
        while select.select([read], [], [], 0)[0]:
            found += read.read(1 << 20)
        structlog.get_logger().info("call_ended")
        found += read.read(1 << 20)
        whole = [json.loads(line) for line in found.splitlines() if line.endswith(b"}")]
        assert [line["event"] for line in whole] == ["call_gated"] * (100 - lost) + ["call_ended"]
        assert whole[-1]["lines_lost"] == lost
        # one that broke off has a line of its own
        assert len(found.splitlines()) <= len(whole) + 1
        assert log.lines_lost() - before == lost


def test_a_file_or_who_wants_no_colours_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    def coloured(stream: StringIO) -> bool:
        log.configure("console", "debug", stream)
        structlog.get_logger().info("call_gated")
        return "\x1b[" in stream.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert (coloured(Terminal()), coloured(StringIO())) == (True, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())


async def test_a_flood_of_what_an_outsider_causes_fills_the_log_or_is_not_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "FLOOD_SECONDS", 0.0)
    told: asyncio.Queue[int] = asyncio.Queue()
    flood = log.Flood(told.put_nowait)
    for _ in range(1000):
        flood.add()
    async with asyncio.timeout(SECONDS):
        assert [await told.get() for _ in range(2)] == [1, 999]
        flood.add()
        assert await told.get() == 1
