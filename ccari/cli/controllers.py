"""``ccari controllers``: what is held of each controller, and the deletion of one that has left."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, actor, with_store
from ccari.cli.output import as_done, as_json, as_list, as_table, cell, day, watched
from ccari.cli.purging import Yes
from ccari.cli.spooled import Waiting, waiting
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import StillNeededError, UnknownError
from ccari.gating.labels import label
from ccari.keyring.secrets import SecretStore
from ccari.policy.declaration import Policy
from ccari.policy.leaving import Amount, Goes, obstacles
from ccari.store.controllers import Deletion, OfController
from ccari.store.opened import Store

app = typer.Typer(help="Those on whose behalf calls are made: what is held of each, and its deletion.")

_COLUMNS = {
    "controller": "CONTROLLER", "declared": "IN POLICY", "campaigns": "CAMPAIGNS", "suppressions": "SUPPRESSIONS", "lifted": "LIFTED", "contacts": "CONTACTS",
    "consents": "CONSENTS", "calls": "CALLS", "requests": "REQUESTS", "open_requests": "OPEN REQUESTS", "recordings": "RECORDINGS", "holds": "HOLDS",
    "oldest": "OLDEST", "deleted": "DELETED",
}  # fmt: skip
_GONE = {
    Goes.CONTACTS: "contact", Goes.CONSENTS: "consent", Goes.NOTICES: "heard notice", Goes.LIFTED: "lifted suppression",
    Goes.SUPPRESSIONS: "suppression",
}  # fmt: skip
_PROOF = "proof of what was done (Art 5(2)): figures and sealed journals, which tell of nobody"
_STAYS = {
    "calls": ("calls that have expired", _PROOF),
    "requests": ("requests that have expired", _PROOF),
    "recordings": (
        "tags of recordings that are deleted",
        "when and for what each was made, with the hash of its file, of nobody by name",
    ),
    "erasures": ("erasures that were carried out", "who did it, and what went and what stayed (Art 5(2))"),
    "holds": ("released legal holds", "who kept what for which claim; one on a number has its keyed digest"),
    "accesses": (
        "looks at its data, at least",
        "who looked, and why, until accesses_days are over: ccari audit purge",
    ),
}


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List every controller of the policy, the database and this node's keys, with how much is held of it.

    CALLS and REQUESTS are those that have not expired, open ones among them. With --json, all kinds, and what has
    to be over before the controller can be deleted.
    """

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        policy = await _policy(store)
        with watched("counting what is held"):
            found = await store.controllers.all()
        keyed, waits = _keyed(settings), waiting(settings)
        known = {*found, *keyed, *(each.id for each in policy.controllers)} if policy else {*found, *keyed}
        return [
            _row(each, policy, found.get(each, OfController()), waits, keys=each in keyed)
            for each in sorted(known)
        ]

    rows = with_store(context, work)
    as_list(rows, _COLUMNS, json=json, none="no controller is known", shown=_shown)


