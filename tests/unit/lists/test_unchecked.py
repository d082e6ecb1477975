"""Columns with telephone numbers that nobody checks, because they are not called ``number``."""

from pathlib import Path

import pytest

from ccari.lists import NumberList

ROW = "600100001"


def written(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


async def unchecked(path: Path, header: str, *rows: str, country: str = "PL") -> list[str]:
    async with NumberList(written(path, header, *rows), country, None) as listed:
        async for _ in listed.batches(lambda row: row):
            pass
    return listed.unchecked


@pytest.mark.parametrize("cell", ["+48 600 100 002", "600-100-002", "0048600100002", "600100002"])
async def test_a_second_number_is_not_seen(tmp_path: Path, cell: str) -> None:
    """In the row of an invalid number, too; most cells of such a column are empty."""
    rows = [f"{ROW};;x"] * 20 + [f"12;{cell};x"]
    assert await unchecked(tmp_path / "list", "Number;Tel2;Name", *rows) == ["tel2"]


@pytest.mark.parametrize(
    "cell", ["2026-12-31", "31.12.2026", "10023", "199,99", "00-950", "PL61109010140000071219812874", "Nowak"]
)
@pytest.mark.parametrize("country", ["PL", "DE"])
async def test_what_is_no_number_is_taken_for_one(tmp_path: Path, cell: str, country: str) -> None:
    assert await unchecked(tmp_path / "list", "number;x", f"+48{ROW};{cell}", country=country) == []


async def test_a_number_is_not_seen_in_a_column_without_a_name_or_with_the_name_of_another(
    tmp_path: Path,
) -> None:
    """Spreadsheets add empty columns at the end; a dialler's template may have a name twice."""
    rows = [f"{ROW};600\u202f100\u202f002;;x;600100003;Nowak"]
    assert await unchecked(tmp_path / "list", "number;;;;tel;tel", *rows) == ["column 2", "tel"]


async def test_the_columns_are_not_named_in_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [f"{ROW};;600100003", f"{ROW};600100002;"]
    assert await unchecked(tmp_path / "list", "number;a;b", *rows) == ["a", "b"]


async def test_notes_with_a_number_now_and_then_are_taken_for_a_column_of_numbers(tmp_path: Path) -> None:
    rows = [f"{ROW};calls back", f"{ROW};600100002"]
    assert await unchecked(tmp_path / "list", "number;note", *rows) == []


async def test_a_number_in_the_header_is_shown(tmp_path: Path) -> None:
    assert await unchecked(tmp_path / "list", f"number;tel {ROW}", f"{ROW};{ROW}") == ["tel …"]


async def test_hundreds_of_columns_make_a_header_that_no_client_takes(tmp_path: Path) -> None:
    names, cells = ";".join(f"t{each}" for each in range(200)), ";".join(["600100001"] * 200)
    found = await unchecked(tmp_path / "list", f"number;{names}", f"{ROW};{cells}")
    assert found == [f"t{each}" for each in range(10)]
