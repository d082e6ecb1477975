"""Whom the policy file names beside its campaigns: the controllers, and the registers of objections."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, HttpUrl, field_validator

from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declared import Contradiction, Count, Declared, Flag, Identifier, Words, spelt
from ccari.policy.retention import Limited


def sealed(url: HttpUrl) -> HttpUrl:
    """A webhook's address, if nobody on the way can read what is sent there. Raises ValueError, in words."""
    if url.scheme != "https" and url.host not in {"127.0.0.1", "localhost", "[::1]"}:
        raise ValueError("must be https: what is sent is about people")
    if url.username or url.password:
        raise ValueError("must hold no user and password: what is sent is signed with a secret")
    return url


#: Art 5(1)(e): so many, and not for good.
Days = Annotated[Count, Field(ge=30, le=3660)]


class Forwarding(Declared):
    """How a centre that is the processor passes requests on to the controller at once, Art 28(3)(e).

    ``url``: a webhook that takes signed JSON (Standard Webhooks); its secret lies with the controller's keys.
    ``folder``: where a JSON file per request is dropped.
    """

    url: HttpUrl | None = None
    folder: Annotated[str, spelt(r"/[^\x00]*", "must be a whole path such as /srv/requests")] | None = None

    @field_validator("url")
    @classmethod
    def _sealed(cls, value: HttpUrl | None) -> HttpUrl | None:
        return None if value is None else sealed(value)

    def contradictions(self) -> Iterator[Contradiction]:
        if self.url is None and self.folder is None:
            yield Contradiction((), "needs a url or a folder")


class Controller(Declared):
    """Who decides why people are called (Art 4(7)); everything of a call belongs to one controller.

    ``calls_days``: so long after its end a call tells whose it was; ``requests_days``: so long after it was closed a request
    does; ``contacts_days``: so long a contact is kept that no list has, and nobody calls. Left out: until the person has it
    erased.
    """

    id: Identifier
    name: Words
    country: str
    dpo: Words
    calls_days: Days | None = None
    requests_days: Days | None = None
    contacts_days: Days | None = None
    forward: Forwarding | None = None

    def days(self, limited: Limited) -> int | None:
        """The limit of what is kept of one kind; None if it has none."""
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

    ``max_age_days``: a campaign that needs it does not dial when the copy is older. ``consent_overrides``: a consent to
    the campaign's purpose that is newer than the listing goes before it.
    """

    id: Identifier
    name: Words
    max_age_days: Annotated[Count, Field(ge=1, le=366)] = 31
    consent_overrides: Flag = False
