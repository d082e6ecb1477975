"""Whether a mutation is noticed: runs its tests on a mutated copy of the checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from tests.mutations.mutation import CHECKOUT, Mutation

#: Time for the tests of one mutation, and for all tests without any, on a busy machine.
TRIAL_SECONDS, WHOLE_SECONDS = 300.0, 1800.0


@dataclass(frozen=True)
class Verdict:
    """``failed``: the tests whose assertions failed; ``broken``: those that could not be run."""

    failed: tuple[str, ...]
    broken: tuple[str, ...]
    passed: int

    @property
    def noticed(self) -> bool:
        return bool(self.failed)


class Copy:
    """A copy of the checkout, including uncommitted changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT, check=True, capture_output=True,
        ).stdout.decode().split("\0")  # fmt: skip
        for name in filter(None, names):
            source = CHECKOUT / name
            if source.is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)

    @contextmanager
    def broken(self, mutation: Mutation) -> Iterator[None]:
        path = self.folder / mutation.file
        whole = path.read_text("utf-8")
        path.write_text(mutation.applied(whole), "utf-8")
        try:
            yield
        finally:
            path.write_text(whole, "utf-8")

    def verdict(self, tests: Iterable[str], *, all_of_them: bool = False) -> Verdict:
        """Run tests in it, until the first failure unless ``all_of_them``."""
        result = self.folder / "result.xml"
        result.unlink(missing_ok=True)
        # Python checks cached byte code by the source's time in whole seconds, and a mutation may take less
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        seconds = WHOLE_SECONDS if all_of_them else TRIAL_SECONDS
        try:
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={result}",
                 *([] if all_of_them else ["-x"]), *tests],
                cwd=self.folder, env=environment, check=False, capture_output=True, timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Verdict((), (f"its tests within {seconds:.0f} s",), 0)
        return _read(result)


@contextmanager
def copy() -> Iterator[Copy]:
    # the database server's own user runs programs in it
    with TemporaryDirectory(prefix="ccari-mutations-") as folder:
        Path(folder).chmod(0o755)
        yield Copy(Path(folder))


def _read(result: Path) -> Verdict:
    if not result.exists():
        return Verdict((), ("pytest itself",), 0)
    failed, broken, passed = [], [], 0
    # our own pytest has written it
    for case in ET.parse(result).iter("testcase"):  # noqa: S314
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None:
            failed.append(name)
        elif case.find("error") is not None:
            broken.append(name)
        elif case.find("skipped") is None:
            passed += 1
    return Verdict(tuple(failed), tuple(broken), passed)
