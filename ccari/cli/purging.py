"""The ``purge`` commands, for data with a limit in days."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ccari.cli.context import actor, vouched, with_store
from ccari.cli.output import as_json, as_table, watched
from ccari.config import Settings
from ccari.errors import ExpiryError
from ccari.office.limits import Expired, expire, past
from ccari.policy.limits import Limit, sparing, standing
from ccari.policy.retention import OF_CONTROLLERS, Limited
from ccari.store.opened import Store

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only show what would be done.")]


def purging(context: typer.Context, limited: Limited, *, yes: bool, json: bool) -> None:
    """Expire data past the limits of one kind, by the policy in force, if ``yes``; print what went, or would go, and what is kept and
    why. Raises ExpiryError if a controller's open requests cannot be extended: then nothing that they may need goes.
    """

    async def work(settings: Settings, store: Store) -> tuple[dict[Limit, Expired], dict[str, str]]:
        now, found = datetime.now(UTC), dict[Limit, Expired]()
        # as the service does: an open request may need what would go
        unreached = await store.key_versions.extend(await vouched(settings, store)) if yes else {}
        limits = [
            each for each in standing(await store.policies.since(timedelta(0))) if each.limited is limited
        ]
        for limit in sparing(limits, unreached):
            whose = f"{limit.controller}: " if limit.controller else ""
            doing = "erasing" if yes else "looking for"
            with watched(f"{whose}{doing} {_WHOSE[limited]}") as told:
                found[limit] = (
                    await expire(store.limits, limit, now, actor(), told)
                    if yes
                    else await past(store.limits, limit, now, told)
                )
        return found, {
            each: why for each, why in unreached.items() if any(limit.concerns(each) for limit in limits)
        }

    done, left = with_store(context, work)
    rows = [
        {"controller": limit.controller, limited.setting: limit.days, limited.value: each.gone, "kept": each.kept,
         "held_by": dict(each.held_by)}
        for limit, each in done.items()
    ]  # fmt: skip
    if limited not in OF_CONTROLLERS:
        for row in rows:
            del row["controller"]
    if json:
        as_json({"limits": rows, "erased": yes})
    elif rows or not left:
        _show(rows, limited, done, yes=yes)
    if left:
        raise ExpiryError(left)


def _show(rows: list[dict[str, Any]], limited: Limited, done: Mapping[Limit, Expired], *, yes: bool) -> None:
    columns = {limited.setting: "DAYS", limited.value: "ERASED" if yes else "OVERDUE", "kept": "HELD"}
    if limited in OF_CONTROLLERS:
        as_table(
            rows,
            {"controller": "CONTROLLER", **columns},
            none=f"no controller of the policy in force has {limited.setting}",
        )
    else:
        as_table(rows, columns, none="no policy is in force")
    for each in done.values():
        for words, count in each.held_by.most_common():
            typer.echo(f"{count} past the limit, but held by {words}")
    if not yes and (goes := sum(each.gone for each in done.values())):
        typer.echo(f"nothing has been erased yet: add --yes to erase {goes} for good", err=True)


_WHOSE = {
    Limited.CALLS: "links between calls and persons",
    Limited.REQUESTS: "links between closed requests and persons",
    Limited.CONTACTS: "contacts",
    Limited.CONSENTS: "consents",
    Limited.ACCESSES: "entries of the record of accesses",
}
