"""Canonical JSON (RFC 8785): equal values always serialise to equal bytes, and so to equal hashes."""

from typing import Any

import orjson
import rfc8785

_IN_ORDER = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical(value: dict[str, Any] | list[Any]) -> bytes:
    """``value`` in RFC 8785's form.

    For texts with ASCII names orjson writes the same bytes as rfc8785, in a sixth to a third of the time. It would order other names
    differently: orjson sorts them by UTF-8, RFC 8785 by UTF-16.

    Raises
    ------
    ValueError
        If it has no such form: half a surrogate pair, an integer of more than 53 bits, something that is not JSON.
    """
    if not _is_same_in_orjson(value):
        return rfc8785.dumps(value)
    try:
        return orjson.dumps(value, option=_IN_ORDER)
    except TypeError:
        return rfc8785.dumps(value)


def _is_same_in_orjson(value: dict[str, Any] | list[Any]) -> bool:
    if isinstance(value, list):
        return {*map(type, value)} <= {str, int}
    return {*map(type, value), *map(type, value.values())} <= {str} and "".join(value).isascii()
