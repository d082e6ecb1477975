"""The gate of a running service, on a policy that is changed under it."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from ccari.calls.desk import Desk
from ccari.calls.order import Order
from ccari.errors import EvidenceError, SoundError, StoreError
from ccari.gating.drafting import Drafter
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.inquiry import Inquiry
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.keyring.secrets import SecretStore
from ccari.policy import notices
from ccari.policy.bases import LegalBasis
from ccari.policy.call import Direction
from ccari.policy.campaign import Campaign
from ccari.policy.chain import OF_CALL, policy_of_call, unproven_of_call
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.suppression import Reason
from ccari.ports.calls import CallStore, LeftTalk, OpenedCall
from ccari.ports.cards import Past
from ccari.ports.lists import Listed
from ccari.ports.records import WantedCalls
from ccari.ports.sounds import Script, Sound
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.verifying import verify
from ccari.store.calls import PostgresCallStore
from ccari.store.database import SESSION, Database, as_it_is
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.registers import Copy
from tests.unit.calls.talking import IDLE_DESK
from tests.unit.store.forging import forge
from tests.unit.store.listed import batches
from tests.unit.store.made import ASTERISK, NUMBER, POLICY, new_secret, numbers
from tests.unit.store.relayed import Relay, relayed

CHANGED = POLICY.replace('"contract"', '"legitimate_interest"')
ORDER = Order(Direction.OUTBOUND, NUMBER.e164, "renewals", "anna", channel="channel")
HEEDING = (
    POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "')
    + """
[[registers]]
id = "robinson"
name = "Lista Robinsonów"
max_age_days = 31
"""
)
OTHER = POLICY.replace('"renewals"', '"surveys"')


class Silent:
    """Prompts of a campaign that says nothing."""

    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> dict[str, Script]:
        return {campaign.language: Script({}, dict.fromkeys(notices.wordings(campaign), "1"))}

    async def keep(self, campaign: Campaign) -> None:
        pass

    async def replaced(self, played: Iterable[Sound]) -> list[Sound]:
        return []

    async def common(self, prompt: str, language: str) -> Sound:
        raise NotImplementedError

    async def source(self, words: str, language: str) -> Sound:
        raise NotImplementedError


class Speechless(Silent):
    """Prompts that were not built."""

    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> dict[str, Script]:
        raise SoundError("not built")


class Copied(Silent):
    """Prompts of which copies are kept, after a while."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    async def keep(self, campaign: Campaign) -> None:
        await asyncio.sleep(0)
        self.kept.append(campaign.id)


def desk_of(store: Store, book: Book, secrets: SecretStore) -> Desk:
    """What the gate is asked with; no prompt is missing."""
    return replace(
        IDLE_DESK,
        asterisk=ASTERISK,
        store=store.calls,
        secrets=secrets,
        book=book,
        prompts=cast("Any", Silent()),
    )


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    """A service that has read the first revision; what it would dial with is absent."""
    book, secrets = Book(store.policies), SecretStore(tmp_path)
    await book.reload()
    new_secret(secrets, "acme")
    return desk_of(store, book, secrets)


def gatekeeper(desk: Desk, campaign: str = "renewals") -> Gatekeeper:
    order = Order(Direction.OUTBOUND, NUMBER.e164, campaign, "anna", channel="channel")
    return Gatekeeper(order, desk, Journal(uuid4(), "anna"))


async def ask(desk: Desk, campaign: str = "renewals") -> Terms | Block:
    return await gatekeeper(desk, campaign).ask()


async def test_a_policy_that_was_changed_in_the_database_passes_for_the_one_that_calls_were_made_under(
    desk: Desk, store: Store, database: Database
) -> None:
    """With its hash beside it, by somebody who can write all tables."""
    calls = [uuid4(), uuid4()]
    for call in calls:
        journal = Journal(call, "anna")
        await Gatekeeper(ORDER, desk, journal).ask()
        journal.note("call_gated", {})
        await store.calls.close(call, "failed", "", journal.pending())
    await store.policies.apply(CHANGED, "anna")
    (told, *_) = (await store.records.show_call(calls[0])).events
    assert told["fields"]["policy_sha256"] == sha256(POLICY.encode()).hexdigest()
    # whoever is shown masked numbers could tell from it which calls are one person's
    assert told["fields"]["number"] == NUMBER.masked
    assert not {"digest", "key_version"} & told["fields"].keys()
    assert [fault async for _, _, fault in store.seals.journals()] == [None] * 3
    written = CHANGED.replace("renewals", "surveys")
    changing = "UPDATE policy_revisions SET document = $1, sha256 = $2 WHERE revision = 1"
    await forge(database, changing, written, sha256(written.encode()).digest())
    found = [fault async for _, _, fault in store.seals.journals()]
    said = "revision 1 of the policy is not the one that the call was made under: its hash differs"
    assert found == [said, None, None]


