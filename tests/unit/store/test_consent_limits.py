"""Consents that ended long ago are deleted, none comes into force again because of it, and a withdrawal still bars."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccari.office.limits import Expired
from ccari.policy import gate
from ccari.policy.consent import Channel
from ccari.policy.declaration import read
from ccari.policy.gate import Block
from ccari.policy.limits import Limit, standing
from ccari.policy.retention import Limited
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.keying import Sought
from ccari.store import limits
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.store import listed, made, person
from tests.unit.store.commands import on
from tests.unit.store.expiring import (
    ALIKE,
    HOLD,
    OF_ACCESSES,
    OF_LONG_AGO,
    OTHER,
    Keeps,
    applied,
    by_one_clock,
    erases_one,
    expire,
    expire_beside_a_hold,
    expire_unseen,
    keeper_of,
    told_of_one,
    with_limit,
)
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.listed import agreed
from tests.unit.store.test_requests import letter

LIMIT = Limit(Limited.CONSENTS, "acme", 365)
GERMAN = replace(LIMIT, proof=timedelta(days=1827))
OFFERS = made.POLICY.replace(
    'legal_basis = "contract"', 'legal_basis = "consent"\nconsent_purpose = "marketing"'
)
LIMITED = with_limit(Limited.CONSENTS, OFFERS)
QUESTION = replace(made.QUESTION, purpose="marketing")
LONG_AGO = NOW - 2 * OF_LONG_AGO
OVER = NOW - OF_LONG_AGO
PROOF = "the law, which requires the proof of a consent to be kept for years (DE: §7a(2) UWG)"


@pytest.fixture
async def shelf(store: Store, database: Database, tmp_path: Path) -> Shelf:
    await store.policies.apply(OFFERS, "anna")
    return Shelf(store, database, tmp_path / "recordings")


async def consents(shelf: Shelf, *lines: Any, controller: str = "acme") -> int:
    """Load a list; how many consents it has entered."""
    done = await shelf.store.consents.load(
        controller, {"renewals": "marketing"}, listed.batches(*lines), origin="list", keep_going=False
    )
    return done.report.accepted


async def given(shelf: Shelf) -> list[datetime]:
    """When each existing consent was given."""
    return [row["given_at"] for row in await shelf.database.rows("SELECT given_at FROM consents ORDER BY 1")]


async def verdict(shelf: Shelf, known_as: Any = None) -> Block | None:
    """The gate's verdict on a call to the number that is based on consent."""
    facts, _ = await shelf.store.calls.facts(QUESTION, Sought(known_as or made.digests()))
    return gate.verdict(read(OFFERS).campaigns[0], (), "PL", made.NUMBER, facts, datetime.now(UTC))


async def withdrawn(shelf: Shelf, at: datetime = OVER, purpose: str | None = "marketing") -> None:
    """Withdrawn that long ago with a bar, as by ``ccari consents withdraw``."""
    await shelf.store.consents.withdraw(
        "acme", made.digests(), at, purpose=purpose, purposes={"renewals": "marketing"}, origin="cli:anna", proof="letter"
    )  # fmt: skip
    await shelf.database.rows("UPDATE suppressions SET entered_at = $1", at)


