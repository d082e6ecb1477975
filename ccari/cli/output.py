"""Lists for people (tables) and for programmes (JSON)."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table


def as_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


def as_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, none: str) -> None:
    """``columns``: field of the row to heading. ``none`` is said where there is no row."""
    if not rows:
        sys.stdout.write(none + "\n")
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell(row[name]) for name in columns))
    console().print(table)


def console() -> Console:
    """Into a pipe a table is as wide as it needs to be, so that no cell is broken over lines."""
    return Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=240)


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case _:
            return str(value)
