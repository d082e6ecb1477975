"""Files of numbers as they come: from a register, a spreadsheet, a person, or another program altogether."""

import asyncio
import errno
import hashlib
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ccari.errors import ListError
from ccari.lists import NumberList, Row
from ccari.lists.lines import LONGEST_LINE, LONGEST_ROW
from ccari.lists.numberlist import BATCH_ROWS
from ccari.ports.lists import LineFault

FIRST, SECOND, THIRD = "+48600100001", "+48600100002", "+48600100003"
COLUMNS = KEYED = ("reason", "proof")


async def read(path: Path, columns: tuple[str, ...] = COLUMNS, **options: Any) -> list[Row | LineFault]:
    found: list[Row | LineFault] = []
    async with NumberList(path, "PL", columns, **options) as listed:
        async for batch in listed.batches(lambda row: row):
            found += batch
    return found


async def told(tmp_path: Path, content: bytes | str, **options: Any) -> list[tuple[Any, ...]]:
    """For each row its line and its number or the words of the fault, and its fields if there are any."""
    path = tmp_path / "list"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [
        (each.line, each.column, each.why)
        if isinstance(each, LineFault)
        else (
            each.line,
            each.number.e164 if each.number else None,
            *([dict(each.fields)] if each.fields else []),
        )
        for each in await read(path, **options)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
async def test_a_plain_list_loses_a_line_or_its_place(tmp_path: Path, end: str, bom: str) -> None:
    lines = ["", "# from the register", FIRST, "", "  600 100 002 ", "#" + SECOND, "600-100-003"]
    for last in ("", end):
        assert await told(tmp_path, bom + end.join(lines) + last) == [(3, FIRST), (5, SECOND), (7, THIRD)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_a_spreadsheets_csv_is_taken_for_something_else(
    tmp_path: Path, delimiter: str, bom: str, end: str
) -> None:
    rows = [["Reason", " NUMBER ", "proof"], ["erasure", "600100001", "letter 7"], ["", FIRST, ""]]
    text = bom + end.join(delimiter.join(row) for row in rows) + end
    assert await told(tmp_path, text) == [
        (2, FIRST, {"reason": "erasure", "proof": "letter 7"}),
        (3, FIRST, {"reason": "", "proof": ""}),
    ]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
async def test_a_line_that_tells_excel_the_delimiter_keeps_the_list_out(tmp_path: Path, bom: str) -> None:
    text = f"{bom}sep=;\r\nNumber;proof\r\n{FIRST};x\r\n"
    assert await told(tmp_path, text) == [(3, FIRST, {"proof": "x"})]
    async with NumberList(tmp_path / "list", "PL", None) as listed:
        assert listed.header == f"{bom}sep=;\r\nNumber;proof\r\n".encode()
    with pytest.raises(ListError, match="line 2: it is neither"):
        await told(tmp_path, "\nsep=;\nnumber;proof\n")


async def test_a_csv_of_numbers_alone_is_taken_for_a_plain_list(tmp_path: Path) -> None:
    assert await told(tmp_path, f'"number"\n"{FIRST}"\n\n{SECOND}\n') == [(2, FIRST), (4, SECOND)]


async def test_a_line_break_in_quotes_breaks_the_row_or_the_count_of_lines(tmp_path: Path) -> None:
    text = f'number,proof\n{FIRST},"letter of 1 May,\r\nsays ""no"""\n{SECOND},x\n{THIRD}\n'
    assert await told(tmp_path, text) == [
        (2, FIRST, {"proof": 'letter of 1 May,\nsays "no"'}),
        (4, SECOND, {"proof": "x"}),
        (
            5,
            None,
            "it has fewer cells than the header: 1, not 2: if Excel left out empty last ones, put a column that is never empty last",
        ),
    ]


@pytest.mark.parametrize("content", [f"{FIRST}\r{SECOND}\r", f"number,proof\r{FIRST},x\r"])
async def test_the_line_ends_of_an_old_spreadsheet_are_told_of_in_a_programmers_words(
    tmp_path: Path, content: str
) -> None:
    with pytest.raises(ListError) as wrong:
        await told(tmp_path, content)
    words = "a line ends with a lone carriage return: save the file with the line endings of Windows or Unix"
    assert str(wrong.value) == f"{tmp_path / 'list'}: line 1: {words}"
    assert await told(tmp_path, f"number,proof\n{FIRST},x\r{SECOND},y\n{THIRD},z\n") == [
        (2, None, words),
        (3, THIRD, {"proof": "z"}),
    ]


async def test_a_delimiter_within_a_cell_shifts_the_cells_after_it(tmp_path: Path) -> None:
    words = "it has more cells than the header: 3, not 2: put quotation marks around a cell that contains the delimiter"
    assert await told(tmp_path, f"number,proof\n{FIRST},letter, 7\n") == [(2, None, words)]


@pytest.mark.parametrize("rows", [3, LONGEST_ROW + 5])
async def test_a_quotation_mark_that_is_not_closed_swallows_the_rows_after_it(
    tmp_path: Path, rows: int
) -> None:
    text = f'number,proof\n{FIRST},"letter\n' + f"{SECOND},x\n" * rows
    found = await told(tmp_path, text)
    assert found[0][:2] == (2, None)
    assert found[0][2] == "it is not a CSV: a quotation mark is opened but not closed"
    assert found[1:] == [(3 + each, SECOND, {"proof": "x"}) for each in range(rows)]


async def test_what_is_wrong_with_a_quotation_mark_is_told_in_the_words_of_python(tmp_path: Path) -> None:
    words = "it is not a CSV: a cell goes on after its closing quotation mark"
    assert await told(tmp_path, f'number,proof\n{FIRST},"letter" 7\n') == [(2, None, words)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"+4860010\xb3", "byte 9 is not UTF-8: save it as CSV in UTF-8 (in Excel: CSV UTF-8)"),
        (b"+4860010\x000001", "the line contains a NUL character"),
        (b"6" * (LONGEST_LINE + 1), f"the line is longer than {LONGEST_LINE} bytes"),
        (b"6" * 300_000, f"the line is longer than {LONGEST_LINE} bytes"),
    ],
)
async def test_damage_in_one_line_costs_the_others(tmp_path: Path, damage: bytes, words: str) -> None:
    plain = b"\n".join([FIRST.encode(), damage, SECOND.encode()])
    assert await told(tmp_path, plain) == [(1, FIRST), (2, None, words), (3, SECOND)]
    assert await told(tmp_path, b"number\n" + plain) == [(2, FIRST), (3, None, words), (4, SECOND)]
    assert await told(tmp_path, b'number\n"' + plain + b"\n") == [
        (2, None, "it is not a CSV: a quotation mark is opened but not closed"),
        (3, None, words),
        (4, SECOND),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12345", "no country has such a number"),
        (
            "+48 600 100 001 w. 7",
            "it may contain only digits, one leading plus, spaces, dashes, dots and brackets, and no decimals",
        ),
        (
            f"{FIRST};{SECOND}",
            "it may contain only digits, one leading plus, spaces, dashes, dots and brackets, and no decimals",
        ),
        ("+48701234567", "it is a premium-rate number"),
        *[
            (
                rounded,
                "a spreadsheet has rounded it, and its last digits are lost: make the file again, with the column as text",
            )
            for rounded in ("4,86E+10", "4.860010E+10", "5E8")
        ],
    ],
)
async def test_what_is_no_number_stops_the_reading_or_is_quoted(
    tmp_path: Path, text: str, words: str
) -> None:
    assert await told(tmp_path, f"{FIRST}\n{text}\n{SECOND}\n") == [
        (1, FIRST),
        (2, "number", words),
        (3, SECOND),
    ]


