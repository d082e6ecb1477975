"""Calls, tags and rights to put into a store."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from secrets import token_bytes
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from ccari.keyring.secrets import Holder, Key, SecretStore
from ccari.policy import gate
from ccari.policy.chain import SALT_BYTES, Entry
from ccari.policy.declaration import read
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason, digest
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Digests
from ccari.ports.lists import Bar
from ccari.ports.recordings import RecordingTag, StoredFile
from ccari.ports.requests import Exercise

POLICY = """
[[controllers]]
id = "acme"
name = "ACME Sp. z o.o."
country = "PL"
dpo = "iod@acme.example"

[[campaigns]]
id = "renewals"
controller = "acme"
purpose = "odnowienie umowy"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{number}@trunk"
[campaigns.recording]
mode = "notice"
"""
#: Another controller, in another country.
OTHER = """
[[controllers]]
id = "other"
name = "Other GmbH"
country = "DE"
dpo = "dsb@other.example"

[[campaigns]]
id = "umfrage"
controller = "other"
purpose = "Umfrage"
legal_basis = "contract"
data_source = "Vertrag"
dial = "PJSIP/{number}@trunk"
[campaigns.recording]
mode = "off"
"""
#: Another campaign of the first, which asks for consent to be recorded.
AGREED = """
[[campaigns]]
id = "agreed"
controller = "acme"
purpose = "ankieta"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{number}@trunk"
[campaigns.recording]
mode = "opt_in"
[campaigns.keys]
"1" = "consent_recording"
"""
ASTERISK = "02:00:00:00:00:01@127.0.0.1:8088"
NUMBER = Number("+48600100001")
NOW = datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
QUESTION = Question("acme", "renewals", "renewals", "phone", LONG_AGO, LONG_AGO)
_CAMPAIGN = read(POLICY).campaigns[0]


def elsewhere(dsn: str, database: str) -> str:
    """The DSN of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def new_secret(store: SecretStore, name: str, kind: str = "controller") -> int:
    """Make the first or next secret of a controller or register, of which no database knows. Gives its version."""
    holder = Holder(kind, name)
    key = store.next_key(holder)
    store.add(holder, key)
    return key.version


def question(of: OpenedCall) -> Question:
    return replace(QUESTION, controller=of.controller, campaign=of.campaign)


def judge(facts: Facts) -> Block | None:
    """The law's verdict on a call of the policy's campaign."""
    return gate.verdict(_CAMPAIGN, (), "PL", NUMBER, facts, NOW)


def digests(controller: str = "acme", number: Number = NUMBER) -> Digests:
    made = digest(controller.encode().ljust(32, b"."), number)
    return Digests(made, 1, (made,))


def key(controller: str = "acme") -> Key:
    """The secret that :func:`digests` are made with."""
    return Key(1, controller.encode().ljust(32, b"."))


def numbers(count: int) -> list[Number]:
    """All different, :data:`NUMBER` first."""
    return [Number(f"+48600{100001 + index}") for index in range(count)]


def bar(
    index: int = 0, *, reason: Reason = Reason.DO_NOT_CALL, campaign: str | None = None, proof: str = "",
    since: datetime = NOW, until: datetime | None = None,
) -> Bar:  # fmt: skip
    """A line of a list, for the index-th of :func:`numbers`."""
    return Bar(Number(f"+48600{100001 + index}"), reason, campaign, proof, "list", since, until)


def call(controller: str = "acme", *, number: Number = NUMBER, asterisk: str = ASTERISK) -> OpenedCall:
    return OpenedCall(
        id=uuid4(), token=uuid4(), asterisk=asterisk, agent="anna", number_masked=number.masked, revision=1,
        controller=controller, campaign="renewals", legal_basis="contract", keyed=digests(controller, number),
    )  # fmt: skip


KEPT = StoredFile(
    "acme/2026-11-25/x.flac.age", "flac", 1000, bytes(32), 9000, bytes([1]) * 32, ("age1one", "age1two"), silent=False
)  # fmt: skip


def tag(of: OpenedCall) -> RecordingTag:
    return RecordingTag(
        recording_id=uuid4(), call_id=of.id, controller=of.controller, campaign=of.campaign, revision=of.revision,
        purpose="odnowienie umowy", legal_basis="legitimate_interest", mode="notice", notice_version="v1",
        started_at=NOW, delete_at=NOW + timedelta(days=90),
    )  # fmt: skip


def exercise(right: Right = Right.ERASURE, *, year: int = 2026) -> Exercise:
    return Exercise(
        right=right, key="7", number=NUMBER.e164, received_at=NOW, due=date(year, 12, 25), local_year=year,
        notice_version="v1",
    )  # fmt: skip


def journal(*events: str, **fields: str) -> list[Entry]:
    """Entries for a call's journal, each with the same ``fields``; ``notice_heard`` is of the version ``v1``."""
    heard = {"notice_version": "v1"}
    return [
        Entry(
            datetime.now(UTC),
            event,
            (heard if event == "notice_heard" else {}) | fields,
            token_bytes(SALT_BYTES),
        )
        for event in events
    ]
