"""Controllers and registers of objections, as the policy file declares them."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, field_validator

from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declared import Contradiction, Count, Declared, Flag, Identifier, Words, spelt
from ccari.policy.retention import Limited


def sealed(url: HttpUrl) -> HttpUrl:
    """Check that nobody can intercept what is sent to a webhook's address. Raises ValueError with words for the author of the policy."""
    if url.scheme != "https" and url.host not in {"127.0.0.1", "localhost", "[::1]"}:
        raise ValueError("must be https: personal data is sent there")
    if url.username or url.password:
        raise ValueError("must not contain a user and password: messages are signed with a secret instead")
    return url


#: Art 5(1)(e): the most days; data are not kept for ever.
Days = Annotated[Count, Field(ge=30, le=3660)]


class Forwarding(Declared):
    """How a centre that is the processor passes requests on to the controller without delay, Art 28(3)(e).

    ``url``: a webhook that takes signed JSON (Standard Webhooks); its secret is kept with the controller's keys. ``folder``:
    each request is written there as a JSON file.
    """

    url: HttpUrl | None = None
    folder: Annotated[str, spelt(r"/[^\x00]*", "must be an absolute path such as /srv/requests")] | None = (
        None
    )

    @field_validator("url")
    @classmethod
    def _sealed(cls, value: HttpUrl | None) -> HttpUrl | None:
        return None if value is None else sealed(value)

    def contradictions(self) -> Iterator[Contradiction]:
        if self.url is None and self.folder is None:
            yield Contradiction((), "needs a url or a folder")


def _of_the_eea(country: str) -> str:
    if country not in TIME_ZONES:
        raise ValueError(f"must be one of {', '.join(sorted(TIME_ZONES))}")
    return country


class Recipient(Declared):
    """Somebody who gets data of the controller's from ccari: the centre itself, if it is the processor, or who works behind a webhook.

    Who asks is told each by name (Art 15(1)(c); CJEU C-154/21). ``data``: what they get, and what for. ``country``: two letters (ISO
    3166-1). ``safeguard``: what the transfer to a country outside the EEA rests on (Art 15(2), 45 to 49).
    """

    name: Words
    data: Words
    country: Annotated[str, spelt(r"[A-Z]{2}", "must be two capital letters, such as DE")]
    safeguard: Words | None = None

    @property
    def abroad(self) -> bool:
        """Whether the data leave the EEA."""
        return self.country not in TIME_ZONES

    def contradictions(self) -> Iterator[Contradiction]:
        if self.abroad and self.safeguard is None:
            yield Contradiction(
                ("safeguard",),
                f"{self.country} is not in the EEA: say what the transfer rests on, such as an adequacy decision or standard contractual "
                "clauses (Art 45 to 49)",
            )
        if not self.abroad and self.safeguard is not None:
            yield Contradiction(("safeguard",), f"{self.country} is in the EEA, where none is needed")


class Controller(Declared):
    """Whoever decides why people are called (Art 4(7)). Every call belongs to one controller.

    ``calls_days``: for how many days after its end a call keeps on record whose it was; ``requests_days``: the same of a request after
    it was closed; ``contacts_days``: for how many days a contact is kept that no list contains and nobody calls; ``consents_days``: for
    how many days after its end a consent is kept. Left out: until the person has it erased.
    """

    id: Identifier
    name: Words
    country: Annotated[str, AfterValidator(_of_the_eea)]
    dpo: Words
    calls_days: Days | None = None
    requests_days: Days | None = None
    contacts_days: Days | None = None
    consents_days: Days | None = None
    forward: Forwarding | None = None
    recipients: tuple[Recipient, ...] = ()

    def days(self, limited: Limited) -> int | None:
        """The limit for one kind of data (``retention.OF_CONTROLLERS``); None if it has none."""
        days: int | None = getattr(self, limited.setting)
        return days


class Register(Declared):
    """A register of people who want no advertising, such as the Lista Robinsonów or a national Do Not Call list.

    ``max_age_days``: a campaign that heeds the register does not dial if its copy is older. ``consent_overrides``: a consent to
    the campaign's purpose takes precedence over an older listing.
    """

    id: Identifier
    name: Words
    max_age_days: Annotated[Count, Field(ge=1, le=366)] = 31
    consent_overrides: Flag = False
