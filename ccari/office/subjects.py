"""The person whose data are to be given out or erased, and whether the named request entitles to it."""

import re
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ccari.errors import InputError, RequestError
from ccari.office.claimants import known_to
from ccari.office.naming import the_controller, the_number
from ccari.policy import mandate as law
from ccari.policy.declaration import Policy
from ccari.policy.erasure import pattern
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller, Register
from ccari.policy.rights import Right
from ccari.ports.accesses import whose_number
from ccari.ports.holds import Subject
from ccari.ports.keying import Digests, Secrets
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage, Exported, Mandate, Subjects, Wanted


@dataclass(frozen=True, slots=True)
class IdentifiedPerson:
    """A person as one controller knows them. ``subject`` has the number's digests under each version of the
    secret that exists, or existed while the request was open; ``listed_as`` has those for the ``registers``
    that the controller heeds. ``language``: from :func:`language_of`.
    """

    mandate: Mandate
    controller: Controller
    number: Number
    subject: Subject = field(repr=False)
    registers: Sequence[Register]
    listed_as: Sequence[tuple[str, bytes]] = field(repr=False)
    language: AnswerLanguage

    @property
    def access_target(self) -> dict[str, str]:
        """Whose data is looked at, and on which request."""
        return {
            **whose_number(self.controller.id, self.subject.digests),
            "request": self.mandate.reference,
        }


class Answered(Protocol):
    """A request to be answered. ``language``: that of the call it was made in; None for a request in writing."""

    @property
    def controller(self) -> str: ...

    @property
    def language(self) -> str | None: ...


def language_of(request: Answered, policy: Policy | None) -> AnswerLanguage:
    """The language to answer the person in (Art 12(1)): that of the call in which they made the request. For a request in
    writing, the language of all the controller's campaigns. English if they have several, or if ccari has no letters in it.
    """
    spoken = {each.language for each in policy.campaigns_of(request.controller)} if policy else set[str]()
    wanted = request.language or (spoken.pop() if len(spoken) == 1 else None)
    return next((each for each in ANSWER_LANGUAGES if each == wanted), "en")


def wanted_of(of: IdentifiedPerson) -> Wanted:
    """Whose data are to be erased."""
    return Wanted(
        of.mandate, of.subject, of.number.e164, pattern(of.number), of.number.masked,
        forwarded=of.controller.forward is not None,
    )  # fmt: skip


async def identified_person(
    policy: Policy, subjects: Subjects, secrets: Secrets, number: str, controller: str | None, reference: str,
    rights: Collection[Right],
) -> IdentifiedPerson:  # fmt: skip
    """The person with ``number``, if the request is theirs, exercises one of the ``rights``, is open, and is
    identified as L2.

    Raises
    ------
    RequestError
        If there is no such request, or it does not entitle to this; the message says why.
    InputError, ConfigError, StoreError
        If the number or the controller does not exist, a secret is missing, or the database fails.
    """
    mandate = await subjects.mandate(reference)
    known = known_to(policy, secrets, number, mandate.controller if controller is None else controller)
    whose, digests = known.controller, known.digests
    fault = law.fault(
        rights, mandate.right, mandate.state, mandate.level, same_controller=whose.id == mandate.controller,
        same_number=bool(set(digests.all) & set(mandate.digests)), begun=mandate.begun,
    )  # fmt: skip
    if fault is not None:
        words = mandate.right.replace("_", " ") if fault is law.MandateFault.RIGHT else ""
        raise RequestError(
            f"{mandate.reference} does not allow this: {fault}{f' ({words})' if words else ''}"
        )
    digests_ever = tuple(dict.fromkeys((*digests.all, *mandate.digests)))
    subject = Subject(whose.id, Digests(digests.newest, digests.key_version, digests_ever))
    registers = policy.registers_heeded_by(whose.id)
    listed_as = secrets.listed_as((each.id for each in registers), known.number)
    return IdentifiedPerson(
        mandate, whose, known.number, subject, registers, listed_as, language_of(mandate, policy)
    )


def subject_to_hold(
    policy: Policy, secrets: Secrets, number: str, controller: str | None, reason: str
) -> Subject:
    """Whose recordings to hold, for a ``reason`` that is stored.

    Raises
    ------
    InputError, ConfigError
        If the number or the controller does not exist, the reason quotes the number, or a secret is missing.
    """
    whose = the_controller(policy, controller)
    parsed = the_number(number, whose)
    if re.search(pattern(parsed), reason):
        raise InputError(
            "reason", "it contains the number, of which only the keyed digest may be kept: leave it out"
        )
    return Subject(whose.id, secrets.digests(whose.id, parsed))


def refuse_unregistered(own: int) -> None:
    """Raise RequestError if so many rights of this person are on this node and not registered yet."""
    if own:
        raise RequestError(
            f"rights that they pressed wait on this node ({own}): register them by ccari requests replay --aside, then try again"
        )


class SubjectWork(Protocol):
    """Everything kept about a person, as programs get it. Each method raises StoreError."""

    def export(
        self, of: IdentifiedPerson, language: AnswerLanguage | None = None
    ) -> AbstractAsyncContextManager[Exported]:
        """A file of everything kept, without the recordings that only the holder of a key can open. It is
        deleted when the context ends. ``language``: of the page in it; None: the person's.

        Raises RequestError while a right that they pressed is not registered yet, ConfigError if this node cannot tell whether a register
        lists them, and RecordingDelayed if the disk does not answer.
        """
        ...

    async def note(self, of: IdentifiedPerson, who: str, done: str) -> None:
        """Note in the request's journal what was ``done`` on it. Raises RequestError if it was closed meanwhile, or the identity's level was
        changed.
        """
        ...

    async def plan(self, of: IdentifiedPerson, *, keep_proof: bool) -> dict[str, Any]:
        """What an erasure would erase, and what it would keep and why. Raises AllKeptError if it would keep everything."""
        ...
