"""The soak from the command line."""

import argparse
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.lab import LabError, ending
from tests.soak import plan, report
from tests.soak.house import FAKETIME
from tests.soak.plan import Fault
from tests.soak.progress import Progress
from tests.soak.run import soak

#: Set in the process that has its own mount namespace.
_INSIDE = "SOAK_INSIDE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit with status 1 if an invariant was violated."""
    chosen = _parser().parse_args(arguments)
    if _INSIDE not in os.environ:
        _enter()
    seed = random.SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    without = [each for each in Fault if each.value in chosen.without]
    if FAKETIME is None:
        print(
            "soak: no clock is stepped: libfaketime is not installed (apt-get install libfaketime)",
            file=sys.stderr,
        )
        without.append(Fault.STEP_CLOCK)
    made = plan.make(seed, chosen.minutes * 60, calls_each_second=chosen.rate, without=without)
    print(
        f"soak: seed {seed}: {len(made.calls)} calls, {len(made.bars)} bars, {len(made.faults)} faults in "
        f"{chosen.minutes:g} minutes", file=sys.stderr,
    )  # fmt: skip
    kept = chosen.keep / f"seed-{seed}"
    print(f"soak: logs, and what was heard, are in {kept} afterwards", file=sys.stderr)
    try:
        result = ending.run(soak(made, Progress(), kept))
    except LabError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    report.show(result, Console(width=160 if not sys.stdout.isatty() else None))
    return 1 if result.found else 0


def _enter() -> None:
    """Restart in a mount namespace whose mounts nobody else sees, and that ends with this process."""
    os.environ[_INSIDE] = "1"
    inside = (
        "unshare",
        "--mount",
        "--propagation",
        "private",
        sys.executable,
        "-m",
        "tests.soak",
        *sys.argv[1:],
    )
    os.execvp(inside[0], inside)  # noqa: S606 - no shell is wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Random calls and random faults on the laboratory; then every invariant is checked.",
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="how long calls are placed and things broken"
    )
    parser.add_argument("--seed", type=int, help="what all chance is drawn from; one seed is one plan")
    parser.add_argument("--rate", type=float, default=0.5, help="calls a second, on average")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[each.value for each in Fault],
        help="a fault to leave out",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", default=Path("build/soak"),
        help="where all logs, and what was heard, are copied to at the end",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
