"""Days and moments that commands and refusals name: in the time zone that the machine is in, as in the lists."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ccari.cli.calls import _expired
from ccari.cli.recording_purge import _stored
from ccari.errors import InputError, RecordingError, RefusedError, UnknownError
from ccari.policy.leaving import obstacles
from ccari.ports.holds import HoldOn
from ccari.store.controllers import _proofs
from ccari.store.entering import refuse_gone
from tests.unit.store import made, person
from tests.unit.store.forging import forge
from tests.unit.store.kept import DAY, Shelf

NOON, NEXT_DAY = datetime(2099, 8, 1, 12, tzinfo=UTC), "2099-08-02"
#: The day alone would be another one in the console, which shows moments by the controller's clock.
NEXT_MORNING = f"{NEXT_DAY} 02:00 +14"


@pytest.fixture(autouse=True)
def _far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fourteen hours ahead of UTC."""
    with monkeypatch.context() as here:
        here.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        yield
    time.tzset()


async def test_a_law_keeps_a_recording_until_the_day_before(shelf: Shelf) -> None:
    bound = await shelf.put(basis="legal_obligation")
    await shelf.database.rows("UPDATE recordings SET delete_at = $1", NOON)
    with pytest.raises(
        RecordingError, match=re.escape(f"a legal obligation keeps it until {NEXT_MORNING} (")
    ):
        await _stored(shelf.store, bound)


async def test_a_law_keeps_the_proof_of_consents_until_the_day_before(shelf: Shelf) -> None:
    await person.known(shelf, made.NUMBER)
    await shelf.database.rows("UPDATE consents SET given_at = $1, withdrawn_at = NULL", NOON - 9 * DAY)
    async with shelf.database.connection() as connection:
        proofs = await _proofs(connection, "acme", 9 * DAY)
    assert proofs is not None
    (words,) = obstacles((), {}, proofs)
    assert f"kept until {NEXT_MORNING} (DE" in words


async def test_what_is_to_be_held_was_deleted_or_has_expired_the_day_before(shelf: Shelf) -> None:
    call = await shelf.call()
    gone = await shelf.put(call)
    placed = await shelf.store.holds.place(HoldOn(call_id=call.id), "lawsuit", "cli:anna")
    await shelf.store.holds.release(placed["id"], "settled", "cli:anna")
    for forged in (
        "UPDATE holds SET released_at = $1", "UPDATE recordings SET state = 'deleted', deletion = 'purge', deleted_at = $1",
        "UPDATE calls SET expired_at = $1",
    ):  # fmt: skip
        await forge(shelf.database, forged, NOON)
    with pytest.raises(UnknownError, match=re.escape(f"was released on {NEXT_MORNING}:")):
        await shelf.store.holds.release(placed["id"], "settled", "cli:anna")
    with pytest.raises(RecordingError, match=re.escape(f"was deleted on {NEXT_MORNING}:")):
        await shelf.store.holds.place(HoldOn(recording_id=gone), "lawsuit", "cli:anna")
    with pytest.raises(UnknownError, match=re.escape(f"expired on {NEXT_MORNING}:")):
        await shelf.store.holds.place(HoldOn(call_id=call.id), "lawsuit", "cli:anna")


async def test_a_controller_was_deleted_the_day_before(shelf: Shelf) -> None:
    await shelf.database.rows(
        "INSERT INTO controller_deletions (controller, begun_by, begun_at, drop_proof) VALUES ('acme', 'x', $1, false)",
        NOON,
    )
    async with shelf.database.connection() as connection:
        with pytest.raises(InputError, match=re.escape(f"is being deleted since {NEXT_MORNING}, and")):
            await refuse_gone(connection, "acme")
    with pytest.raises(RefusedError, match=re.escape(f"is being deleted since {NEXT_MORNING}, and")):
        await shelf.store.policies.apply(f"{made.POLICY}# again\n", "cli:anna")


def test_a_call_in_a_list_has_expired_the_day_before() -> None:
    assert _expired({"expired_at": NOON, "number": "—"})["number"] == f"expired {NEXT_DAY}"
