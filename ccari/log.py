"""Structured logs: one JSON object a line on standard output, for machines; or in colour, for people."""

import errno
import io
import json
import logging
import os
import select
import sys
from typing import Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

#: For whoever reads what the service logs, on the loop that calls run on.
PATIENCE_SECONDS = 0.2
#: Characters that are written at once: what select(2) calls writable takes PIPE_BUF bytes without waiting, and one is six at most.
_PIECE = select.PIPE_BUF // 6
#: asyncari formats dial strings and whole events into its DEBUG lines, whatever level we run at.
_TALKATIVE = ("asyncari", "asyncswagger11", "asyncio", "aiohttp.access", "httpx", "pydub")
#: Reports each migration as a warning.
_ALARMED = ("pogo_core",)


class _Lasting(io.TextIOBase):
    """A stream that nobody fails for who writes to it: a disk that is full, or a reader that has gone, must not turn what was
    done into what has failed, nor end a call. With ``patience``, in seconds, nobody waits longer either, for a reader that has
    stopped: what it has no room for is lost, and once it has none nothing waits until it has some again.
    """

    lost = 0

    def __init__(self, stream: TextIO, patience: float | None = None) -> None:
        self._stream = stream
        self._untold = 0
        self._patience = patience
        self._descriptor = None if patience is None else _descriptor(stream)
        self._is_stuck = self._is_torn = False

    def write(self, text: str) -> int:
        try:
            self._put(text)
        except (OSError, ValueError):
            self._untold += 1
            _Lasting.lost += 1
        else:
            self._untold = 0
        return len(text)

    def _put(self, text: str) -> None:
        # what comes next is not to stand in the line that broke off
        line = f"\n{text}" if self._is_torn else text
        size = len(line) if self._descriptor is None else _PIECE
        for start in range(0, len(line), max(size, 1)):
            self._wait()
            self._stream.write(line[start : start + size])
            self._stream.flush()
            self._is_torn = start + size < len(line)

    def _wait(self) -> None:
        """Until there is room for a piece. Raises BlockingIOError if there is none in time."""
        if self._descriptor is None:
            return
        _, ready, _ = select.select([], [self._descriptor], [], 0 if self._is_stuck else self._patience)
        self._is_stuck = not ready
        if not ready:
            raise BlockingIOError(errno.EAGAIN, "the log is not read")

    def flush(self) -> None:
        """It is done with each line."""

    def told(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Have the first line that can be written again say how many are missing before it."""
        return {**event, "lines_lost": self._untold} if self._untold else event


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        # there is nothing behind it that could stop
        return None


def lines_lost() -> int:
    """How many lines this process could not write, whatever has become of the disk or the reader since."""
    return _Lasting.lost


def configure(
    format: Literal["json", "console"], level: str, stream: TextIO = sys.stdout, patience: float | None = None  # noqa: A002 - the setting's own name
) -> None:  # fmt: skip
    """Set up structlog, and the standard library's loggers behind it, for the whole process.

    A line that cannot be written is lost, and counted (:func:`lines_lost`); with ``patience`` that is so, too, if it cannot be
    within so many seconds.
    """
    lasting = _Lasting(stream, patience)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        lasting.told,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    ending: list[structlog.typing.Processor]
    if format == "json":
        ending = [structlog.processors.format_exc_info, _readable, structlog.processors.JSONRenderer(_dumps)]
    else:
        # rich's tracebacks show local variables, and in those are numbers
        plain = structlog.dev.plain_traceback
        in_colour = stream.isatty() and "NO_COLOR" not in os.environ
        ending = [structlog.dev.ConsoleRenderer(colors=in_colour, pad_event_to=24, exception_formatter=plain)]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", lasting)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(lasting)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _ALARMED:
        logging.getLogger(name).setLevel(logging.ERROR)


def _readable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """When, how grave and what come first, for the eye that follows the lines."""
    first = {name: event.pop(name) for name in ("at", "level", "event") if name in event}
    return {**first, **event}


def _library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["message"] = event.pop("event")
    event["event"] = "library_message"
    event["logger"] = event["_record"].name
    return event


def _dumps(value: object, **_: object) -> str:
    try:
        # a dataclass by its repr, which masks: orjson would write out its fields, the number in full
        return orjson.dumps(value, default=str, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:
        # half a character, a number of more than 64 bits: no reason to end what was being logged
        return json.dumps(value, default=str)
