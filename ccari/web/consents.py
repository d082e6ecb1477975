"""Consents over HTTP: with their proof, and the calls that were made on them."""

from datetime import UTC, datetime

from ccari.office.naming import purposes_of, the_controller, the_number
from ccari.web.contacts import looked_up
from ccari.web.front import Ask, Reply
from ccari.web.models.consents import ConsentAnswer, ConsentPage, ConsentsQuery, WithdrawalBody, Withdrawn
from ccari.web.paging import cursor, cut, id_in


async def list_consents(ask: Ask) -> Reply[ConsentPage]:
    """Consents, the newest entries first. Numbers are not stored, only digests."""
    query: ConsentsQuery = ask.query
    controllers, after = await ask.narrowed(query.controller), id_in(query.after)
    rows = await ask.front.consents.page(controllers, query.purpose, query.channel, query.limit + 1, after)
    page, then = cut(rows, query.limit, lambda row: cursor(row["id"]))
    return Reply(ConsentPage.model_validate({"items": page, "next": then}))


async def check(ask: Ask) -> Reply[ConsentAnswer]:
    """A number's consents, and each call that was made on them."""
    controller, digests = await looked_up(ask)
    rows = await ask.front.consents.of(controller.id, digests)
    return Reply(ConsentAnswer.model_validate({"consents": rows}))


async def withdraw(ask: Ask) -> Reply[Withdrawn]:
    """Withdraw a number's consents, and bar the calls that rested on them until the person consents again (Art 7(3))."""
    body: WithdrawalBody = ask.body
    policy = await ask.policy_in_force()
    controller = the_controller(policy, body.controller)
    number = the_number(body.number, controller)
    withdrawn = await ask.front.consents.withdraw(
        controller.id, (await ask.front.vouched()).digests(controller.id, number), datetime.now(UTC), purpose=body.purpose,
        purposes=purposes_of(policy, controller), origin=ask.who, proof=body.proof,
    )  # fmt: skip
    fields = {
        "controller": controller.id, "number": number.masked, "purpose": body.purpose, "consents_withdrawn": withdrawn,
    }  # fmt: skip
    return Reply(Withdrawn.model_validate(fields))
