"""The service seals in the background, and when it ends; none of its failures reaches a call."""

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ccari import log
from ccari.errors import ConfigError, StoreError
from ccari.policy.seal import FIRST, Kind, Leaf, Statement
from ccari.ports.evidence import Seal
from ccari.recordings.evidence import sealer as sealers
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.sealer import Sealer

Sign = Callable[[Sequence[Leaf], Statement | None], Seal]


class Ledger:
    """A store with that many journals that are over; it first fails as often as ``fails`` says."""

    def __init__(self, journals: int = 0, fails: int = 0) -> None:
        self.journals, self.fails = journals, fails
        self.seals: list[Seal] = []
        self.asked = asyncio.Event()

    async def seal(self, sign: Sign, most: int) -> int:
        self.asked.set()
        if self.fails:
            self.fails -= 1
            raise StoreError("the database did not answer in time")
        leaves = [Leaf(Kind.REQUEST, f"R-{n}", 1, bytes(32)) for n in range(min(self.journals, most))]
        if leaves:
            self.seals.append(sign(leaves, self.seals[-1].statement if self.seals else None))
            self.journals -= len(leaves)
        return len(leaves)

    async def seal_one(self, sign: Sign, kind: Kind, of: str) -> bool:
        raise NotImplementedError


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    made = SigningKeys(tmp_path)
    made.create()
    return made


@pytest.fixture
def logged(logging_as_before: None) -> io.StringIO:
    into = io.StringIO()
    log.configure("json", "info", into)
    return into


def events(logged: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in logged.getvalue().splitlines()]


async def test_more_than_one_seal_holds_are_left_for_a_minute(
    keys: SigningKeys, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    monkeypatch.setattr(sealers, "MOST_LEAVES", 3)
    ledger = Ledger(7)
    assert await Sealer(ledger, keys).seal() == 7
    assert [each.statement.leaves for each in ledger.seals] == [3, 3, 1]
    before = [each.statement.before for each in ledger.seals]
    assert before == [FIRST, *(each.statement.digest for each in ledger.seals[:2])]
    for each in ledger.seals:
        assert keys.newest().verifying.verifies(each.signature, each.statement.canonical)
    told = [(each["journals"], each["seal"]) for each in events(logged)]
    assert told == [(each.statement.leaves, each.statement.digest.hex()) for each in ledger.seals]


async def test_what_is_over_when_the_service_ends_stays_unsealed(keys: SigningKeys) -> None:
    ledger = Ledger()
    async with Sealer(ledger, keys).running():
        await ledger.asked.wait()
        ledger.journals = 2
    assert [each.statement.leaves for each in ledger.seals] == [2]


async def test_a_database_that_is_away_ends_the_sealing(keys: SigningKeys, logged: io.StringIO) -> None:
    ledger = Ledger(2, fails=1)
    async with Sealer(ledger, keys).running():
        await ledger.asked.wait()
    assert [each.statement.leaves for each in ledger.seals] == [2]
    assert [(each["event"], each.get("reason")) for each in events(logged)] == [
        ("sealing_failed", "the database did not answer in time"), ("journals_sealed", None),
    ]  # fmt: skip


async def test_a_key_is_made_in_silence(tmp_path: Path) -> None:
    ledger = Ledger(1)
    with pytest.raises(ConfigError, match="there is no evidence key"):
        await Sealer(ledger, SigningKeys(tmp_path / "none")).seal()
    assert ledger.seals == []


async def test_a_service_hangs_at_its_end_for_a_database_that_does_not_answer(
    keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(Ledger):
        async def seal(self, sign: Sign, most: int) -> int:
            self.asked.set()
            await asyncio.Event().wait()
            return 0

    monkeypatch.setattr(sealers, "LAST_SECONDS", 0.05)
    stuck = Stuck()
    async with Sealer(stuck, keys).running():
        await stuck.asked.wait()