async def test_the_consent_of_a_call_is_one_that_its_own_evidence_refuses(
    desk: Desk, store: Store, database: Database, tmp_path: Path
) -> None:
    """As the gate records it, and as the evidence reads it; another consent that somebody enters later is refused."""
    policy = POLICY.replace('"contract"', '"consent"')
    await store.policies.apply(policy, "anna")
    entering = (
        "INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, valid_until, proof, origin)"
        " SELECT controller, digest, key_version, 'renewals', 'phone', now() - $2::interval, now() + interval '1 year', 'form 7', 'anna'"
        " FROM calls WHERE id = $1 RETURNING id"
    )
    call = uuid4()
    journal = Journal(call, "anna")
    gate = Gatekeeper(ORDER, desk, journal)
    asked = uuid4()
    assert await Gatekeeper(ORDER, desk, Journal(asked, "anna")).ask() is Block.NO_CONSENT
    await database.rows(entering, asked, timedelta(days=9))
    terms = await gate.ask()
    assert isinstance(terms, Terms)
    journal.note("call_gated", {})
    assert await gate.spend_token(terms) is None
    journal.note("callee_dialled", {})
    journal.note("call_ended", {"outcome": "no_answer", "reason": ""})
    await journal.durably(lambda entries: store.calls.close(call, "no_answer", "", entries))
    (keys := SigningKeys(tmp_path / "signing")).create()
    prover = Prover(store.seals, keys, lambda _policy, _account: [])
    content, _ = prover.pack(await prover.sealed(str(call)))
    assert verify(content, keys.all()).unproven == ()
    (later,) = await database.rows(entering, call, timedelta(days=3))
    await database.rows("UPDATE consent_uses SET consent_id = $1", later["id"])
    with pytest.raises(EvidenceError, match="of which the gate did not know"):
        prover.pack(await prover.sealed(str(call)))


async def test_a_call_is_made_under_a_policy_that_was_replaced(desk: Desk, store: Store) -> None:
    before = await ask(desk)
    await store.policies.apply(CHANGED, "anna")
    after = await ask(desk)
    assert isinstance(before, Terms)
    assert isinstance(after, Terms)
    assert (before.opened.revision, before.campaign.legal_basis) == (1, LegalBasis.CONTRACT)
    assert (after.opened.revision, after.campaign.legal_basis) == (2, LegalBasis.LEGITIMATE_INTEREST)
    shown = await store.records.show_call(after.opened.id)
    assert (shown.call["revision"], shown.call["legal_basis"]) == (2, "legitimate_interest")
    assert desk.book.revision == 2


async def test_the_journal_of_a_call_tells_of_another_basis_than_its_row_or_of_none(
    desk: Desk, store: Store
) -> None:
    await store.policies.apply(CHANGED, "anna")
    journal = Journal(uuid4(), "anna")
    assert isinstance(await Gatekeeper(ORDER, desk, journal).ask(), Terms)
    journal.note("call_gated", {})
    ((row,), fields) = await store.records.list_calls(1), journal.pending()[0].fields
    told = {name: str(row[name]) for name in ("controller", "campaign", "legal_basis", "revision")}
    assert told.items() <= fields.items()
    # with what the verdict rests on
    assert fields["attempts"] == "0 0 0"
    assert (told["legal_basis"], told["revision"]) == ("legitimate_interest", "2")


async def test_a_campaign_that_was_declared_a_moment_ago_is_unknown_or_one_that_was_dropped_is_called(
    desk: Desk, store: Store
) -> None:
    assert await ask(desk, "surveys") is Block.UNKNOWN_CAMPAIGN
    await store.policies.apply(OTHER, "anna")
    assert isinstance(await ask(desk, "surveys"), Terms)
    assert await ask(desk) is Block.UNKNOWN_CAMPAIGN
    await store.policies.apply(POLICY, "anna")
    # the service knows the second revision, which has the campaign; the third drops it
    assert await ask(desk, "surveys") is Block.UNKNOWN_CAMPAIGN


