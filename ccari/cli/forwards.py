"""``ccari requests forwards``, ``forward`` and ``webhook-secret``: passes requests on to their controllers."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ccari import log
from ccari.cli.context import ControllerId, Json, Limit, actor, current_policy, with_store
from ccari.cli.output import as_list
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.forward.secret import WebhookSecrets
from ccari.office.dossiers import forwarded_to
from ccari.office.naming import the_controller
from ccari.store.opened import Store
from ccari.store.policies import Book

if TYPE_CHECKING:
    from ccari.forward.courier import Told

Reference = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="The reference, as requests list shows it.",
        parser=lambda text: text.strip().upper(),
    ),
]


def queue(
    context: typer.Context,
    *,
    retry: Annotated[
        str | None,
        typer.Option(
            metavar="REF|CONTROLLER",
            help="Try again at once the messages of this request, or to this controller, that were given up, or wait for their next try.",
        ),
    ] = None,
    told: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Settle the messages of this request that were given up: its controller was told in another way.",
        ),
    ] = None,
    how: Annotated[
        str, typer.Option(help="With --told: how and when; kept in the history of the request.")
    ] = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List messages to controllers: those that were given up first, then those that wait, and those that were
    delivered.
    """
    if (told is not None) != bool(how.strip()):
        raise typer.BadParameter(
            "say how the controller was told" if told is not None else "only with --told", param_hint="--how"
        )
    if told is not None and retry is not None:
        raise typer.BadParameter("not with --retry", param_hint="--told")

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        revision = await store.policies.newest()
        policy = revision.policy if revision else None
        if retry is not None and policy is not None and policy.controller(retry.strip()) is not None:
            if not await store.forwards.retry_all(retry.strip()):
                raise _nothing_to_retry(f"to {retry.strip()!r}")
        elif retry is not None:
            await _retry(store, retry.strip().upper())
        if told is not None:
            reference = told.strip().upper()
            if not await store.forwards.told(reference, actor(), how.strip()):
                raise CcariError(f"no message about {reference!r} was given up: see ccari requests forwards")
        return await store.forwards.list(forwarded_to(policy), limit)

    rows = with_store(context, work)
    columns = {
        "reference": "REFERENCE", "seq": "CHANGE", "state": "STATE", "tries": "TRIES", "queued_at": "SINCE",
        "next_try_at": "NEXT TRY", "settled_at": "SETTLED", "fault": "FAULT",
    }  # fmt: skip
    as_list(rows, columns, json=json, none="there is nothing to forward", limit=limit)


async def _retry(store: Store, reference: str) -> None:
    numberless = await store.forwards.without_number(reference)
    if not await store.forwards.retry(reference):
        raise _nothing_to_retry(f"about {reference!r}")
    if numberless:
        typer.echo(
            f"{reference} is closed and its number erased: the controller is sent the request without the number; tell the controller yourself who it is",
            err=True,
        )


def _nothing_to_retry(which: str) -> CcariError:
    return CcariError(
        f"no message {which} was given up or waits for more than two minutes: see ccari requests forwards"
    )


def deliver(context: typer.Context, *, json: Json = False) -> None:
    """Send the messages that are due to controllers, once. A running service does this by itself. Exit status 1
    if one failed.
    """

    async def work(settings: Settings, store: Store) -> list["Told"]:
        # imported here, so that the other commands of this module start sooner
        from ccari.app.messengers import open_courier  # noqa: PLC0415

        # the table shows what the service would log
        log.configure("console", "critical", sys.stderr)
        results: list[Told] = []
        async with open_courier(settings, store, Book(store.policies)) as courier:
            while True:
                latest = await courier.deliver()
                results += latest
                # a controller that did not accept a message is not tried again now; if none was delivered, there is nothing more to do
                if all(each.fault for each in latest):
                    return results

    results = with_store(context, work)
    rows: list[dict[str, Any]] = [
        {"reference": each.reference, "seq": each.seq, "controller": each.controller, "tries": each.tries,
         "state": "given_up" if each.given_up else "waiting" if each.fault else "delivered",
         "ways": each.ways, "status": each.status, "fault": each.fault}
        for each in results
    ]  # fmt: skip
    columns = {
        "reference": "REFERENCE", "seq": "CHANGE", "state": "STATE", "ways": "BY", "status": "STATUS",
        "tries": "TRIES", "fault": "FAULT",
    }  # fmt: skip
    as_list(rows, columns, json=json, none="there is nothing to forward")
    failed = sum(1 for each in results if each.fault)
    if failed:
        raise CcariError(f"{failed} of {len(results)} could not be forwarded: see ccari requests forwards")


def secret(context: typer.Context, *, controller: ControllerId = None) -> None:
    """Make the secret for signing a controller's webhook, if there is none. It is not printed."""

    async def work(settings: Settings, store: Store) -> str:
        whose = the_controller(await current_policy(store), controller).id
        secrets = WebhookSecrets(settings.keys_dir)
        if secrets.create(whose):
            return f"{whose}: made, in {secrets.path(whose)}: give the controller its content in a safe way"
        secrets.read(whose)
        return f"{whose}: existed already, in {secrets.path(whose)}"

    typer.echo(with_store(context, work))
