"""Plays one run again, and tells everything that happened in it."""

import argparse
import sys

from tests.unit.interleaving.plan import At
from tests.unit.interleaving.run import play, told
from tests.unit.interleaving.stories import STORIES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("call", choices=STORIES)
    parser.add_argument("faults", nargs="*", type=At.read, help="such as cut@wait:12")
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    run = play(given.call, *given.faults, seed=given.seed)
    print(told(given.call, run, *given.faults, seed=given.seed))
    return bool(run.wrong)


if __name__ == "__main__":
    sys.exit(main())
