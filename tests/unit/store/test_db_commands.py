"""``ccari db``, run as a person runs it."""

import json
from pathlib import Path

from ccari.store.database import Database
from tests.integration.service import Service


async def test_the_status_calls_a_database_sound_that_a_newer_ccari_has_changed(
    dsn: str, database: Database, tmp_path: Path
) -> None:
    """Every other command refuses it, and so does the service."""
    await database.rows(
        "INSERT INTO public._pogo_migration (migration_hash, migration_id, schema_name) VALUES ('x', '9999_new', 'ccari')"
    )
    environment = {"CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path)}
    done = await Service(environment, tmp_path / "log", tmp_path / "err").ccari("db", "status", "--json")
    assert done.code == 1, done.out
    assert done.err.startswith(
        "ccari: a newer ccari has changed the database: 9999_new: install that version "
    )
    assert json.loads(done.out)[-1] == {"migration": "9999_new", "applied": "yes"}
