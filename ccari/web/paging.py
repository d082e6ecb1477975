"""Pages of long lists: where the last one ended, as a text that only ccari reads."""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson
from pydantic import TypeAdapter

from ccari.errors import InputError

_T = TypeVar("_T")


def cursor(*place: object) -> str:
    """The place after which the next page begins."""
    return base64.urlsafe_b64encode(orjson.dumps(place, default=str)).decode().rstrip("=")


def place(text: str | None, shape: TypeAdapter[_T]) -> _T | None:
    """What a cursor holds; None: the beginning. Raises InputError if it is none of ours."""
    if text is None:
        return None
    try:
        return shape.validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise InputError("after", "it is no place that a page of this list ended at") from None


def cut(rows: Sequence[_T], limit: int, where: Callable[[_T], str]) -> tuple[Sequence[_T], str | None]:
    """The rows of a page, of which one more was asked for, and the cursor of the next; None: it is the last."""
    page = rows[:limit]
    return page, where(page[-1]) if len(rows) > limit else None
