"""``ccari`` without its half second of imports: processes forked from one that has imported it and all of its commands.

The tests run hundreds of commands and services, and on a busy machine the imports took most of the time.
``tests/unit/test_command_line.py`` and ``tests/unit/store/test_starting.py`` test what a process does that the
operating system starts in the ordinary way.
"""

import asyncio
import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
#: The size of a message about a process: its id, or its exit status.
_MESSAGE_BYTES = 16


class Forked:
    """A process forked by a :class:`Parent`, with the part of the interface of :class:`asyncio.subprocess.Process` that
    is used.
    """

    def __init__(self, pid: int, asked: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._asked = asked
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(asked, self._hear)

    def _hear(self) -> None:
        self.returncode = int(self._asked.recv(_MESSAGE_BYTES))
        self._ended.set()
        self.leave()

    def leave(self) -> None:
        """Stop listening for news of it."""
        if self._asked.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._asked)
            self._asked.close()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signum: int) -> None:
        # it may have ended before we hear of it
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Parent:
    """The process that has imported ``ccari`` and forks; it ends with the process that started it."""

    def __init__(self, interpreter: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ccari-forked-")
        self._address = str(Path(self._folder.name, "socket"))
        # output is buffered as where people work; a machine for tests may have it otherwise
        self._process = subprocess.Popen(
            [*interpreter, "-m", __name__, self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], _START_SECONDS)[0]:
            raise TimeoutError("ccari could not be imported in time")
        assert self._process.stdout.readline() == b"ready\n"
        atexit.register(self._end)

    def _end(self) -> None:
        self._process.communicate(timeout=_STOP_SECONDS)
        self._folder.cleanup()

    async def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int, folder: str = "/"
    ) -> Forked:
        """Start ``ccari`` with no standard input, in ``folder``; ``out`` and ``err``: descriptors for what it writes."""
        asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with tempfile.TemporaryFile() as job:
                job.write(json.dumps([list(arguments), dict(environment), folder]).encode())
                job.seek(0)
                asked.connect(self._address)
                socket.send_fds(asked, [b"?"], [job.fileno(), out, err])
            asked.setblocking(False)
            pid = int(await asyncio.get_running_loop().sock_recv(asked, _MESSAGE_BYTES))
        except BaseException:
            asked.close()
            raise
        return Forked(pid, asked)

    async def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: str = "/"
    ) -> tuple[int, bytes, bytes]:
        """Run ``ccari`` to its end; returns its exit status, output and errors."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = await self.start(arguments, environment, out.fileno(), err.fileno(), folder)
            try:
                status = await process.wait()
            finally:
                process.leave()
            out.seek(0)
            err.seek(0)
            return status, out.read(), err.read()


class _Job(NamedTuple):
    """Descriptors: of what is to be run, and for what it writes."""

    told: int
    out: int
    err: int


class _Asked:
    """Whoever asks for a process, and has yet to hear how it ended."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen()
        #: By the descriptor that tells of its end: a process, and who asked for it.
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None:
        self._listener.close()
        for ended, (_, asker) in self._running.items():
            os.close(ended)
            asker.close()

    def next(self) -> _Job | None:
        """In each new process, what it is to do; in this one None, once the process that started it has ended."""
        while True:
            readable = select.select([self._listener, sys.stdin, *self._running], [], [])[0]
            for each in readable:
                if isinstance(each, int):
                    self._tell(each)
            if sys.stdin in readable:
                return None
            if self._listener in readable and (job := self._fork()) is not None:
                return job

    def _fork(self) -> _Job | None:
        asker, _ = self._listener.accept()
        _, given, _, _ = socket.recv_fds(asker, 1, 3)
        if (process := os.fork()) == 0:
            asker.close()
            return _Job(*given)
        for each in given:
            os.close(each)
        self._running[os.pidfd_open(process)] = process, asker
        _say(asker, process)
        return None

    def _tell(self, ended: int) -> None:
        process, asker = self._running.pop(ended)
        os.close(ended)
        _say(asker, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        asker.close()


def _say(asker: socket.socket, what: int) -> None:
    # it may have given up waiting
    with contextlib.suppress(BrokenPipeError):
        asker.sendall(str(what).encode())


def _serve(address: str) -> None:
    # before any import: what is registered first runs last
    leaving = _Leaving()
    atexit.register(leaving)
    from ccari.cli import commands, main

    # what "serve" imports only once it can be told to stop, and what a command that uses a calendar imports
    late = ("uvloop", "ccari.app.service", "holidays.countries")
    for name in (*(f"ccari.cli.{each}" for each in commands.MODULES.values()), *late):
        importlib.import_module(name)
    gc.freeze()
    with _Asked(address) as asked:
        print("ready", flush=True)
        if (job := asked.next()) is None:
            leaving.status = 0
            return
    out, err = job.out, job.err
    with os.fdopen(job.told, "rb") as told:
        arguments, environment, folder = json.load(told)
    _become(out, err, environment, folder)
    sys.argv = ["ccari", *arguments]
    try:
        main()
        leaving.status = 0
    except SystemExit as ended:
        leaving.status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


class _Leaving:
    """A process's last moment, when its threads have ended and every other exit handler has run.

    The interpreter would now destroy every object, including those imported, and copy all memory shared with its parent
    to do so: a tenth of a second, more than most commands take.
    """

    def __init__(self) -> None:
        self.status = 1

    def __call__(self) -> None:
        # report leftovers where warnings are errors: a coroutine that was not awaited, a file left open
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.status)


def _become(out: int, err: int, environment: Mapping[str, str], folder: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, known in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(ours, known)
        os.close(ours)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


if __name__ == "__main__":
    _serve(sys.argv[1])