async def test_a_number_in_the_place_of_the_campaign_is_kept_or_a_campaign_under_another_name(
    desk: Desk, store: Store
) -> None:
    await store.policies.apply(POLICY.replace('"renewals"', '"offers-20261001"'), "anna")
    assert isinstance(await ask(desk, "offers-20261001"), Terms)
    for written in (NUMBER.e164, "600 100 001", "+48-600-100-001"):
        assert await ask(desk, written) is Block.UNKNOWN_CAMPAIGN
    assert (
        await ask(replace(desk, prompts=cast("Any", Speechless())), "offers-20261001")
        is Block.PROMPTS_MISSING
    )
    kept = [row["campaign"] for row in await store.records.list_calls(5)]
    assert kept == ["offers-20261001", "…", "…", "…", "offers-20261001"]


async def test_a_call_is_made_before_there_are_copies_of_what_it_plays(desk: Desk) -> None:
    prompts = Copied()
    assert isinstance(await ask(replace(desk, prompts=cast("Any", prompts))), Terms)
    assert prompts.kept == ["renewals"]


async def test_a_bar_under_a_secret_that_was_made_since_the_gate_does_not_stop_the_dial(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    asked = gatekeeper(desk)
    terms = await asked.ask()
    assert isinstance(terms, Terms)
    elsewhere = SecretStore(tmp_path)
    assert new_secret(elsewhere, "acme") == 2
    await store.suppressions.add("acme", elsewhere.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", "")
    assert await asked.spend_token(terms) is Block.SUPPRESSED_ERASURE


async def test_a_listing_under_a_secret_that_was_made_since_the_gate_does_not_stop_the_dial(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    """Somebody has meanwhile loaded the register anew, on another node."""

    async def load(number: Number) -> None:
        elsewhere = SecretStore(tmp_path)
        new_secret(elsewhere, "robinson", "register")
        copy, key = Copy("robinson", datetime.now(UTC), "anna"), elsewhere.register_keys("robinson")[-1]
        await store.registers.load(copy, key, batches(Listed(number, None, None)), lambda: bytes(32))

    await store.policies.apply(HEEDING, "anna")
    await load(numbers(2)[-1])
    asked = gatekeeper(desk)
    terms = await asked.ask()
    assert isinstance(terms, Terms)
    await load(NUMBER)
    assert await asked.spend_token(terms) is Block.SUPPRESSED_REGISTER


async def test_while_a_sound_is_missing_a_barred_number_is_told_of_otherwise_than_the_pages_say(
    desk: Desk, store: Store
) -> None:
    """docs/policy.md and docs/pbx.md: a call is then not even looked up, but a question is."""
    await store.suppressions.add("acme", desk.secrets.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", "")
    speechless = replace(desk, prompts=cast("Any", Speechless()))
    asked = await Inquiry(desk.book, store.calls, desk.secrets, speechless.prompts).answer(
        NUMBER.e164, "renewals"
    )
    assert await ask(speechless) is Block.PROMPTS_MISSING
    assert asked["reason"] is Block.SUPPRESSED_ERASURE


async def test_the_token_of_a_call_that_may_be_made_is_kept_back_or_spent_twice(desk: Desk) -> None:
    asked = gatekeeper(desk)
    terms = await asked.ask()
    assert isinstance(terms, Terms)
    assert [await asked.spend_token(terms) for _ in range(2)] == [None, Block.TOKEN_SPENT]


async def test_what_the_dial_rests_on_is_told_as_it_was_at_the_gate(desk: Desk, store: Store) -> None:
    journal = Journal(uuid4(), "anna")
    keeper = Gatekeeper(ORDER, desk, journal)
    terms = await keeper.ask()
    assert isinstance(terms, Terms)
    journal.note("call_gated", {})
    await store.suppressions.add("acme", terms.opened.digests, Reason.OBJECTION_MARKETING, "cli:anna", "")
    assert await keeper.spend_token(terms) is None
    journal.note("callee_dialled", {})
    (entry,) = journal.pending()
    assert (entry.fields or {})["bars"].startswith("objection_marketing since ")


CAPPED = POLICY.replace(
    "[campaigns.recording]",
    'agent = "PJSIP/queue@agents"\nabandoned = { max_percent = 3 }\n[campaigns.recording]',
)


async def asked(desk: Desk, direction: Direction) -> tuple[Terms | Block, Gatekeeper]:
    call, order = uuid4(), Order(direction, NUMBER.e164, "renewals", "anna")
    keeper = Gatekeeper(order, desk, Journal(call, "anna"))
    return await keeper.ask(), keeper


async def abandon(desk: Desk, store: Store) -> None:
    """Ring a callee who finds nobody there."""
    await store.policies.apply(CAPPED, "anna")
    terms, keeper = await asked(desk, Direction.CALLEE_FIRST)
    assert isinstance(terms, Terms)
    assert await keeper.spend_token(terms) is None
    await store.calls.commit_heard(terms.opened.id, "1", None, ())
    await store.calls.close(terms.opened.id, "failed", "abandoned", ())


async def test_a_campaign_whose_callees_found_nobody_calls_on_as_fast(desk: Desk, store: Store) -> None:
    await abandon(desk, store)
    assert (await asked(desk, Direction.CALLEE_FIRST))[0] is Block.ABANDONED_CAPPED
    # an agent who is on the line already is nobody to wait for
    assert isinstance((await asked(desk, Direction.AGENT_FIRST))[0], Terms)


async def an_hour_passes(database: Database) -> None:
    await database.rows(
        "UPDATE calls SET dialled_at = dialled_at - $1::interval, let_through_at = let_through_at - $1::interval",
        timedelta(hours=1),
    )


async def test_calls_that_ask_at_once_hold_each_other_up_or_are_all_let_through(
    desk: Desk, store: Store, database: Database
) -> None:
    await abandon(desk, store)
    for _ in range(2):
        # those that are refused have not ended yet when the next ones ask
        await an_hour_passes(database)
        answers = await asyncio.gather(*(asked(desk, Direction.CALLEE_FIRST) for _ in range(12)))
        refused = [answer for answer, _ in answers if not isinstance(answer, Terms)]
        assert refused == [Block.ABANDONED_CAPPED] * 11


async def test_a_call_that_was_let_through_and_never_dialled_holds_others_up_for_ever(
    desk: Desk, store: Store, database: Database
) -> None:
    await abandon(desk, store)
    await an_hour_passes(database)
    terms, _ = await asked(desk, Direction.CALLEE_FIRST)
    assert isinstance(terms, Terms)
    assert (await asked(desk, Direction.CALLEE_FIRST))[0] is Block.ABANDONED_CAPPED
    await store.calls.close(terms.opened.id, "failed", "create_failed", ())
    assert isinstance((await asked(desk, Direction.CALLEE_FIRST))[0], Terms)


async def test_a_call_that_nobody_can_be_connected_to_is_begun(desk: Desk) -> None:
    assert (await asked(desk, Direction.CALLEE_FIRST))[0] is Block.NO_DESTINATION


async def test_somebody_whose_number_is_withheld_is_turned_away(desk: Desk, store: Store) -> None:
    await store.policies.apply(CAPPED, "anna")
    call, order = uuid4(), Order(Direction.INBOUND, "anonymous", "renewals", "anna", channel="channel")
    keeper = Gatekeeper(order, desk, Journal(call, "anna"))
    terms = await keeper.admit()
    assert isinstance(terms, Terms)
    assert (terms.number, terms.opened.number_masked, terms.inbound) == (None, "—", True)
    assert await store.calls.past_of(terms.opened) == Past()


async def test_somebody_who_is_barred_from_being_called_is_turned_away(desk: Desk, store: Store) -> None:
    await store.policies.apply(CAPPED, "anna")
    terms, _ = await asked(desk, Direction.AGENT_FIRST)
    assert isinstance(terms, Terms)
    await store.suppressions.add("acme", terms.opened.digests, Reason.ERASURE, "test", "")
    assert (await asked(desk, Direction.AGENT_FIRST))[0] is Block.SUPPRESSED_ERASURE
    call, order = uuid4(), Order(Direction.INBOUND, NUMBER.e164, "renewals", "anna", channel="channel")
    assert isinstance(await Gatekeeper(order, desk, Journal(call, "anna")).admit(), Terms)


async def test_what_happens_in_a_talk_that_goes_on_is_logged_as_the_campaigns_agents_not_the_colleagues(
    desk: Desk, store: Store
) -> None:
    await store.policies.apply(CAPPED, "anna")
    await desk.book.reload()
    policy, call = desk.book.policy, uuid4()
    assert policy is not None
    order = Order(Direction.INBOUND, NUMBER.e164, "renewals", "jan", channel="channel")
    left = LeftTalk(
        call, "inbound", "queue", "renewals", 2, "v1", {"informed": False, "language": ""}, recordings=0
    )
    journal = Journal(call, "jan")
    terms = await Drafter(order, desk, journal).resumed(policy, left)
    with capture_logs() as logged:
        journal.note("talk_resumed", {})
    assert (terms.opened.agent, logged[0]["agent"]) == ("jan", "jan")


@pytest.mark.parametrize(("informed", "language", "goes_on_in"), [(True, "en", "en"), (False, "", "pl")])
async def test_a_talk_that_goes_on_forgets_what_was_heard_in_it_or_writes_no_journal(
    desk: Desk, *, informed: bool, language: str, goes_on_in: str
) -> None:
    policy, journal = desk.book.policy, Journal(uuid4(), "anna")
    assert policy is not None
    kept = {"informed": informed, "language": language}
    left = LeftTalk(journal.call_id, "outbound", "anna", "renewals", 1, "v1", kept, recordings=0)
    terms = await Drafter(ORDER, desk, journal).resumed(policy, left)
    assert (terms.proven_version, terms.informed, terms.language) == ("v1", informed, goes_on_in)
    assert (terms.opened.revision, journal.is_open) == (1, True)


@pytest.mark.parametrize(
    ("number", "direction", "block"),
    [
        ("12", Direction.OUTBOUND, Block.NUMBER_INVALID),
        (NUMBER.e164, Direction.CALLEE_FIRST, Block.NO_DESTINATION),
    ],
)
async def test_a_call_of_a_known_campaign_is_blocked_without_a_word_of_which(
    desk: Desk, number: str, direction: Direction, block: Block
) -> None:
    call, order = uuid4(), Order(direction, number, "renewals", "anna")
    journal = Journal(call, "anna")
    assert await Gatekeeper(order, desk, journal).ask() is block
    with capture_logs() as logged:
        journal.note("call_blocked", {"reason": block.value})
    told = [logged[0].get(name) for name in ("campaign", "controller", "legal_basis")]
    assert told == ["renewals", "acme", "contract"]


class Away:
    """A store whose database gives no answer to the gate."""

    def __init__(self, store: CallStore) -> None:
        self.open_refused = store.open_refused

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        raise StoreError("away")


@pytest.mark.parametrize("why", ["number", "destination", "sounds", "database"])
async def test_the_calls_of_a_controller_lack_those_that_were_blocked_before_the_gate_was_asked(
    desk: Desk, store: Store, why: str
) -> None:
    """Such as to a number that is none: whoever answers for the controller would not see that they were tried. Or they are under
    the terms that the policy had when the service last read it.
    """
    await store.policies.apply(CHANGED, "anna")
    if why == "database":
        await desk.book.reload()
    direction = Direction.CALLEE_FIRST if why == "destination" else Direction.OUTBOUND
    desk = {
        "sounds": replace(desk, prompts=cast("Any", Speechless())),
        "database": replace(desk, store=cast("Any", Away(store.calls))),
    }.get(why, desk)
    journal = Journal(uuid4(), "anna")
    asked = Gatekeeper(
        Order(direction, "12" if why == "number" else NUMBER.e164, "renewals", "anna"), desk, journal
    )
    try:
        block = await asked.ask()
    except StoreError:
        block = Block.STORE_UNAVAILABLE
    assert isinstance(block, Block)
    journal.note("call_blocked", {"reason": block.value})
    await asked.put_on_record()
    journal.note("call_ended", {"outcome": "blocked", "reason": block.value})
    await journal.durably(lambda entries: store.calls.close(journal.call_id, "blocked", block.value, entries))
    (row,) = await store.records.list_calls(5, WantedCalls(controllers=["acme"]))
    under = ("controller", "campaign", "legal_basis", "revision")
    assert [row[each] for each in ("id", *under)] == [
        journal.call_id,
        "acme",
        "renewals",
        "legitimate_interest",
        2,
    ]
    # and its sealed journal says so too
    account = await store.seals.of_call(journal.call_id)
    assert not {*under, "direction"} & {*unproven_of_call(account.journal, account.subject)}
    assert [fault async for _, _, fault in store.seals.journals()] == [None] * 2
    assert policy_of_call(account.journal) == ("2", sha256(CHANGED.encode()).hexdigest())


async def test_a_call_under_no_campaign_is_put_on_record_as_a_controllers_or_with_a_journal_that_differs(
    desk: Desk, store: Store
) -> None:
    """Its campaign was declared when the service last read the policy, for an agent whom it did not name."""
    await store.policies.apply(OTHER, "anna")
    journal = Journal(uuid4(), "anna")
    order = Order(Direction.CALLEE_FIRST, NUMBER.e164, "renewals", "anna")
    assert await Gatekeeper(order, desk, journal).ask() is Block.UNKNOWN_CAMPAIGN
    journal.note("call_blocked", {"reason": "unknown_campaign"})
    await journal.durably(
        lambda entries: store.calls.close(journal.call_id, "blocked", "unknown_campaign", entries)
    )
    record = await store.records.show_call(journal.call_id)
    assert (record.call["controller"], record.call["revision"], record.fault) == (None, None, None)


@pytest.mark.parametrize(
    ("why", "block", "revision"),
    [("number", Block.NUMBER_INVALID, 1), ("sounds", Block.PROMPTS_MISSING, 1), ("database", Block.STORE_UNAVAILABLE, None)],
)  # fmt: skip
async def test_a_call_that_is_refused_on_a_database_that_was_restored_leaves_no_record(
    desk: Desk, store: Store, database: Database, why: str, block: Block, revision: int | None
) -> None:
    """The policy that the service has read was applied after the copy was made, and so no row can name it."""
    await restored_since(desk, store, database)
    desk = {
        "sounds": replace(desk, prompts=cast("Any", Speechless())),
        "database": replace(desk, store=cast("Any", Away(store.calls))),
    }.get(why, desk)
    journal = Journal(uuid4(), "anna")
    order = Order(Direction.OUTBOUND, "12" if why == "number" else NUMBER.e164, "renewals", "anna")
    asked = Gatekeeper(order, desk, journal)
    if why == "database":
        with pytest.raises(StoreError, match="away"):
            await asked.ask()
    else:
        assert await asked.ask() is block
    journal.note("call_blocked", {"reason": block.value})
    if why == "database":
        await asked.put_on_record()
    await journal.durably(lambda entries: store.calls.close(journal.call_id, "blocked", block.value, entries))
    record = await store.records.show_call(journal.call_id)
    under = [record.call[each] for each in ("controller", "campaign", "revision")]
    assert (under, record.fault) == (["acme", "renewals", revision], None)
    assert [fault async for _, _, fault in store.seals.journals()] == [None] * 2


async def test_nobody_is_called_on_a_database_that_was_restored_until_the_policy_is_read_again(
    desk: Desk, store: Store, database: Database
) -> None:
    await restored_since(desk, store, database)
    terms = await ask(desk)
    assert isinstance(terms, Terms)
    assert (terms.opened.revision, terms.campaign.legal_basis) == (1, LegalBasis.CONTRACT)


async def restored_since(desk: Desk, store: Store, database: Database) -> None:
    """The service has read a policy, and then the database is one in which it was never applied."""
    await store.policies.apply(CHANGED, "anna")
    await desk.book.reload()
    await forge(database, "DELETE FROM policy_revisions WHERE revision = 2")


class CutOff(PostgresCallStore):
    """The connection breaks off when the row was written a second time, before the answer has come."""

    relay: Relay
    times = 0

    async def open(self, *arguments: Any) -> Any:
        self.times += 1
        if self.times == 1:
            return await super().open(*arguments)
        self.relay.hold_up()
        writing = asyncio.create_task(super().open(*arguments))
        await self.relay.withheld.wait()
        self.relay.cut()
        self.relay.go_on()
        return await writing


async def test_a_row_that_was_written_anew_and_whose_answer_was_lost_is_said_to_differ_from_its_journal(
    desk: Desk, store: Store, dsn: str
) -> None:
    """A newer policy was applied, so the gate was asked again; whether under that one the row was written, nobody knows."""
    await store.policies.apply(CHANGED, "anna")
    async with relayed(dsn) as (url, relay), as_it_is(url, 1, SESSION) as behind:
        calls = CutOff(behind)
        calls.relay = relay
        journal = Journal(uuid4(), "anna")
        with pytest.raises(StoreError, match=r"lost|in time"):
            await Gatekeeper(ORDER, replace(desk, store=calls), journal).ask()
    journal.note("call_blocked", {"reason": "store_unavailable"})
    await journal.durably(
        lambda entries: store.calls.close(journal.call_id, "blocked", "store_unavailable", entries)
    )
    record = await store.records.show_call(journal.call_id)
    assert (record.call["revision"], record.call["legal_basis"]) == (2, "legitimate_interest")
    assert record.fault is None
    # what both policies say of it is proven
    account = await store.seals.of_call(journal.call_id)
    unproven = {*unproven_of_call(account.journal, account.subject)}
    assert unproven & {*OF_CALL} == {"legal_basis", "revision"}
