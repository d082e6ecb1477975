"""Tells asyncpg which types the arrays of our statements have.

It knows PostgreSQL's own types, but of their arrays only two. Of each other it asks the server, again on every connection, by a recursive
query on the catalogue that takes the server longer than most statements of a call, and the call one or two round trips.
"""

import asyncpg

#: The ids of the array and of its elements, which are the same in every PostgreSQL (``pg_type.dat``).
KNOWN = {
    "bytea": (1001, 17), "date": (1182, 1082), "int4": (1007, 23), "int8": (1016, 20), "interval": (1187, 1186),
    "jsonb": (3807, 3802), "timestamptz": (1185, 1184), "uuid": (2951, 2950),
}  # fmt: skip
#: As asyncpg's own query on the catalogue answers.
_TOLD = [
    {
        "oid": array, "ns": "pg_catalog", "name": f"_{name}", "kind": b"b", "basetype": None, "elemtype": element, "elemdelim": ",",
        "range_subtype": None, "attrtypoids": None, "attrnames": None,
    }
    for name, (array, element) in KNOWN.items()
]  # fmt: skip


def know(connection: asyncpg.Connection) -> None:
    """Do so on this connection. Codecs of the elements must be set before: the arrays keep those that they find."""
    # asyncpg has no public way: tests/unit/store/test_arrays.py fails if this one no longer does
    connection._protocol.get_settings().register_data_types(_TOLD)  # type: ignore[attr-defined]  # noqa: SLF001
