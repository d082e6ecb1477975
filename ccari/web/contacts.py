"""Contacts over HTTP: where a controller's numbers come from."""

from typing import Any, Protocol

from ccari.office.claimants import Claimant, known_to
from ccari.ports.accesses import Looked
from ccari.ports.lists import ContactStore
from ccari.web.front import Ask, NumberPorts, Reply
from ccari.web.models.contacts import ContactAnswer, ContactPage, ContactsQuery, NumberAsked
from ccari.web.paging import cursor, cut, id_in


class ContactPorts(NumberPorts, Protocol):
    @property
    def contacts(self) -> ContactStore: ...


async def list_contacts(ask: Ask[ContactPorts]) -> Reply[ContactPage]:
    """Contacts, the newest entries first. Numbers are not stored, only digests."""
    query: ContactsQuery = ask.query
    controllers, after = await ask.narrowed(query.controller), id_in(query.after)
    rows = await ask.front.contacts.page(controllers, query.source, query.limit + 1, after)
    page, then = cut(rows, query.limit, lambda row: cursor(row["id"]))
    return Reply(ContactPage.model_validate({"items": page, "next": then}))


async def check(ask: Ask[ContactPorts]) -> Reply[ContactAnswer]:
    """The sources that a controller has a number from. `known` is false if the number is not a contact."""
    whose = await looked_up(ask)
    rows: list[dict[str, Any]] = await ask.front.contacts.of(whose.controller.id, whose.digests)
    return Reply(ContactAnswer.model_validate({"known": bool(rows), "sources": rows}))


async def looked_up(ask: Ask[NumberPorts]) -> Claimant:
    """Whose number is asked about, of which controller. The look-up is put on record."""
    body: NumberAsked = ask.body
    policy = await ask.policy_in_force()
    whose = known_to(policy, await ask.front.vouched(), body.number, body.controller)
    await ask.note(Looked.NUMBER_CHECKED, whose.access_target, body.why)
    return whose
