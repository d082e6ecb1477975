"""Keeps a process's memory, which holds secrets and numbers, from core dumps and other processes. Every ccari process starts so."""

import contextlib
import ctypes
import resource

#: prctl(2).
_PR_SET_DUMPABLE = 4


def keep() -> None:
    """Allow no core file, and make the process not dumpable.

    The limit alone is not enough: a collector to which the kernel pipes cores ignores it. Child processes (encoders, PostgreSQL)
    inherit the limit, but not the other, which execve(2) resets. The files in /proc of a process that is not dumpable belong to
    root, so other processes of the same user cannot read its memory, nor its environment, which may have passwords. Where the
    kernel forbids that, the limit still holds.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
