"""Controllers and registers of objections, as the policy file declares them."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, HttpUrl, field_validator

from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declared import Contradiction, Count, Declared, Flag, Identifier, Words, spelt
from ccari.policy.retention import Limited


def sealed(url: HttpUrl) -> HttpUrl:
    """Check that nobody on the way can read what is sent to a webhook's address. Raises ValueError with words for the person who
    wrote it.
    """
    if url.scheme != "https" and url.host not in {"127.0.0.1", "localhost", "[::1]"}:
        raise ValueError("must be https: personal data is sent there")
    if url.username or url.password:
        raise ValueError("must not contain a user and password: messages are signed with a secret instead")
    return url


#: Art 5(1)(e): so many, and not for good.
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


class Controller(Declared):
    """Whoever decides why people are called (Art 4(7)). Every call belongs to one controller.

    ``calls_days``: for how many days after its end a call keeps on record whose it was; ``requests_days``: the same of a request after
    it was closed; ``contacts_days``: for how many days a contact is kept that no list contains and nobody calls; ``consents_days``: for
    how many days after its end a consent is kept. Left out: until the person has it erased.
    """

    id: Identifier
    name: Words
    country: str
    dpo: Words
    calls_days: Days | None = None
    requests_days: Days | None = None
    contacts_days: Days | None = None
    consents_days: Days | None = None
    forward: Forwarding | None = None

    def days(self, limited: Limited) -> int | None:
        """The limit of what is kept of one kind (``retention.OF_CONTROLLERS``); None if it has none."""
        days: int | None = getattr(self, limited.setting)
        return days

    @field_validator("country")
    @classmethod
    def _known_country(cls, value: str) -> str:
        if value not in TIME_ZONES:
            raise ValueError(f"must be one of {', '.join(sorted(TIME_ZONES))}")
        return value


class Register(Declared):
    """A register of people who want no advertising, such as the Lista Robinsonów or a national Do Not Call list.

    ``max_age_days``: a campaign that heeds the register does not dial if its copy is older. ``consent_overrides``: a consent to
    the campaign's purpose takes precedence over an older listing.
    """

    id: Identifier
    name: Words
    max_age_days: Annotated[Count, Field(ge=1, le=366)] = 31
    consent_overrides: Flag = False
