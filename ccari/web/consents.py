"""Consents over HTTP: with their proof, and the calls that were made on them."""

from typing import Protocol

from ccari.office import withdrawing
from ccari.ports.lists import ConsentStore
from ccari.web.contacts import looked_up
from ccari.web.front import Ask, NumberPorts, Reply
from ccari.web.models.consents import ConsentAnswer, ConsentPage, ConsentsQuery, WithdrawalBody, Withdrawn
from ccari.web.paging import cursor, cut, id_in


class ConsentPorts(NumberPorts, Protocol):
    @property
    def consents(self) -> ConsentStore: ...


async def list_consents(ask: Ask[ConsentPorts]) -> Reply[ConsentPage]:
    """Consents, the newest entries first. Numbers are not stored, only digests."""
    query: ConsentsQuery = ask.query
    controllers, after = await ask.narrowed(query.controller), id_in(query.after)
    rows = await ask.front.consents.page(controllers, query.purpose, query.channel, query.limit + 1, after)
    page, then = cut(rows, query.limit, lambda row: cursor(row["id"]))
    return Reply(ConsentPage.model_validate({"items": page, "next": then}))


async def check(ask: Ask[ConsentPorts]) -> Reply[ConsentAnswer]:
    """A number's consents, and each call that was made on them."""
    whose = await looked_up(ask)
    rows = await ask.front.consents.of(whose.controller.id, whose.digests)
    return Reply(ConsentAnswer.model_validate({"consents": rows}))


async def withdraw(ask: Ask[ConsentPorts]) -> Reply[Withdrawn]:
    """Withdraw a number's consents, and bar the calls that rested on them until the person consents again (Art 7(3))."""
    body: WithdrawalBody = ask.body
    policy, front = await ask.policy_in_force(), ask.front
    asked = withdrawing.Withdrawal(body.number, body.controller, body.purpose, body.proof)
    done = await withdrawing.withdraw(policy, front.consents, await front.vouched(), asked, ask.who)
    return Reply(Withdrawn.model_validate(done))
