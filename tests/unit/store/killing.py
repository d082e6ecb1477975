"""A process that dies at a step of its work, as far as something in the same process can."""

import inspect
import itertools
from collections.abc import Awaitable
from typing import Any

import pytest


class KilledError(BaseException):
    """The process dies here."""


def kill(patch: pytest.MonkeyPatch, step: tuple[object, str], *, after: bool, at: int = 1) -> None:
    """Whoever takes the step (what has it, and its name there) dies before or after the ``at``-th time."""
    where, name = step
    real, taken = getattr(where, name), itertools.count(1)

    def dies(*arguments: Any, **options: Any) -> Any:
        if next(taken) != at:
            return real(*arguments, **options)
        if not after:
            raise KilledError
        done = real(*arguments, **options)
        if inspect.isawaitable(done):
            return _then_die(done)
        raise KilledError

    patch.setattr(where, name, dies)


async def _then_die(work: Awaitable[object]) -> None:
    await work
    raise KilledError
