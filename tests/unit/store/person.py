"""A person of whom everything is kept that can be kept, for exports and erasures."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from ccari.policy.consent import Channel
from ccari.policy.erasure import pattern
from ccari.policy.numbers import Number
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.calls import OpenedCall
from ccari.ports.holds import Subject
from ccari.ports.keying import Sought
from ccari.ports.subjects import Wanted
from ccari.recordings.subject.erasing import Eraser
from tests.unit.store import listed, made
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.test_requests import by, letter


async def called(shelf: Shelf, number: Number = made.NUMBER, basis: str = "contract") -> OpenedCall:
    """A call that is over, in which the notice was heard."""
    call = await shelf.call(replace(made.call(number=number), legal_basis=basis))
    told = [
        *made.journal("call_gated", key="5", **call.asserted), *made.journal("notice_heard", key="5", agent="anna")
    ]  # fmt: skip
    await shelf.store.calls.commit_heard(call.id, "v1", f"i1 {call.id}", told)
    await shelf.store.calls.close(call.id, "bridged", "", made.journal("call_ended", outcome="bridged"))
    return call


async def known(shelf: Shelf, number: Number = made.NUMBER, *, words: str = "form 12") -> None:
    """Two contacts, two consents, a bar and one that was lifted; ``words`` is what people wrote to each."""
    store, digests = shelf.store, made.digests(number=number)
    for source in ("fair", "web"):
        sourced, _ = listed.contact(number, source, proof=words)
        told = listed.batches((sourced, Sought(digests)))
        await store.contacts.load(made.QUESTION, lambda _: None, told, origin="list", keep_going=False)
    for purpose in ("marketing", "renewals"):
        await shelf.database.rows(
            """INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin)
               VALUES ('acme', $1, 1, $2, $3, $4, $5, 'list')""",
            digests.newest, purpose, Channel.PHONE, NOW - 20 * DAY, words,
        )  # fmt: skip
    await store.suppressions.add("acme", digests, Reason.DO_NOT_CALL, "cli", words)
    await store.suppressions.add("acme", digests, Reason.OBJECTION, "cli", words)
    await store.suppressions.remove("acme", digests, "cli:anna", words, reason=Reason.OBJECTION)


async def used(shelf: Shelf, call: OpenedCall, purpose: str = "marketing") -> int:
    """The consent that a call was made on."""
    (row,) = await shelf.database.rows(
        """INSERT INTO consent_uses (consent_id, call_id) SELECT id, $1 FROM consents WHERE purpose = $2
           AND digest = (SELECT digest FROM calls WHERE id = $1) RETURNING consent_id""",
        call.id, purpose,
    )  # fmt: skip
    return int(row["consent_id"])


async def asked(
    shelf: Shelf, right: Right = Right.ERASURE, number: Number = made.NUMBER, *, level: Level = Level.L2, note: str = "letter 7",
) -> str:  # fmt: skip
    exercise = replace(letter(right, level=level, received_at=NOW, note=note), number=number.e164)
    return await shelf.store.requests.add("acme", exercise, made.digests(number=number))


async def resolved(shelf: Shelf, reference: str) -> None:
    await shelf.store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))


async def expired(shelf: Shelf, reference: str) -> None:
    """A request that was closed so long ago that it no longer shows whose it was."""
    await resolved(shelf, reference)
    await shelf.database.rows(
        "UPDATE rights_requests SET digest = NULL, digests = '{}', key_version = NULL, expired_at = now() WHERE reference = $1",
        reference,
    )


async def wanted(shelf: Shelf, reference: str, number: Number = made.NUMBER) -> Wanted:
    mandate = await shelf.store.subjects.mandate(reference)
    subject = Subject("acme", made.digests(number=number))
    return Wanted(mandate, subject, number.e164, pattern(number), number.masked)


def eraser(shelf: Shelf) -> Eraser:
    return Eraser(shelf.store.erasures, shelf.store.deletions, shelf.folder, None, "cli:dpo")


async def fields_of(shelf: Shelf, call: UUID) -> dict[str, object]:
    """What the call's journal still says, by event; its chain is whole."""
    record = await shelf.store.records.show_call(call)
    assert record.fault is None
    return {each["event"]: each["fields"] for each in record.events}


def now() -> datetime:
    return datetime.now(UTC)
