"""Rights requests that come in otherwise than by key: by letter, by e-mail, or told to an agent."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from ccari.errors import InputError
from ccari.office import moments
from ccari.office.naming import campaign_of, the_controller, the_number, zone_of
from ccari.policy import deadlines
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.recording import RecordingMode
from ccari.policy.rights import APPLIES_SINCE, EFFECTS, Level, NumberFrom, Right, article, begins
from ccari.ports.keying import Digests, Secrets
from ccari.ports.requests import Entered, Exercise, Intake, RequestRegister


@dataclass(frozen=True, slots=True)
class Claim:
    """A request as entered, unchecked. ``received``: a day, or a moment, by the controller's clock; None:
    now. ``id``: repeated if the request is entered again because it is not known whether the first attempt
    worked; None if it is entered once.
    """

    right: Right
    number: str = field(repr=False)
    controller: str | None
    campaign: str | None
    received: str | None
    by: Intake
    level: Level
    note: str
    id: UUID | None = None


async def enter(
    policy: Policy, claim: Claim, register: RequestRegister, secrets: Secrets, who: str
) -> dict[str, Any]:
    """Register the request, with its immediate effect. A request with an ``id`` that is already registered is
    not registered again.

    Raises
    ------
    InputError
        If one of its fields is wrong.
    ConfigError, StoreError
        If it could not be made durable.
    """
    if claim.level is not Level.L0 and not claim.note.strip():
        raise InputError("note", f"{claim.level.name} needs a note that says how the person was identified")
    whose = the_controller(policy, claim.controller)
    about = campaign_of(policy, whose, claim.campaign)
    number = the_number(claim.number, whose)
    digests = secrets.digests(whose.id, number)
    before = await register.entered_as(claim.id) if claim.id is not None else None
    if before is not None and before.is_recent and _is_of(before, claim, whose, digests):
        return _told(before, number)
    at = _received(claim.received, whose, datetime.now(UTC))
    exercise = Exercise(
        right=claim.right, number=number.e164, received_at=at, due=deadlines.due(at, whose.country),
        local_year=deadlines.local_day(at, whose.country).year, language=about.language if about else None,
        purpose=about.purpose if about else None, consent_purpose=about.withdraws if about else None,
        consent_campaigns=policy.asking(whose.id, about.asks_consent_to) if about else (),
        recording_basis=_recording_basis(policy, whose, about, claim.right),
        intake=claim.by, number_from=NumberFrom.GIVEN, level=claim.level, who=who, note=claim.note.strip(),
        # if another request has that id, it was used twice by mistake
        id=claim.id if claim.id is not None and before is None else uuid4(),
    )  # fmt: skip
    reference = await register.add(
        whose.id, exercise, digests, about.id if about else None, at_once=claim.received is None
    )
    state = begins(claim.right, recorded=True)
    return _told(
        Entered(reference, whose.id, claim.right, state, claim.level, at, exercise.due, digests.newest),
        number,
    )


def _recording_basis(
    policy: Policy, whose: Controller, about: Campaign | None, right: Right
) -> LegalBasis | None:
    """The legal basis of the recording that is refused. It decides by which article the person is answered,
    and whether they may be refused. Without a campaign it is known if all recording campaigns lead to the
    same article; None if there are no campaigns.
    """
    if about is not None:
        return about.recording.legal_basis
    if right is not Right.REFUSE_RECORDING:
        return None
    campaigns = policy.campaigns_of(whose.id)
    # if no campaign records, somebody else does, such as the dialplan
    recorded = [each for each in campaigns if each.recording.mode is not RecordingMode.OFF] or campaigns
    bases = {article(right, each.recording.legal_basis): each.recording.legal_basis for each in recorded}
    if len(bases) > 1:
        known = ", ".join(each.id for each in recorded)
        raise InputError(
            "campaign",
            f"say which campaign: one of {known}; the legal basis of its recordings decides what the refusal is (Art 7(3), 17 or 21(1))",
        )
    return next(iter(bases.values()), None)


def _is_of(entered: Entered, claim: Claim, whose: Controller, digests: Digests) -> bool:
    """Whether the entered request is this claim: its id may have been reused for another one."""
    return (entered.controller, entered.right) == (whose.id, claim.right) and entered.digest in digests.all


def _told(entered: Entered, number: Number) -> dict[str, Any]:
    return {
        "reference": entered.reference, "controller": entered.controller, "right": entered.right, "number": number.masked,
        "state": entered.state, "received_at": entered.received_at, "due": entered.due, "level": entered.level.name,
        "barred": EFFECTS[entered.right].suppress,
    }  # fmt: skip


def _received(text: str | None, controller: Controller, now: datetime) -> datetime:
    if text is None:
        return now
    try:
        received = moments.past_day_end(text, zone_of(controller), now)
    except ValueError as error:
        raise InputError("received", str(error)) from None
    if received < APPLIES_SINCE:
        raise InputError("received", "it is before the GDPR, which has applied since 2018-05-25")
    return received