async def test_an_escape_sequence_reaches_the_terminal_of_whoever_lists_it(tmp_path: Path) -> None:
    assert await told(tmp_path, f"number,proof\n{FIRST},\x1b[2J\n") == [
        (2, "proof", "it contains a control character")
    ]


@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u2009"], ids=["no-break", "narrow", "thin"])
async def test_the_blanks_that_a_spreadsheet_puts_between_digits_keep_a_csv_out(
    tmp_path: Path, blank: str
) -> None:
    spaced = blank.join(["600", "100", "001"])
    assert await told(tmp_path, f"{spaced}\n") == [(1, FIRST)]
    assert await told(tmp_path, f"number,proof\n{blank}{spaced}{blank},letter{blank}7\n") == [
        (2, FIRST, {"proof": "letter 7"})
    ]


@pytest.mark.parametrize(
    "text", ["\u202a" + FIRST + "\u202c", "600\u00ad100001"], ids=["direction", "hyphen"]
)
async def test_a_character_that_nobody_sees_is_not_named(tmp_path: Path, text: str) -> None:
    found = next(each for each in text if not each.isprintable())
    words = f"it contains an invisible character, U+{ord(found):04X}: remove it, or type the cell again"
    assert await told(tmp_path, f"{SECOND}\n{text}\n") == [(1, SECOND), (2, "number", words)]
    assert await told(tmp_path, f"number,proof\n{text},x\n") == [(2, "number", words)]


