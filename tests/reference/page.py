"""docs/reference.md, written."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ccari.metrics import catalogue
from ccari.metrics.catalogue import Family, Kind
from tests.reference.logged import Logged, by_name, logged

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference.md"
EVENTS = DOCS / "events.toml"
ALARMS = DOCS / "operations.md"
#: Of structlog's processor for other libraries, which no log call names.
LIBRARY = Logged("library_message", "warning", frozenset({"message"}), in_call=False, place="log.py")

_HEAD = """# Reference: log events and metrics

Generated from the code by `make reference`; a test checks that it is current.

## Log events

`ccari serve` writes one JSON object a line to standard output. Each line has `at` (UTC), `level`, `event`, and the fields below;
a line of a call also has the fields of its context. Numbers are masked everywhere. Levels are those of `[log] level`: at `warning`,
everything that [operations.md](operations.md#alarms) explains is still logged.

"""
_METRICS = """## Metrics

`GET /metrics` shows these; [operations.md](operations.md#metrics) says how to scrape them, and what to do about each alert. No label
holds a number or the id of a call. prometheus-client adds `process_…` and `python_gc_…`.

"""


def told() -> Mapping[str, Any]:
    """What docs/events.toml has, by its tables."""
    return tomllib.loads(EVENTS.read_text("utf-8"))


def alarms() -> Mapping[str, str]:
    """What each alarm means, as operations.md has it."""
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \| [^|]+ \|$", ALARMS.read_text("utf-8"), re.MULTILINE)
    return {name: meaning for names, meaning in rows for name in re.findall(r"`([a-z_]+)`", names)}


@cache
def events() -> Mapping[str, list[Logged]]:
    return by_name(iter([*logged(), LIBRARY]))


def fields(name: str, places: Sequence[Logged], spread: Mapping[str, list[str]]) -> list[str]:
    """Those that a line may have, in their order."""
    found = {each for place in places for each in place.fields or ()}
    return sorted(found | set(spread.get(name, ())))


def page() -> str:
    return "".join((_HEAD, *_events(), *_glossary(), _METRICS, *_families()))


def _events() -> Iterator[str]:
    words, alarming, found = told(), alarms(), events()
    of_calls = {name for name, places in found.items() if any(each.in_call for each in places)}
    for title, names in (("Of calls", of_calls), ("Of the service", found.keys() - of_calls)):
        yield f"### {title}\n\n| event | level | fields | meaning |\n|---|---|---|---|\n"
        for name in sorted(names):
            meaning = words["calls" if name in of_calls else "service"].get(name) or alarming.get(name, "")
            levels = ", ".join(sorted({each.level for each in found[name]}))
            listed = " ".join(f"`{each}`" for each in fields(name, found[name], words["spread"]))
            yield f"| `{name}` | {levels} | {listed} | {meaning} |\n"
        yield "\n"


def _glossary() -> Iterator[str]:
    words = told()
    for title, table in (("The context of a call", "context"), ("Fields", "fields")):
        yield f"### {title}\n\n| field | meaning |\n|---|---|\n"
        yield from (f"| `{name}` | {meaning} |\n" for name, meaning in words[table].items())
        yield "\n"


def _families() -> Iterator[str]:
    yield "| metric | type | labels | meaning |\n|---|---|---|---|\n"
    for each in catalogue.families():
        labels = "; ".join(_label(label.name, label.values, label.words) for label in each.labels)
        yield f"| `{_exposed(each)}` | {each.kind} | {labels} | {each.meaning} |\n"


def _exposed(family: Family) -> str:
    return family.name if family.kind is Kind.HISTOGRAM else family.exposed[0]


def _label(name: str, values: Sequence[str], words: str) -> str:
    return f"`{name}`: {' '.join(f'`{each}`' for each in values) or words}"
