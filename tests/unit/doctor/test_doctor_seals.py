"""What ``ccari doctor`` says about a database that was restored."""

import pytest

from ccari.cli.doctor.findings import State
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.newest import FILE, NewestSeal, Seen
from ccari.recordings.evidence.sealer import Sealer
from ccari.store.opened import Store
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made
from tests.unit.store.forging import forge
from tests.unit.store.test_seals import closed


async def test_an_older_database_passes(patient: Patient, store: Store) -> None:
    await store.policies.apply(made.POLICY, "test")
    await closed(store)
    await Sealer(store.seals, SigningKeys(patient.keys)).seal()
    await NewestSeal(patient.data_dir, store.seals).renew()
    assert await patient.unwell() == {}
    number, stated = await store.seals.newest() or pytest.fail("nothing was sealed")
    for table in ("sealed", "seals"):
        await forge(store.database, f"DELETE FROM {table}")  # noqa: S608 - ours
    found = await patient.only("seals")
    assert found.state is State.FAULT
    assert found.found.startswith(f"the database lacks {Seen.of(number, stated)}, which this node has seen: ")
    assert found.advice.endswith(f"then remove {patient.data_dir / FILE}")
    (patient.data_dir / FILE).unlink()
    assert await patient.unwell() == {}
