"""The order of a backup in the pages: what is copied later has everything that the dump refers to."""

import pytest

from tests.unit.documents.pages import CHECKOUT, blocks


@pytest.mark.parametrize("page", ["docs/operations.md", "docker/README.md"])
def test_a_key_that_is_rotated_during_a_backup_is_missing_from_it(page: str) -> None:
    """Keys, recordings and prompts are only ever added, so they are copied after the dump."""
    (copied,) = (each.text for each in blocks(CHECKOUT / page) if "pg_dump" in each.text)
    dumped, keys, files = (copied.index(each) for each in ("pg_dump", "keys backup", "recordings"))
    assert dumped < min(keys, files)
