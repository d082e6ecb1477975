"""Malformed files of numbers, and what an export makes of people's text."""

import asyncio
import csv
import io
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ccari.errors import ListError
from ccari.lists import NumberList, bars, consents, contacts
from ccari.lists.cells import as_written, inert
from ccari.ports.lists import LineFault
from ccari.store.opened import Store
from tests.unit.store.commands import on

EXAMPLES = 400
#: What reading holds at a time: batches of rows, each with lines of limited length.
MOST_MEMORY = 64 * 2**20
DIGITS = "600100001"
READERS = {
    "bars": (bars.COLUMNS, bars.KEYED),
    "contacts": (contacts.COLUMNS, None),
    "consents": (consents.COLUMNS, None),
}
FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=1",
    "''=1",
    "form 17;=1+1;",
    'a "b";@SUM(A1)',
    ";'=1",
]
#: Where spreadsheets split a line: that depends on the reader's language, not on the file.
SEPARATORS = [",", ";"]

_cell = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["600100001", "+48 600 100 001", "", '"', '""', "\x00", "\ufeff", "ß", "\u202e", "\x1b[2J", "=1+1", "9" * 4000,
                     "2026-12-31", "a\nb", "digest", "number"]),
)  # fmt: skip
_header = st.lists(
    st.sampled_from(
        ["number", "NUMBER ", "reason", "proof", "purpose", "source", "digest", "key_version", "x", ""]
    ),
    max_size=5,
)
_table = st.builds(
    lambda header, rows, delimiter, end: end.join(delimiter.join(row) for row in [header, *rows]).encode(errors="replace"),
    _header, st.lists(st.lists(_cell, max_size=5), max_size=5), st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n", "\r"]),
)  # fmt: skip
_content = st.one_of(
    _table,
    _table,
    st.binary(max_size=200),
    st.tuples(st.sampled_from(["utf-16", "utf-16-le", "cp1250", "utf-8-sig", "utf-7"]), _table).map(
        lambda made: made[1].decode(errors="replace").encode(made[0], errors="replace")
    ),
)


@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(_content, st.sampled_from(list(READERS)))
@example(b"number,600100001", "bars")
@example(b"number,600 100 001,600 100 001", "contacts")
def test_a_file_raises_anything_but_a_list_error_or_a_fault_quotes_it(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"list-{os.getpid()}"
    path.write_bytes(content)
    columns, keyed = READERS[kind]

    async def rows() -> list[Any]:
        async with NumberList(path, "PL", columns, keyed=keyed) as listed:
            return [each async for batch in listed.batches(lambda row: row) for each in batch]

    try:
        found = asyncio.run(rows())
    except ListError as error:
        words = [str(error)]
    else:
        words = [str(each) for each in found if isinstance(each, LineFault)]
    for each in words:
        assert DIGITS not in each.replace(" ", "")
        assert each.isprintable()


@pytest.mark.parametrize(
    ("piece", "times"),
    [(b"0" * 2**20, 200), (b"600100001,", 10**7), (b'number\n"', 10**7), (b'number\n"600100001\n', 10**6), (b"number;" * 1000, 10**4),
     (b"\x00" * 2**20, 100)],
    ids=["one line", "one row", "quotation marks", "quotation marks that are not closed", "one header", "nothing"],
)  # fmt: skip
async def test_a_file_without_an_end_is_held_whole(tmp_path: Path, piece: bytes, times: int) -> None:
    path = tmp_path / "list"
    with path.open("wb") as file:
        file.write(piece)
        if len(piece) > 1000:
            # a hole uses no disk, and reads as zeros
            file.truncate(len(piece) * times)
        else:
            file.write(piece * (2**18 // len(piece)))
    tracemalloc.start()
    try:
        async with NumberList(path, "PL", bars.COLUMNS, keyed=bars.KEYED) as listed:
            async for _ in listed.batches(lambda row: row):
                pass
    except ListError:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < MOST_MEMORY


@given(st.one_of(st.text(), st.text(";'=+-@a")))
def test_what_people_wrote_comes_back_as_another_or_can_be_computed(text: str) -> None:
    assert as_written(inert(text)) == text
    assert not [each for each in inert(text).split(";") if each[:1] in {"=", "+", "-", "@", "\t", "\r"}]


async def test_an_export_runs_in_the_program_that_opens_it_or_is_restored_otherwise(
    store: Store, dsn: str, tmp_path: Path
) -> None:
    command = on(dsn, tmp_path)
    assert (await command.ccari("keys", "init")).code == 0
    proofs = [each for each in FORMULAS if each.isprintable()]
    for place, proof in enumerate(proofs):
        await command.succeeds("suppress", "add", f"+4860010000{place}", "--proof", proof)
    before = await store.database.rows("SELECT digest, proof, origin FROM suppressions ORDER BY digest")
    out = tmp_path / "bars.csv"
    assert (await command.ccari("suppress", "export", "--out", str(out))).code == 0
    for separator in SEPARATORS:
        rows = csv.reader(io.StringIO(out.read_text()), delimiter=separator)
        assert not [each for row in rows for each in row if each.startswith(("=", "+", "-", "@"))]
    await store.database.rows("DELETE FROM suppressions")
    await command.succeeds("suppress", "import", str(out))
    assert (
        await store.database.rows("SELECT digest, proof, origin FROM suppressions ORDER BY digest") == before
    )
    assert {row["proof"] for row in before} == set(proofs)
