"""What every process of ccari does first: it holds secrets and numbers, and none of them goes into a dump of its memory."""

import contextlib
import ctypes
import resource

#: prctl(2).
_PR_SET_DUMPABLE = 4


def keep() -> None:
    """No core file, also where cores are piped to a collector, which heeds no limit; and nobody but root looks in.

    The limit is inherited by what we start (encoders, PostgreSQL); that the process is not dumpable is not: execve(2) resets
    it. As a process that is not dumpable is root's in /proc, others of the same user can read neither its environment, in
    which there may be passwords, nor its memory. Where the kernel forbids it, there is still the limit.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
