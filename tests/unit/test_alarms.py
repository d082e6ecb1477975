"""What ops are told of each alarm."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: How an alarm is raised, also over two lines.
_ALARM = re.compile(r'_log\.(?:warning|error|exception)\(\s*"([a-z_]+)"')


def test_an_alarm_is_logged_that_operations_does_not_explain() -> None:
    raised = {name for path in (ROOT / "ccari").rglob("*.py") for name in _ALARM.findall(path.read_text())}
    assert len(raised) > 30
    explained = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert raised - explained == set()
