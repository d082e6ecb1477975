"""The one way to write something in JSON (RFC 8785), so that whoever hashes it gets the same."""

import contextlib
from typing import Any

import orjson
import rfc8785

_IN_ORDER = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical(told: dict[str, Any] | list[Any]) -> bytes:
    """``told`` as RFC 8785 has it.

    Of text orjson writes the same bytes as rfc8785, in a sixth to a third of the time, where names are in ASCII: it puts them in the
    order of UTF-8, and RFC 8785 in that of UTF-16.

    Raises
    ------
    ValueError
        If it cannot be written so: half a character, a whole number of more than 53 bits, something that JSON does not know.
    """
    if _is_plain(told):
        with contextlib.suppress(TypeError):
            return orjson.dumps(told, option=_IN_ORDER)
    return rfc8785.dumps(told)


def _is_plain(told: dict[str, Any] | list[Any]) -> bool:
    if isinstance(told, list):
        return {*map(type, told)} <= {str, int}
    return {*map(type, told), *map(type, told.values())} <= {str} and "".join(told).isascii()
