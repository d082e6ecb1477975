"""Structured logs on standard output: one JSON object per line for machines, or colours for people."""

import asyncio
import errno
import io
import json
import logging
import os
import re
import select
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

#: How long a line waits for a slow reader of the log. It waits on the event loop, which runs the calls.
PATIENCE_SECONDS = 0.2
#: Characters written at once. If select(2) reports a pipe as writable, it takes PIPE_BUF bytes without
#: blocking, and a character has six bytes at most.
_PIECE = select.PIPE_BUF // 6
#: Interval between the lines of a :class:`Flood`.
FLOOD_SECONDS = 1.0
_LONG_DIGITS = re.compile(r"\+?\d{6,}")
#: Loggers too talkative for our level. asyncari, for one, formats dial strings and whole events into its DEBUG lines.
_TALKATIVE = ("asyncari", "asyncswagger11", "asyncio", "aiohttp.access", "httpx", "pydub")
#: Loggers that warn of normal events: pogo_core warns of each migration.
_ALARMIST = ("pogo_core",)


class _UnfailingStream(io.TextIOBase):
    """A stream to which writing never fails: a full disk, or a reader that has gone, must neither make a
    completed step fail nor end a call. With ``patience`` (seconds), writing waits no longer than that for a
    stalled reader: then the line is lost, and no further line waits until there is room again.
    """

    #: All lines that this process could not write.
    lost = 0

    def __init__(self, stream: TextIO, patience: float | None = None) -> None:
        self._stream = stream
        #: Lines lost since the last one written.
        self._missing = 0
        self._patience = patience
        self._descriptor = None if patience is None else _descriptor(stream)
        self._is_stuck = self._is_torn = False

    def write(self, text: str) -> int:
        try:
            self._put(text)
        except (OSError, ValueError):
            self._missing += 1
            _UnfailingStream.lost += 1
        else:
            self._missing = 0
        return len(text)

    def _put(self, text: str) -> None:
        # an unfinished line must not run into the next one
        line = f"\n{text}" if self._is_torn else text
        size = len(line) if self._descriptor is None else _PIECE
        for start in range(0, len(line), max(size, 1)):
            self._wait()
            self._stream.write(line[start : start + size])
            self._stream.flush()
            self._is_torn = start + size < len(line)

    def _wait(self) -> None:
        """Wait until there is room for a piece. Raises BlockingIOError if there is none in time."""
        if self._descriptor is None:
            return
        _, ready, _ = select.select([], [self._descriptor], [], 0 if self._is_stuck else self._patience)
        self._is_stuck = not ready
        if not ready:
            raise BlockingIOError(errno.EAGAIN, "the log is not read")

    def flush(self) -> None:
        """Nothing to do: each line is flushed as it is written."""

    def report_missing(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """A processor: the next line that can be written says how many are missing before it."""
        return {**event, "lines_lost": self._missing} if self._missing else event


class Flood:
    """Lines of one kind that an outsider can cause without limit. The first is written at once; the following
    ones are counted, and one line each :data:`FLOOD_SECONDS` stands for them. Used on the event loop.

    ``write``: writes a line that stands for so many.
    """

    def __init__(self, write: Callable[[int], object]) -> None:
        self._write = write
        self._times = 0
        self._next: asyncio.TimerHandle | None = None

    def add(self) -> None:
        """Count one more."""
        self._times += 1
        if self._next is None:
            self._tell()

    def _tell(self) -> None:
        self._next = None
        if self._times:
            times, self._times = self._times, 0
            self._next = asyncio.get_running_loop().call_later(FLOOD_SECONDS, self._tell)
            self._write(times)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        # such a stream cannot block
        return None


def lines_lost() -> int:
    """How many lines this process could not write since it started."""
    return _UnfailingStream.lost


def configure(
    format: Literal["json", "console"], level: str, stream: TextIO, patience: float | None = None  # noqa: A002 - the setting's own name
) -> None:  # fmt: skip
    """Set up structlog for the whole process, and send the standard library's loggers through it.

    A line that cannot be written is lost, and counted (:func:`lines_lost`); with ``patience``, so is one that
    cannot be written within that many seconds.
    """
    output = _UnfailingStream(stream, patience)
    shared: list[structlog.typing.Processor] = [output.report_missing, _headed]
    ending: list[structlog.typing.Processor]
    if format == "json":
        ending = [
            structlog.processors.ExceptionRenderer(_traceback),
            structlog.processors.JSONRenderer(_dumps),
        ]
    else:
        in_colour = stream.isatty() and "NO_COLOR" not in os.environ
        # not rich's tracebacks: they show local variables, which may hold numbers
        rendered = structlog.dev.ConsoleRenderer(
            colors=in_colour, pad_event_to=24, exception_formatter=_plain_traceback
        )
        ending = [rendered]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", output)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _ALARMIST:
        logging.getLogger(name).setLevel(logging.ERROR)


def without_numbers(text: str) -> str:
    """Words that are not ours, without what may be a telephone number that they quote."""
    return _LONG_DIGITS.sub("…", text)


def _traceback(exc_info: ExcInfo) -> str:
    return without_numbers("".join(traceback.format_exception(exc_info[1])).rstrip())


def _plain_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    stream.write(f"\n{_traceback(exc_info)}")


def _headed(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Put the time, the level and the event first, for people who read the lines."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    first = {"at": at, "level": level, "event": event["event"]}
    # repeated at the end, so that no field of the event replaces them
    return {**first, **event, **first}


def _library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["message"] = event.pop("event")
    event["event"] = "library_message"
    event["logger"] = event["_record"].name
    return event


def _dumps(value: object, **_: object) -> str:
    try:
        # a dataclass is written by its repr, which masks numbers; orjson would write its fields, with the full number
        return orjson.dumps(value, default=str, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:
        # orjson refuses half a surrogate pair, or an integer of more than 64 bits; the line must be written anyway
        return json.dumps(value, default=str)
