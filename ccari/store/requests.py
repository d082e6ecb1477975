"""The register of rights requests: a request with its immediate effect, in one transaction."""

from typing import Any
from uuid import UUID

from ccari.policy.rights import EFFECTS, Right
from ccari.ports import Digests, Exercise
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL


class Requests:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, controller: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["list_requests"], controller, limit)


async def register(
    connection: Connection, controller: str, exercise: Exercise, digests: Digests, *,
    campaign: str | None = None, call_id: UUID | None = None,
) -> str:  # fmt: skip
    """Write the request and what it does at once, in the transaction that ``connection`` is in.

    Returns
    -------
    str
        The reference that people quote, such as ``ACME-2026-000123``.
    """
    effect = EFFECTS[exercise.right]
    number = await connection.fetchval(SQL["next_reference"], controller, exercise.local_year)
    reference = f"{controller.upper()}-{exercise.local_year}-{number:06d}"
    # what is complete with its effect needs nobody to be written to, so the number is not kept
    kept = exercise.number if effect.state.is_open else None
    await connection.execute(
        SQL["add_request"], reference, controller, campaign, call_id, exercise.right, effect.article, effect.state,
        exercise.key, exercise.notice_version, kept, digests.newest, digests.key_version, exercise.received_at,
        exercise.due, exercise.purpose, exercise.language, exercise.intake, exercise.number_from, exercise.level,
    )  # fmt: skip
    await connection.execute(
        SQL["add_request_event"], reference, 1, exercise.who, effect.state, exercise.level, exercise.due, ""
    )
    if effect.suppress is not None:
        origin = "call" if call_id else f"request:{exercise.intake}"
        await connection.execute(
            SQL["add_suppression"], controller, digests.newest, digests.key_version, "", effect.suppress, origin,
            reference, call_id, None,
        )  # fmt: skip
    if exercise.right is Right.WITHDRAW_CONSENT:
        await connection.execute(
            SQL["withdraw_consents"],
            controller,
            list(digests.all),
            exercise.consent_purpose,
            exercise.received_at,
        )
    await connection.execute(SQL["queue_forward"], reference, 1)
    return reference