async def test_what_stands_in_a_column_that_nobody_reads_costs_its_row(tmp_path: Path) -> None:
    text = f'number,note,,\n{FIRST},"a\tb",,\n"{SECOND}\t",x,,\n{THIRD},\u200dc,,\n'
    path = tmp_path / "list"
    path.write_text(text)
    async with NumberList(path, "PL", None) as listed:
        rows = [each async for batch in listed.batches(lambda row: row) for each in batch]
    assert [each.number.e164 for each in rows if isinstance(each, Row) and each.number] == [FIRST, THIRD]
    assert [(each.line, each.column) for each in rows if isinstance(each, LineFault)] == [(3, "number")]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (
            b"PK\x03\x04\x14\x00\x06\x00\n",
            {},
            "line 1: the file is a workbook, not a list: save it as CSV in UTF-8",
        ),
        (b"\xff\xfe+\x004\x008\x00", {}, "line 1: the file is UTF-16: save it as CSV in UTF-8"),
        ("numer;źródło\n".encode("cp1250"), {}, "line 1: byte 7 is not UTF-8: save it as CSV in UTF-8"),
        (b"number;proof;;\n", {}, "line 1: column 3 has no name: name it, or remove it"),
        (b"Dear Sir,\n", {}, "line 1: it is neither"),
        (b"\n\nname,phone\n", {}, "line 3: it is neither"),
        (b"number,prof\n", {}, r"line 1: 'prof' is not a known column: use number, reason, proof"),
        (b"number,digest\n", {"keyed": KEYED}, "'digest' is not a known column"),
        (b"digest,key_version\n", {}, "line 1: it is neither"),
        (b"digest,reason\n", {"keyed": KEYED}, "line 1: the column 'key_version' is missing"),
        (b"digest,key_version,proof\n", {"keyed": KEYED}, "line 1: the column 'reason' is missing"),
        (b"digest,key_version,reason\n", {"keyed": KEYED}, "line 1: the column 'proof' is missing"),
        (b"reason,proof\n", {"keyed": KEYED}, "line 1: it is neither"),
        (b"number,proof,number\n", {}, "the column 'number' appears twice"),
        (b"number,reason\n", {"required": ("proof",)}, "line 1: the column 'proof' is missing"),
        (
            FIRST.encode(),
            {"required": ("proof",)},
            "line 1: the file must be a CSV with the columns number, proof",
        ),
    ],
)
async def test_a_file_of_something_else_is_read_as_a_list(
    tmp_path: Path, content: bytes, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ListError, match=words) as wrong:
        await told(tmp_path, content, **options)
    assert str(wrong.value).startswith(f"{tmp_path / 'list'}: ")
    assert FIRST not in str(wrong.value)


async def test_an_exported_list_needs_numbers(tmp_path: Path) -> None:
    text = f"key_version;digest;proof;reason\n1;{'ab' * 32};x;y\n"
    assert await told(tmp_path, text, keyed=KEYED) == [
        (2, None, {"key_version": "1", "digest": "ab" * 32, "proof": "x", "reason": "y"})
    ]


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n", "number,proof\n"])
async def test_an_empty_list_is_an_error(tmp_path: Path, content: str) -> None:
    assert await told(tmp_path, content) == []


async def test_a_file_that_cannot_be_read_ends_in_a_traceback(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ListError, match=f"cannot read {path}: {words}"):
            await read(path)


async def test_standard_input_is_not_read_or_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{FIRST}\n{SECOND}".encode())
    os.close(writing)
    with os.fdopen(reading, "r") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        async with NumberList(Path("-"), "PL") as listed:
            assert listed.size is None
            assert [len(batch) async for batch in listed.batches(lambda row: row)] == [2]
        assert not stdin.closed


async def test_how_far_the_reading_is_and_of_what_is_told_wrong(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"number,proof\n{FIRST},ü\n{'x' * 9999}\n")
    async with NumberList(path, "PL", COLUMNS) as listed:
        async for _ in listed.batches(lambda row: row):
            pass
    assert listed.size == listed.read == path.stat().st_size
    assert listed.sha256 == hashlib.sha256(path.read_bytes()).digest()


