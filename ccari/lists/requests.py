"""The register of rights as one stream, for a supervisory authority or an auditor. Numbers are masked."""

import csv
import io
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

import orjson

from ccari.lists.cells import inert
from ccari.office.dossiers import register_row

COLUMNS = (
    "reference", "controller", "campaign", "purpose", "right", "article", "state", "level", "number", "number_from",
    "channel", "call_id", "key", "notice_version", "language", "received_at", "registered_at", "due", "extended_at",
    "closed_at",
)  # fmt: skip
#: How many rows of a CSV are yielded at a time.
_AT_A_TIME = 500


async def as_csv(rows: AsyncGenerator[Mapping[str, Any], None]) -> AsyncGenerator[bytes, None]:
    """The register as CSV: the header first, then a few lines at a time."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    table.writeheader()
    written = 0
    async with aclosing(rows):
        async for row in rows:
            table.writerow({name: _cell(name, value) for name, value in register_row(row).items()})
            written += 1
            if written % _AT_A_TIME == 0:
                yield _taken(text)
    yield _taken(text)


async def as_json(rows: AsyncGenerator[Mapping[str, Any], None]) -> AsyncGenerator[bytes, None]:
    """The register as one JSON array: a request per line, with its history."""
    before = b"["
    async with aclosing(rows):
        async for row in rows:
            request = {**register_row(row), "history": orjson.Fragment(row["history"] or "[]")}
            yield before + b"\n" + orjson.dumps(request, default=str)
            before = b","
    yield (b"[" if before == b"[" else b"") + b"\n]\n"


def _taken(text: io.StringIO) -> bytes:
    """Return what was written since the last call, and clear it."""
    taken = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return taken


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # a masked number begins with a plus sign, but we have written it ourselves
    return inert(value) if isinstance(value, str) and name != "number" else value
