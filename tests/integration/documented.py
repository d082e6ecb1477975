"""The commands in the documents, and an environment in which each can be run as written."""

import asyncio
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.service import Done, Service, command
from tests.postgres import programmes
from tests.unit.documents.pages import CHECKOUT, Block, blocks

#: Programs whose lines are typed into a shell, and are run here.
RUN = frozenset({"ccari", "age", "age-keygen", "cp", "createdb", "curl", "install", "pg_dump", "rsync"})
#: Not run here, because it changes the machine. tests/unit/documents checks that make has each target, and ccari each
#: command.
NOT_RUN = frozenset({"umask", "apt-get", "make", "getent", "usermod", "python3", "ln", "/opt/ccari/bin/pip"})
#: Pages that change the machine from beginning to end; the tests of the packages do what they say.
OF_THE_MACHINE = frozenset({"docs/install.md", "docker/README.md"})
#: Marks a block for the embedded PostgreSQL, whose lines belong together: tests/integration/test_backup.py runs those.
_EMBEDDED = "pg_ctl "
#: What the pages need from `rsync`, for a machine that has none: copy folders as they are, and delete anything extra.
_RSYNC = """#!/bin/sh
shift
if [ "$1" = --delete ]; then shift; fi
for last; do :; done
for each; do [ "$each" = "$last" ] || { rm -rf "$last/${each##*/}" && cp -a "$each" "$last"; } || exit; done
"""
#: Time for a command that asks for a passphrase, which costs a second of processor time.
TYPED_SECONDS = 180.0
SHELL_SECONDS = 180.0
PASSPHRASE = "a long passphrase for this test"  # noqa: S105 - of this test
#: With the space after it: input typed earlier is discarded.
_ASKS = re.compile(rb"(passphrase|confirmation)[^\n]*: $", re.IGNORECASE)
#: Programs that may write where a page says, and to every path that it names.
_WRITES = frozenset({"cp", "createdb", "install", "pg_dump", "rsync"})
_PATH = re.compile(r"(?:(?<=[\s=])|^)/[\w./-]*")
#: Commands that ask for a passphrase.
_AT_A_TERMINAL = re.compile(r"ccari keys (backup|restore)|age -d \S+ \|")
#: Marks a line as more than a program and its arguments.
_SHELL = re.compile(r"[|<>&$]")


@dataclass(frozen=True)
class Line:
    """One command, with its continuation lines, as the document has it."""

    block: Block
    text: str

    @property
    def program(self) -> str:
        return self.text.split(maxsplit=1)[0]

    @property
    def is_run(self) -> bool:
        """False for a command that changes the machine, such as creating a folder for another user."""
        return self.program not in NOT_RUN and not (self.program == "install" and " -d -o " in self.text)

    @property
    def written(self) -> str:
        """The command without its trailing comment."""
        return re.sub(r"\s+#.*", "", self.text)


def lines(page: Path) -> Iterator[Line]:
    """Every command in the page's code blocks, in order."""
    if str(page.relative_to(CHECKOUT)) in OF_THE_MACHINE:
        return
    for block in blocks(page):
        if _EMBEDDED in block.text:
            continue
        text = block.text.replace("\\\n", " ")
        typed = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if any(line.split(maxsplit=1)[0] in RUN | NOT_RUN for line in typed):
            yield from (Line(block, " ".join(line.split())) for line in typed)


@dataclass
class Desk:
    """Where commands are typed: a folder, the settings of an installation, and values for the document's placeholders."""

    folder: Path
    service: Service
    stands_for: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tools = self.folder / "bin"
        tools.mkdir(parents=True)
        (tools / "ccari").write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
        (tools / "ccari").chmod(0o755)
        if shutil.which("rsync") is None:
            (tools / "rsync").write_text(_RSYNC)
            (tools / "rsync").chmod(0o755)
        path = os.pathsep.join((str(tools), str(programmes()), os.environ["PATH"]))
        self.environment |= {"PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    async def type(self, line: Line) -> Done:
        """Run it as written, with its placeholders filled in; type the passphrase wherever one is asked for."""
        written = line.written
        for named, real in sorted(self.stands_for.items(), key=lambda each: -len(each[0])):
            written = written.replace(named, real)
        elsewhere = [
            each for each in _PATH.findall(written) if not Path(each).is_relative_to(self.folder.parent)
        ]
        assert line.program not in _WRITES or not elsewhere, (
            f"{line.block.place} writes outside of the test: {elsewhere}"
        )
        if _AT_A_TERMINAL.search(written):
            return await asyncio.to_thread(self._at_a_terminal, written)
        if line.program == "ccari" and not _SHELL.search(written):
            arguments = shlex.split(written)[1:]
            return await self.service.ccari(*arguments, environment=self.environment, folder=str(self.folder))
        return await asyncio.to_thread(self._in_a_shell, written)

    @property
    def _whole(self) -> Mapping[str, str]:
        return {**os.environ, **self.service.environment, **self.environment}

    def _in_a_shell(self, written: str) -> Done:
        done = subprocess.run(
            ["sh", "-c", written], cwd=self.folder, env=self._whole, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=SHELL_SECONDS, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _at_a_terminal(self, written: str) -> Done:
        """Run it on a terminal; all that it shows is output. Type the passphrase whenever it asks for one."""
        ours, its = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "sh", "-c", written], cwd=self.folder, env=self._whole, stdin=its, stdout=its, stderr=its
        )  # fmt: skip
        os.close(its)
        shown, answered, until = b"", 0, time.monotonic() + TYPED_SECONDS
        try:
            while select.select([ours], [], [], max(0.0, until - time.monotonic()))[0]:
                try:
                    shown += os.read(ours, 4096)
                except OSError:
                    # Linux reports this for a terminal that nobody holds open any more
                    break
                if _ASKS.search(shown, answered):
                    answered = len(shown)
                    os.write(ours, f"{PASSPHRASE}\n".encode())
            return Done(process.wait(max(1.0, until - time.monotonic())), shown.decode(), "")
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def beside(desk: Desk, name: str, *, url: str, **settings: str) -> Desk:
    """Another installation on the same PBX, with a folder and a ``data_dir`` of its own and the database at ``url``. ``settings``: others
    that differ.
    """
    folder = desk.folder.with_name(name)
    data = folder / "data"
    service = Service(
        {**desk.service.environment, "CCARI_DATA_DIR": str(data), "CCARI_DATABASE__URL": url, **settings},
        folder / "ccari.log",
        folder / "ccari.err",
    )
    stands_for = {**desk.stands_for, "/var/lib/ccari": str(data)}
    made = Desk(folder, service, stands_for, {**desk.environment, "URL": url})
    data.mkdir()
    return made


def copied(files: Sequence[Path], folder: Path) -> None:
    for each in files:
        shutil.copy(each, folder)