async def test_a_long_list_is_held_whole(tmp_path: Path) -> None:
    """Four times the lines, and no more memory."""

    async def peak(lines: int) -> int:
        path = tmp_path / "list"
        with path.open("w") as file:
            file.writelines(f"{600000000 + each}\n" for each in range(lines))
        tracemalloc.reset_peak()
        async with NumberList(path, "PL") as listed:
            async for _ in listed.batches(lambda row: row):
                pass
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        await peak(3000)  # load whatever the first number needs
        short = await peak(3000)
        assert await peak(12_000) < 1.5 * short
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
async def test_a_row_is_given_back_otherwise_than_it_stands_in_the_file(
    tmp_path: Path, bom: str, end: str
) -> None:
    header = f"{bom}Name; NUMBER ;Note"
    kept = [f'"Nowak; Anna";{FIRST};"one{end}two"{end}', f" Żak ;600100002;{end}", f"x;{THIRD};last"]
    path = tmp_path / "list"
    path.write_bytes((header + end + kept[0] + end + f"y;1;bad{end}" + kept[1] + kept[2]).encode())
    async with NumberList(path, "PL", None) as listed:
        found = [row async for batch in listed.batches(lambda row: row) for row in batch]
    assert listed.header == (header + end).encode()
    assert [row.raw.decode() for row in found if isinstance(row, Row)] == kept
    path.write_bytes(f"# all{end}{FIRST}{end}600 100 002".encode())
    async with NumberList(path, "PL") as listed:
        plain = [row.raw async for batch in listed.batches(lambda row: row) for row in batch]  # type: ignore[union-attr]
    assert (listed.header, plain) == (b"", [f"{FIRST}{end}".encode(), b"600 100 002"])


@pytest.mark.parametrize("lines", [BATCH_ROWS + 1, 2 * BATCH_ROWS], ids=["in a batch", "between batches"])
@pytest.mark.parametrize("change", ["grown", "cut off", "rewritten"])
async def test_a_file_that_is_still_being_written_is_taken_for_whole(
    tmp_path: Path, lines: int, change: str
) -> None:
    path = tmp_path / "list"
    path.write_text("".join(f"{600000000 + each}\n" for each in range(lines)))
    os.utime(path, ns=(0, 0))
    content = path.read_bytes()
    async with NumberList(path, "PL") as listed:
        batches = listed.batches(lambda row: row)
        await anext(batches)
        with path.open("r+b") as file:
            match change:
                case "grown":
                    file.seek(0, os.SEEK_END)
                    file.write(content)
                case "cut off":
                    file.truncate(len(content) - 10)
                case _:
                    file.write(content.replace(b"6", b"5"))
        words = f"{path} was changed while it was read: run this again once it is whole"
        with pytest.raises(ListError, match=words):
            _ = [batch async for batch in batches]


async def test_a_list_of_a_file_that_another_has_replaced_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"{FIRST}\n")
    async with NumberList(path, "PL") as listed:
        (tmp_path / "new").write_text(f"{SECOND}\n{THIRD}\n")
        (tmp_path / "new").replace(path)
        rows = [row async for batch in listed.batches(lambda row: row) for row in batch]
    assert [row.number.e164 for row in rows if isinstance(row, Row) and row.number] == [FIRST]


class Pieces:
    """A list in memory, of which ``taken`` lines were read so far; from line ``bad`` on, the disk fails."""

    def __init__(self, lines: int, bad: int | None = None) -> None:
        self.taken = 0
        self._lines = lines
        self._bad = bad

    def readline(self, _limit: int, /) -> bytes:
        if self.taken == self._bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.taken == self._lines:
            return b""
        self.taken += 1
        return f"{600000000 + self.taken}\n".encode()


async def test_a_list_that_is_read_ahead_loses_a_batch_or_gives_it_out_of_its_order() -> None:
    lines = 3 * BATCH_ROWS + 1
    async with NumberList(Pieces(lines), "PL") as listed:
        batches = [batch async for batch in listed.batches(lambda row: row.line, ahead=True)]
    assert [len(each) for each in batches] == [BATCH_ROWS] * 3 + [1]
    assert [line for batch in batches for line in batch] == list(range(1, lines + 1))


async def test_a_slow_taker_has_more_than_one_batch_read_ahead_or_none() -> None:
    pieces = Pieces(5 * BATCH_ROWS)
    async with NumberList(pieces, "PL") as listed:
        await anext(listed.batches(lambda row: row.line, ahead=True))
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        assert pieces.taken == 2 * BATCH_ROWS


async def test_a_fault_of_the_disk_ahead_takes_the_batch_before_it_away() -> None:
    async with NumberList(Pieces(3 * BATCH_ROWS, bad=BATCH_ROWS + 1), "PL") as listed:
        batches = listed.batches(lambda row: row.line, ahead=True)
        assert len(await anext(batches)) == BATCH_ROWS
        with pytest.raises(ListError, match="cannot read the list: Input/output error"):
            await anext(batches)


async def test_what_is_read_ahead_outlives_the_taker_that_gave_up() -> None:
    async with NumberList(Pieces(3 * BATCH_ROWS), "PL") as listed:
        await anext(listed.batches(lambda row: row.line, ahead=True))
    assert asyncio.all_tasks() == {asyncio.current_task()}
