"""What operators look up is there, and says what the code says. Whoever adds an event or a metric is told what to write
where.
"""

from pathlib import Path

import pytest

from tests.reference.logged import Logged, logged
from tests.reference.page import LIBRARY, PAGE, alarms, events, fields, page, told

ALARMING = {"warning", "error"}


def test_an_event_is_logged_that_nobody_explains() -> None:
    words, alarming = told(), alarms()
    explained = {**words["calls"], **words["service"]}
    missing = {
        name: "write a row for it under Alarms in docs/operations.md" if levels & ALARMING
        else "write what it means in docs/events.toml"
        for name, levels in _levels().items()
        if name not in (alarming if levels & ALARMING and name != LIBRARY.name else explained)
    }  # fmt: skip
    assert missing == {}, "then: make reference"


def test_an_event_is_explained_that_is_logged_no_more() -> None:
    words, known = told(), events()
    assert {*words["calls"], *words["service"], *words["spread"], *alarms()} - known.keys() == set()
    of_calls = {name for name, places in known.items() if any(each.in_call for each in places)}
    assert words["calls"].keys() - of_calls == set()
    assert words["service"].keys() & of_calls == set()


def test_a_field_is_logged_that_nobody_explains_or_that_the_source_hides() -> None:
    words = told()
    hidden = {name for name, places in events().items() if any(each.fields is None for each in places)}
    assert words["spread"].keys() == hidden, (
        "name in docs/events.toml, under [spread], what the source does not write out"
    )
    used = {each for name, places in events().items() for each in fields(name, places, words["spread"])}
    explained = {*words["fields"], *words["context"]}
    assert used - explained == set(), "write what they mean in docs/events.toml, under [fields]"
    assert explained - used - {*words["context"]} == set()


def test_the_reference_is_not_of_this_code() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make reference"


def _levels() -> dict[str, set[str]]:
    return {name: {each.level for each in places} for name, places in events().items()}


SOURCE = """
_log.info("plain", call_id=str(call), **told)
def in_function(self):
    told = {"one": 1, "two": "2"}
    self._journal.note("noted", told)
    (_log.debug if quiet else _log.info)("either", ms=1)
    try:
        pass
    except Exception:
        _log.exception("broken")
    return do.Note("decided", {"a": "b"} if known else {"c": "d"})
"""


def test_the_reader_overlooks_a_way_to_log(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(SOURCE)
    found = {each.name: each for each in logged(tmp_path) if each.level != "debug"}
    assert [each.name for each in logged(tmp_path) if each.level == "debug"] == ["either"]
    assert found == {
        "plain": Logged("plain", "info", None, in_call=False, place="module.py:2"),
        "noted": Logged("noted", "info", frozenset({"one", "two"}), in_call=True, place="module.py:5"),
        "either": Logged("either", "info", frozenset({"ms"}), in_call=False, place="module.py:6"),
        "broken": Logged("broken", "error", frozenset(), in_call=False, place="module.py:10"),
        "decided": Logged("decided", "info", frozenset({"a", "c"}), in_call=True, place="module.py:11"),
    }


def test_an_event_that_cannot_be_looked_up_passes(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('_log.info(f"call_{what}")\n')
    with pytest.raises(AssertionError, match="named by a literal"):
        list(logged(tmp_path))