async def test_a_consent_that_ended_long_ago_is_kept_or_bars_no_more(shelf: Shelf) -> None:
    await consents(shelf, agreed(given=LONG_AGO))
    assert await verdict(shelf) is None
    await withdrawn(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await given(shelf) == []
    assert await verdict(shelf) is Block.SUPPRESSED_CAMPAIGN_WITHDRAW_CONSENT
    # a list that does not know of the withdrawal brings nothing back
    assert await consents(shelf, agreed(given=LONG_AGO)) == 1
    assert await verdict(shelf) is Block.SUPPRESSED_CAMPAIGN_WITHDRAW_CONSENT
    assert [row["withdrawn_at"] for row in await shelf.store.consents.of("acme", made.digests())] == [OVER]
    # and what has been given since counts
    await consents(shelf, agreed(given=NOW - DAY))
    assert await verdict(shelf) is None


async def test_a_consent_that_is_in_force_goes_or_one_before_its_time_or_anothers(shelf: Shelf) -> None:
    await consents(shelf, agreed(given=LONG_AGO), agreed(OTHER, given=LONG_AGO, until=NOW - 364 * DAY))
    await consents(shelf, agreed(given=LONG_AGO, until=NOW + DAY, channel=Channel.AUTOMATIC_CALLS))
    # for another purpose, on another channel, or given tomorrow: none of them succeeds it
    await consents(shelf, agreed(given=OVER, purpose="surveys"), agreed(given=NOW + DAY))
    await consents(shelf, agreed(given=LONG_AGO, until=OVER), controller="beta")
    before = await given(shelf)
    assert await expire(shelf, LIMIT) == Expired()
    assert await given(shelf) == before
    assert await verdict(shelf) is None


@pytest.mark.parametrize("batch", [1, limits.BATCH])
async def test_a_consent_that_has_expired_or_was_followed_by_another_stays_for_good(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(limits, "BATCH", batch)
    await consents(
        shelf, agreed(given=LONG_AGO), agreed(given=OVER), agreed(OTHER, given=LONG_AGO, until=OVER)
    )
    assert await expire(shelf, LIMIT) == Expired(2)
    assert await given(shelf) == [OVER]
    assert await verdict(shelf) is None


@by_one_clock
async def test_a_consent_goes_by_one_clock_alone(shelf: Shelf, ago: int, wrong_by: int) -> None:
    await consents(shelf, agreed(given=LONG_AGO, until=NOW - timedelta(days=ago)))
    assert await expire(shelf, LIMIT, NOW + timedelta(days=wrong_by)) == Expired()


async def test_a_withdrawal_that_only_the_consent_tells_of_is_forgotten(shelf: Shelf) -> None:
    """One that a list reported: the next list could bring the consent back."""
    await consents(shelf, agreed(given=LONG_AGO, withdrawn=OVER))
    words = "its withdrawal, for which there is no suppression: a list could bring the consent back (add one: ccari consents withdraw)"
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({words: 1}))
    for reason, campaign in (
        (Reason.OBJECTION, None), (Reason.WITHDRAW_CONSENT, "surveys"), (Reason.DO_NOT_CALL, None),
    ):  # fmt: skip
        await shelf.store.suppressions.add("acme", made.digests(), reason, "cli", "", campaign=campaign)
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({words: 1}))
    await withdrawn(shelf, LONG_AGO - DAY)
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({words: 1}))
    await withdrawn(shelf, datetime.now(UTC))
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_withdrawal_is_forgotten_that_a_bar_told_of_when_the_consent_went(shelf: Shelf) -> None:
    """Lifting the bar lets calls be made again, on a newer consent."""
    await consents(shelf, agreed(given=LONG_AGO))
    await withdrawn(shelf)
    assert await expire(shelf, LIMIT) == Expired(1)
    await shelf.store.suppressions.remove("acme", made.digests(), "cli:anna", "asked to be called again")
    await consents(shelf, agreed(given=LONG_AGO))
    assert await verdict(shelf) is Block.CONSENT_WITHDRAWN


async def test_a_consent_that_an_erasure_ended_is_brought_back(shelf: Shelf) -> None:
    """The erasure had left it as proof."""
    await consents(shelf, agreed(given=LONG_AGO, withdrawn=OVER))
    await shelf.store.suppressions.add("acme", made.digests(), Reason.ERASURE, "erasure", "")
    assert await expire(shelf, LIMIT) == Expired(1)
    assert await consents(shelf, agreed(given=LONG_AGO)) == 0


async def test_an_older_consent_is_in_force_again_when_what_ended_it_has_gone(shelf: Shelf) -> None:
    """It had no end of its own, and something keeps it longer than the newer one, which has expired."""
    await consents(shelf, agreed(given=LONG_AGO))
    call = await person.called(shelf)
    await shelf.database.rows(
        "INSERT INTO consent_uses (consent_id, call_id) SELECT id, $1 FROM consents", call.id
    )
    await consents(shelf, agreed(given=LONG_AGO + DAY, until=OVER))
    assert await verdict(shelf) is Block.CONSENT_EXPIRED
    used, older = (
        "a call that was made on it, and that is kept",
        "an older consent to the same purpose, which stays and would be in force again",
    )
    assert await expire(shelf, LIMIT) == Expired(0, 2, Counter({used: 1, older: 1}))
    assert await verdict(shelf) is Block.CONSENT_EXPIRED
    await shelf.database.rows("UPDATE calls SET digest = NULL, key_version = NULL")
    assert await expire(shelf, LIMIT) == Expired(2)
    assert await verdict(shelf) is Block.NO_CONSENT
    assert await shelf.database.rows("SELECT * FROM consent_uses") == []


