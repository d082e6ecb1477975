"""Whatever a test's program has started ends with it, however and by whomever it is ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import asyncio, signal, sys
import uvloop
from tests.lab import ending

# whoever starts the tests in the background has all of them ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)

async def work():
    try:
        print("at work", flush=True)
        await asyncio.Event().wait()
    finally:
        # as whoever ends a database or an Asterisk waits for it
        await asyncio.sleep(0)
        print("all ended", flush=True)

sys.exit(ending.run(work(), {runner}))
"""


@pytest.mark.parametrize("runner", ["asyncio.run", "uvloop.run"])
@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_program_that_is_told_to_end_leaves_what_it_has_started(
    told: signal.Signals, code: int, runner: str
) -> None:
    source = _PROGRAM.format(runner=runner)
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3],
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == "at work\n"
        program.send_signal(told)
        try:
            assert program.communicate(timeout=30) == ("all ended\n", "")
        finally:
            program.kill()
    assert program.returncode == code
