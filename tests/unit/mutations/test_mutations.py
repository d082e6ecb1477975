"""The mutation check is useless if its patches no longer fit the code, or if what they say about themselves is untrue."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutations.mutation import CHECKOUT, INVARIANTS, LEAST, Mutation, listed
from tests.mutations.trial import _read

PASSED, FAILED, ERROR = "", "<failure/>", "<error/>"


@pytest.mark.parametrize("mutation", listed(), ids=lambda each: each.name)
def test_a_mutation_no_longer_fits_the_code(mutation: Mutation) -> None:
    text = (CHECKOUT / mutation.file).read_text("utf-8")
    assert mutation.applied(text) != text
    for test in mutation.tests:
        assert (CHECKOUT / test.partition("::")[0]).is_file()


def test_a_mutation_fails_for_a_name_that_is_not_there_and_proves_nothing(tmp_path: Path) -> None:
    for mutation in listed():
        if mutation.file.endswith(".py"):
            text = (CHECKOUT / mutation.file).read_text("utf-8")
            (tmp_path / f"{mutation.name}.py").write_text(mutation.applied(text), encoding="utf-8")
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F821",
        "--output-format",
        "concise",
        str(tmp_path),
    ]
    found = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "All checks passed!\n")


def test_an_invariant_has_too_few_mutations() -> None:
    count = Counter(each.invariant for each in listed())
    assert {each: count[each] for each in INVARIANTS if count[each] < LEAST} == {}
    assert len({each.name for each in listed()}) == len(listed())


def test_a_mutation_is_applied_where_it_stands_twice() -> None:
    mutation = Mutation("twice", 1, "some.py", "pass", "raise", ())
    with pytest.raises(ValueError, match="stands 2 times"):
        mutation.applied("pass pass")


def test_tests_that_cannot_be_run_count_as_noticing(tmp_path: Path) -> None:
    file = tmp_path / "result.xml"
    cases = "".join(
        f'<testcase classname="t" name="{n}">{kind}</testcase>' for n, kind in enumerate((PASSED, ERROR))
    )
    file.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    verdict = _read(file)
    assert (verdict.noticed, verdict.broken, verdict.passed) == (False, ("t::1",), 1)
    file.write_text(file.read_text().replace(ERROR, FAILED))
    assert _read(file).noticed
    assert not _read(tmp_path / "none.xml").noticed
