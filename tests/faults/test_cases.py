"""Each of the twenty fault cases has its test, and each test here its case."""

import ast
import re
from pathlib import Path

import pytest

from tests.faults.cases import CASES, HERE

CHECKOUT = Path(__file__).parents[2]


def docstrings_in(file: Path) -> dict[str, str]:
    """The tests of a file, by name, with their docstrings."""
    return {
        each.name: ast.get_docstring(each) or ""
        for each in ast.parse(file.read_text()).body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
    }


def test_a_case_is_forgotten() -> None:
    assert list(CASES) == list(range(1, 21))
    assert all(case.tests for case in CASES.values())


@pytest.mark.parametrize("number", CASES)
def test_a_case_names_a_test_that_is_not_there(number: int) -> None:
    for each in CASES[number].tests:
        name, _, test = each.partition("::")
        file = CHECKOUT / name
        assert test in docstrings_in(file), each


def test_a_test_of_a_case_says_another_number_or_is_in_no_list() -> None:
    said = set()
    for file in (CHECKOUT / HERE).glob("test_*.py"):
        for name, text in docstrings_in(file).items():
            found = re.match(r"Case (\d+): ", text)
            said |= {(int(found[1]), f"{HERE}/{file.name}::{name}")} if found else set()
    listed = {
        (number, each) for number, case in CASES.items() for each in case.tests if each.startswith(f"{HERE}/")
    }
    assert said == listed
