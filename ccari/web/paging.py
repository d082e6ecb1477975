"""Pages of long lists. A cursor is an opaque text that says where the previous page ended."""

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import orjson
from pydantic import Field, TypeAdapter

from ccari.errors import InputError
from ccari.web.models.fields import Moment

_T = TypeVar("_T")
_Place = TypeVar("_Place")
#: The position in a list that is ordered by its rows' timestamps, or ids.
BY_MOMENT: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[Moment, UUID])
_BY_ID: TypeAdapter[tuple[int]] = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**63)]])


def cursor(*place: object) -> str:
    """The cursor for the position after which the next page begins."""
    return base64.urlsafe_b64encode(orjson.dumps(place, default=str)).decode().rstrip("=")


def place(text: str | None, shape: TypeAdapter[_T]) -> _T | None:
    """The position in a cursor; None: the beginning. Raises InputError if it is not a cursor of this list."""
    if text is None:
        return None
    try:
        return shape.validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise InputError("after", "it is not the `next` of a page of this list") from None


def id_in(text: str | None) -> int | None:
    """Like :func:`place`, for a list ordered by its rows' ids."""
    at = place(text, _BY_ID)
    return at[0] if at else None


def cut(rows: Sequence[_T], limit: int, where: Callable[[_T], _Place]) -> tuple[Sequence[_T], _Place | None]:
    """The rows of a page, and where the next one begins: ``where`` gives the position of the last row; None if this is the last page.
    ``rows``: one more than ``limit``, if there is one.
    """
    page = rows[:limit]
    return page, where(page[-1]) if len(rows) > limit else None
