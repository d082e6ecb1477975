"""The mutation check from the command line."""

import argparse
import sys
import time
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tests.mutations.mutation import Mutation, listed
from tests.mutations.trial import Copy, Verdict, copy


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit with status 1 if a mutation goes unnoticed, or if the tests fail without one."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description="Break each invariant, and see a test fail."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these mutations")
    chosen = parser.parse_args(arguments)
    mutations = [each for each in listed() if not chosen.names or each.name in chosen.names]
    with copy() as made:
        whole = made.verdict(sorted({test for each in mutations for test in each.tests}), all_of_them=True)
        print(f"unbroken: {whole.passed} tests pass", file=sys.stderr)
        if whole.failed or whole.broken:
            print(
                f"mutations: without any, these fail: {', '.join(whole.failed + whole.broken)}",
                file=sys.stderr,
            )
            return 1
        tried = [(each, *_try(made, each)) for each in mutations]
    _show(tried)
    unnoticed = [each.name for each, verdict, _ in tried if not verdict.noticed]
    print(f"{len(tried) - len(unnoticed)} of {len(tried)} mutations noticed")
    return 1 if unnoticed else 0


def _try(made: Copy, mutation: Mutation) -> tuple[Verdict, float]:
    began = time.monotonic()
    with made.broken(mutation):
        verdict = made.verdict(mutation.tests)
    seconds = time.monotonic() - began
    print(
        f"{mutation.invariant} {mutation.name}: {_told(verdict)} ({seconds:.1f} s)",
        file=sys.stderr,
        flush=True,
    )
    return verdict, seconds


def _told(verdict: Verdict) -> str:
    if verdict.noticed:
        return "noticed"
    return "its tests could not be run" if verdict.broken else "UNNOTICED"


def _show(tried: Sequence[tuple[Mutation, Verdict, float]]) -> None:
    table = Table(box=box.SIMPLE)
    for column in ("invariant", "mutation", "", "the first test to fail"):
        table.add_column(column, overflow="fold")
    for mutation, verdict, _ in tried:
        first = next(iter((*verdict.failed, *verdict.broken)), "")
        table.add_row(
            str(mutation.invariant),
            mutation.name,
            _told(verdict),
            first.rpartition("::")[2].partition("[")[0],
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main())
