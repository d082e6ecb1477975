"""Structured logs: one JSON object a line on standard output, for machines; or in colour, for people."""

import json
import logging
import sys
from typing import Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

#: asyncari formats dial strings and whole events into its DEBUG lines, whatever level we run at.
_TALKATIVE = ("asyncari", "asyncswagger11", "asyncio", "aiohttp.access", "httpx", "pydub")
#: Reports each migration as a warning.
_ALARMED = ("pogo_core",)


def configure(format: Literal["json", "console"], level: str, stream: TextIO = sys.stdout) -> None:  # noqa: A002 - the setting's own name
    """Set up structlog, and the standard library's loggers behind it, for the whole process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    ending: list[structlog.typing.Processor]
    if format == "json":
        ending = [structlog.processors.format_exc_info, _readable, structlog.processors.JSONRenderer(_dumps)]
    else:
        # rich's tracebacks show local variables, and in those are numbers
        plain = structlog.dev.plain_traceback
        ending = [structlog.dev.ConsoleRenderer(pad_event_to=24, exception_formatter=plain)]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
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
