"""What pytest needs to collect all the tests in one run."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_two_test_files_of_one_name_stop_whoever_runs_them_all() -> None:
    """Outside a package, pytest imports a file by its name alone."""
    alone = [each for each in TESTS.rglob("test_*.py") if not (each.parent / "__init__.py").exists()]
    assert alone
    assert [name for name, times in Counter(each.name for each in alone).items() if times > 1] == []