async def test_what_ended_an_older_consent_is_kept_for_one_that_has_just_gone(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch earlier: those of a number for the same purpose come together, the oldest first."""
    monkeypatch.setattr(limits, "BATCH", 1)
    await consents(
        shelf, agreed(given=LONG_AGO), agreed(given=LONG_AGO + DAY), agreed(given=LONG_AGO + 2 * DAY, until=OVER),
        agreed(OTHER, given=LONG_AGO + DAY),
    )  # fmt: skip
    assert await expire_unseen(shelf.store, LIMIT) == Expired(3)
    assert await given(shelf) == [LONG_AGO + DAY]


async def test_one_that_came_under_an_older_secret_is_in_force_again(shelf: Shelf) -> None:
    """When its successor under the newer secret has gone: nobody knows here that the two are one person's."""
    for version, at in ((1, LONG_AGO), (2, OVER)):
        await shelf.database.rows(
            "INSERT INTO key_checks (kind, holder, key_version, known_at) VALUES ('controller', 'acme', $1, $2)", version, at
        )  # fmt: skip
    await consents(shelf, agreed(given=LONG_AGO + DAY, until=OVER, version=2))
    # by a node that did not know of the newer secret
    await consents(shelf, agreed(given=LONG_AGO))
    both = listed.digests(made.NUMBER, 2)
    assert await verdict(shelf, both) is Block.CONSENT_EXPIRED
    words = "a consent that was stored under an older secret although there was a newer one: import the lists of consents again"
    assert await expire(shelf, LIMIT) == Expired(0, 1, Counter({words: 1}))
    assert await verdict(shelf, both) is Block.CONSENT_EXPIRED
    # as a list brings it
    await consents(shelf, agreed(given=LONG_AGO, version=2))
    assert await expire(shelf, LIMIT) == Expired(2)
    assert await verdict(shelf, both) is Block.NO_CONSENT


async def test_what_came_under_an_older_secret_before_the_newer_keeps_consents(shelf: Shelf) -> None:
    await consents(shelf, agreed(OTHER, given=LONG_AGO))
    await shelf.database.rows("UPDATE consents SET entered_at = $1", OVER - DAY)
    for version, at in ((1, LONG_AGO), (2, OVER)):
        await shelf.database.rows(
            "INSERT INTO key_checks (kind, holder, key_version, known_at) VALUES ('controller', 'acme', $1, $2)", version, at
        )  # fmt: skip
    await consents(shelf, agreed(given=LONG_AGO, until=OVER, version=2))
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_proof_goes_that_german_law_has_kept(shelf: Shelf) -> None:
    await consents(
        shelf, agreed(given=NOW - 1900 * DAY, until=OVER), agreed(OTHER, given=NOW - 1800 * DAY, until=OVER)
    )
    assert await expire(shelf, GERMAN) == Expired(1, 1, Counter({PROOF: 1}))
    assert await given(shelf) == [NOW - 1800 * DAY]
    # counted from each use, too, even if its call has expired
    await shelf.database.rows("UPDATE consents SET given_at = given_at - interval '100 days'")
    call = await person.called(shelf)
    await shelf.database.rows(
        "INSERT INTO consent_uses (consent_id, call_id, used_at) SELECT id, $1, $2 FROM consents",
        call.id,
        NOW - 1800 * DAY,
    )
    await shelf.database.rows("UPDATE calls SET digest = NULL, key_version = NULL")
    assert await expire(shelf, GERMAN) == Expired(0, 1, Counter({PROOF: 1}))
    assert await expire(shelf, LIMIT) == Expired(1)


@pytest.mark.parametrize(("country", "days"), [("PL", 0), ("DE", 1827)])
def test_a_controllers_law_goes_unnoticed(country: str, days: int) -> None:
    limit, of_accesses = standing([read(LIMITED.replace('"PL"', f'"{country}"'))])
    assert (limit, limit.proof, of_accesses) == (LIMIT, timedelta(days=days), OF_ACCESSES)


async def test_the_proof_goes_early_of_consents_on_which_a_polish_controller_has_called_germany(
    shelf: Shelf,
) -> None:
    """Also for consents whose campaign is over: the years are counted from when a consent was given, and from its uses."""
    await consents(shelf, agreed(given=NOW - 1800 * DAY, until=OVER))
    # nobody in Germany is called for that
    await shelf.database.rows(
        "INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, valid_until, proof, origin) "
        "SELECT controller, digest, key_version, 'survey', channel, given_at, valid_until, proof, origin FROM consents"
    )
    german = LIMITED.replace(
        'legal_basis = "consent"', 'legal_basis = "consent"\nmarketing = true\npreset = "DE"'
    )
    for policy, gone in ((german, 1), (LIMITED, 0)):
        await shelf.store.policies.apply(policy, "anna")
        assert await expire(shelf, LIMIT) == Expired(gone, 1, Counter({PROOF: 1}))
    await shelf.database.rows("UPDATE consents SET given_at = given_at - interval '100 days'")
    assert await expire(shelf, LIMIT) == Expired(1)


@pytest.mark.parametrize(("keeps", "words"), ALIKE)
async def test_a_consent_goes_that_is_kept_or_stays_when_it_is_not_any_more(
    shelf: Shelf, keeps: Keeps, words: str
) -> None:
    await consents(shelf, agreed(given=LONG_AGO, until=OVER), agreed(OTHER, given=LONG_AGO - DAY, until=OVER))
    lets_go = await keeps(shelf)
    assert await expire(shelf, LIMIT) == Expired(1, 1, Counter({words: 1}))
    assert await given(shelf) == [LONG_AGO]
    await lets_go()
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_a_request_keeps_a_consent_that_it_does_not_need(shelf: Shelf) -> None:
    """Nobody who asked to be forgotten is kept longer; an objection concerns what rests on no consent."""
    await consents(shelf, agreed(given=LONG_AGO, until=OVER))
    await person.asked(shelf, Right.ERASURE)
    await person.asked(shelf, Right.OBJECTION)
    assert await expire(shelf, LIMIT) == Expired(1)


async def test_invariant_7_another_controllers_hold_request_and_bar_act_on_a_consent(shelf: Shelf) -> None:
    """Even though the digests were the same: invariant 7."""
    await consents(
        shelf, agreed(given=LONG_AGO, until=OVER), agreed(OTHER, given=LONG_AGO - DAY, withdrawn=OVER)
    )
    await shelf.store.holds.place(HoldOn(subject=Subject("beta", made.digests())), "lawsuit", "cli:anna")
    held = await shelf.store.requests.add("beta", letter(), made.digests())
    await shelf.store.holds.place(HoldOn(reference=held), "lawsuit", "cli:anna")
    await shelf.store.suppressions.add("beta", made.digests(number=OTHER), Reason.WITHDRAW_CONSENT, "cli", "")
    assert (await expire(shelf, LIMIT)).gone == 1
    assert await given(shelf) == [LONG_AGO - DAY]


async def test_consents_behind_many_that_are_kept_are_never_come_to(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 2)
    await consents(
        shelf, *(agreed(given=LONG_AGO + n * DAY, until=OVER) for n in range(3)),
        *(agreed(OTHER, given=LONG_AGO + (3 + n) * DAY, until=OVER) for n in range(3)),
    )  # fmt: skip
    await shelf.store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna")
    assert await expire(shelf, LIMIT) == Expired(3, 3, Counter({HOLD: 3}))


async def test_a_consent_goes_past_a_hold_that_is_just_being_placed(shelf: Shelf, dsn: str) -> None:
    await consents(shelf, agreed(given=LONG_AGO, until=OVER))
    on_the_number = HoldOn(subject=Subject("acme", made.digests()))
    assert (await expire_beside_a_hold(shelf, dsn, LIMIT, on_the_number)).kept == 1


async def test_the_command_deletes_consents_unasked(dsn: str, tmp_path: Path, shelf: Shelf) -> None:
    ccari = on(dsn, tmp_path)
    await consents(shelf, agreed(given=LONG_AGO, until=OVER))
    await told_of_one(ccari, shelf, Limited.CONSENTS, LIMITED)
    await erases_one(ccari, Limited.CONSENTS)
    assert await given(shelf) == []


async def test_a_round_leaves_consents_alone(shelf: Shelf) -> None:
    await shelf.database.rows("ALTER TABLE policy_revisions DISABLE TRIGGER append_only")
    await shelf.database.rows("DELETE FROM policy_revisions")
    await consents(shelf, agreed(given=LONG_AGO, until=OVER))
    await applied(shelf, LIMITED, timedelta(days=2))
    assert await keeper_of(shelf.store).round() == {LIMIT: Expired(1), OF_ACCESSES: Expired()}
