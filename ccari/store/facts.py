"""The gate's facts about numbers, as the SQL function ``gate_facts`` returns them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from ccari.policy.consent import Consent
from ccari.policy.gate import AttemptsMade, Contact, Facts, Question
from ccari.policy.suppression import Listing, Reason, Suppression
from ccari.ports.keying import Sought
from ccari.store.database import Connection
from ccari.store.queries import SQL, bytea, columns


def gate_arguments(question: Question, listed_as: Sequence[tuple[str, bytes]]) -> tuple[Any, ...]:
    """The arguments of ``gate_facts`` after the controller, the digests and the campaign."""
    return (
        question.purpose, question.channel, sorted({register for register, _ in listed_as}), *columns(listed_as),
        question.counts_since, question.rules_count_since,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """One question. ``token``: the hash of an access token, if its bearer is wanted too."""

    question: Question
    sought: Sought
    token: bytes | None = None

    def in_json(self) -> dict[str, Any]:
        """The question as ``gate_facts_of_each`` reads it from JSON."""
        question, sought = self.question, self.sought
        purpose, channel, registers, listed_as, listed, since, rules_since = gate_arguments(
            question, sought.listed_as
        )
        return {
            "controller": question.controller, "digests": [bytea(each) for each in sought.digests.all],
            "campaign": question.campaign, "purpose": purpose, "channel": channel, "registers": registers,
            "listed_as": listed_as, "listed_digests": [bytea(each) for each in listed],
            "counts_since": since, "rules_count_since": rules_since,
            "token": None if self.token is None else bytea(self.token),
        }  # fmt: skip


async def rows_of_each(connection: Connection, looks: Sequence[Look]) -> Sequence[asyncpg.Record]:
    """One row per look, in order: its :func:`facts`, the newest policy ``revision``, and the token's bearer."""
    questions = orjson.dumps([each.in_json() for each in looks]).decode()
    rows: list[asyncpg.Record] = await connection.fetch(SQL["gate_facts_of_each"], questions)
    return rows


async def facts_of_many(connection: Connection, question: Question, numbers: Sequence[Sought]) -> list[Facts]:
    """The facts of each number, in one query."""
    digests = [(n, digest) for n, number in enumerate(numbers) for digest in number.digests.all]
    listings = [(n, *listing) for n, number in enumerate(numbers) for listing in number.listed_as]
    rows = await connection.fetch(
        SQL["facts_of_many"], question.controller,
        [n for n, _ in digests], [digest for _, digest in digests],
        [n for n, _, _ in listings], [register for _, register, _ in listings], [digest for _, _, digest in listings],
        question.campaign, question.purpose, question.channel, sorted({register for _, register, _ in listings}),
        question.counts_since, question.rules_count_since,
    )  # fmt: skip
    of_each: list[Facts] = []
    last: asyncpg.Record | None = None
    for row in rows:
        # most numbers of a list have no facts, so neighbours can share one object
        of_each.append(of_each[-1] if row == last else facts(row))
        last = row
    return of_each


def facts(row: asyncpg.Record) -> Facts:
    """The facts of one number, from a row of ``gate_facts``."""
    bars = zip(row["bar_reasons"] or (), row["bar_campaigns"] or (), row["bars_entered"] or (), row["bars_expire"] or (),
               strict=True)  # fmt: skip
    given_at = row["given_at"]
    until = None if row["source_forever"] else row["source_until"]
    return Facts(
        suppressions=tuple(
            Suppression(Reason(reason), entered_at, campaign or None, expires_at)
            for reason, campaign, entered_at, expires_at in bars
        ),
        listings=tuple(map(Listing, row["listed_in"] or (), row["listed_at"] or ())),
        registers=dict(zip(row["register_ids"] or (), row["registers_as_of"] or (), strict=True)),
        consent=Consent(given_at, row["withdrawn_at"], row["consent_until"]) if given_at else None,
        contact=Contact(until) if row["sources"] else None,
        attempts=AttemptsMade(row["recent"], row["total"], row["by_controller"]),
        informed=frozenset(row["informed"] or ()),
        secrets=row.get("secrets") or (),
    )
