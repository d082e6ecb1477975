"""Protects a process's memory, which holds secrets and numbers, from core dumps and other processes. Every ccari process starts with it."""

import contextlib
import ctypes
import resource

#: prctl(2).
_PR_SET_DUMPABLE = 4


def keep() -> None:
    """Disable core files, and make the process not dumpable.

    The limit alone is not enough: a collector that the kernel pipes cores to ignores it. Child processes (encoders, PostgreSQL) inherit
    the limit, but not the flag, which execve(2) resets. The /proc files of a process that is not dumpable belong to root, so other
    processes of the same user cannot read its memory, nor its environment, which may contain passwords. If the kernel forbids setting the
    flag, the limit still applies.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