@app.command()
def delete(
    context: typer.Context,
    controller: Annotated[str, typer.Argument(metavar="ID", help="The controller, as in the policy.")],
    *,
    yes: Yes = False,
    drop_proof: Annotated[
        bool,
        typer.Option(
            "--drop-proof", help="Also delete consents whose proof a law has kept: it is kept elsewhere."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Delete what has no limit of a controller whose contract has ended (Art 28(3)(g)): suppressions, contacts,
    consents.

    Without --yes, only show what goes, what stays, and what has to be over first: campaigns, calls, requests,
    recordings, legal holds. Exit status 1 if anything has to. Afterwards no campaign can be declared under that
    id again, as whoever objected would be called. If it is interrupted, run it again.
    """

    async def look(settings: Settings, store: Store) -> tuple[OfController, list[str], dict[str, int]]:
        found, first = await _looked_at(settings, store, controller, drop_proof=drop_proof)
        return found, first, await store.controllers.stays(controller)

    async def work(settings: Settings, store: Store) -> Deletion:
        found, first = await _looked_at(settings, store, controller, drop_proof=drop_proof)
        if first:
            raise StillNeededError(controller, first)
        if found.deletion is not None and _is_over(found):
            return found.deletion
        with watched(f"deleting {controller}", sum(each.held for each in found.goes.values())) as told:
            return await store.controllers.delete(controller, actor(), told, drop_proof=drop_proof)

    if yes:
        done = with_store(context, work)
        words = f"{controller}: {_was(done)}\n{_then(context.obj.settings(), controller)}"
        as_done({"controller": controller, **_deletion(done)}, words, json=json)
        return
    found, first, stays = with_store(context, look)
    if json:
        as_json({
            "controller": controller, "goes": {kind.value: each.held for kind, each in found.goes.items()}, "stays": stays,
            "obstacles": first, "deleted": _deletion(found.deletion) if found.deletion else None,
        })  # fmt: skip
    else:
        _print_plan(found, stays)
    if first:
        raise StillNeededError(controller, first)
    if not json and not _is_over(found):
        typer.echo("nothing is deleted by this look: add --yes to delete it; that cannot be undone", err=True)


async def _looked_at(
    settings: Settings, store: Store, controller: str, *, drop_proof: bool
) -> tuple[OfController, list[str]]:
    """What is held of the controller, and what must end first. Raises UnknownError."""
    policy, found = await _policy(store), await store.controllers.of(controller)
    declared = policy is not None and policy.controller(controller) is not None
    if not declared and found == OfController() and controller not in _keyed(settings):
        raise UnknownError(f"no controller {label(controller)!r} is known: ccari controllers list")
    proofs = None if drop_proof else found.proofs
    first = obstacles(_campaigns(policy, controller), found.keeps, proofs)
    return found, [*first, *_spooled(waiting(settings), controller)]


def _is_over(found: OfController) -> bool:
    """Whether it was deleted, and nothing was entered since."""
    return not found.goes and found.deletion is not None and found.deletion.finished_at is not None


def _print_plan(found: OfController, stays: Mapping[str, int]) -> None:
    goes = [
        {"what": f"{_GONE[kind]}s", "count": found.goes[kind].held, "oldest": found.goes[kind].oldest}
        for kind in Goes if kind in found.goes
    ]  # fmt: skip
    as_table(goes, {"what": "GOES", "count": "COUNT", "oldest": "OLDEST"}, none="nothing is left to delete")
    if left := [
        {"what": _STAYS[kind][0], "count": count, "why": _STAYS[kind][1]}
        for kind, count in stays.items()
        if count
    ]:
        typer.echo()
        as_table(left, {"what": "STAYS", "count": "COUNT", "why": "WHY"}, none="")
    if found.deletion is not None:
        typer.echo()
        typer.echo(_was(found.deletion))


async def _policy(store: Store) -> Policy | None:
    newest = await store.policies.newest()
    return newest.policy if newest else None


def _campaigns(policy: Policy | None, controller: str) -> list[str]:
    return [each.id for each in policy.campaigns_of(controller)] if policy else []


def _keyed(settings: Settings) -> set[str]:
    holders = SecretStore(settings.keys_dir).holders()
    return {each.name for each in holders if each.kind == "controller"}


def _spooled(waits: Waiting, controller: str) -> list[str]:
    """What in this node's local journal must, or may have to, be registered before the controller is deleted."""
    own, unread, torn = waits.of[controller], waits.unread, waits.torn
    lines = {
        f"{counted(own, 'right of its callees waits', 'rights of its callees wait')} on this node: ccari requests replay --aside": own,
        f"{counted(unread, 'right', 'rights')} on this node cannot be read for now, and may be its: ccari requests spooled says why": unread,
        f"{counted(torn, 'torn right', 'torn rights')} on this node may be its, and can never be read: ccari requests spooled names the file; "
        "see in the log, by its time, whose call it was, and enter the right by hand; then delete the file": torn,
    }  # fmt: skip
    return [line for line, count in lines.items() if count]


def _row(
    controller: str, policy: Policy | None, of: OfController, waits: Waiting, *, keys: bool
) -> dict[str, Any]:
    amounts: list[tuple[str, Amount]] = [*of.goes.items(), *of.keeps.items()]
    campaigns = _campaigns(policy, controller)
    return {
        "controller": controller,
        "declared": policy is not None and policy.controller(controller) is not None,
        "campaigns": campaigns, "keys": keys,
        "held": {str(kind): each.held for kind, each in amounts},
        "oldest": min((each.oldest for _, each in amounts), default=None),
        "obstacles": [*obstacles(campaigns, of.keeps, of.proofs), *_spooled(waits, controller)],
        "deleted": _deletion(of.deletion) if of.deletion else None,
    }  # fmt: skip


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    deleted, held = row["deleted"], Counter[str](row["held"])
    return {
        **dict.fromkeys(_COLUMNS, 0), **held, "calls": held["open_calls"] + held["calls"],
        "requests": held["open_requests"] + held["requests"], "controller": row["controller"], "declared": row["declared"],
        "campaigns": row["campaigns"], "oldest": _day(row["oldest"]),
        "deleted": ("" if deleted is None else _day(deleted["finished_at"]) or "interrupted"),
    }  # fmt: skip


def _day(at: datetime | None) -> str:
    return "" if at is None else day(at)


def _deletion(deletion: Deletion) -> dict[str, Any]:
    return {
        "begun_by": deletion.begun_by, "begun_at": deletion.begun_at, "drop_proof": deletion.drop_proof,
        "finished_by": deletion.finished_by, "finished_at": deletion.finished_at,
        "deleted": {kind.value: count for kind, count in deletion.deleted.items()},
    }  # fmt: skip


def _was(deletion: Deletion) -> str:
    if deletion.finished_at is None:
        return f"a deletion that {deletion.begun_by} began on {cell(deletion.begun_at)} was interrupted"
    return f"deleted by {deletion.finished_by} on {cell(deletion.finished_at)}: {_count(deletion)}"


def _count(deletion: Deletion) -> str:
    return (
        ", ".join(counted(deletion.deleted[each], _GONE[each]) for each in Goes if each in deletion.deleted)
        or "nothing was held"
    )


def _then(settings: Settings, controller: str) -> str:
    return (
        f"take it out of the policy, and destroy {settings.keys_dir / controller} on every node, with the backups of keys that have it: "
        "then nobody can tell whose a digest was"
    )
