"""``ccari gate``."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ccari.app import Store
from ccari.cli.context import Json, current_policy, with_store
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.policy import gate
from ccari.policy.gate import Block
from ccari.policy.numbers import NumberFault, parse
from ccari.store.secrets import SecretStore


def command(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="As it would be dialled.")],
    campaign: Annotated[str, typer.Option(help="The campaign of the call.")],
    *,
    json: Json = False,
) -> None:
    """Ask whether a number may be called now. Nothing is dialled or counted. Exit status 0: allow, 1: block."""

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        policy = await current_policy(store)
        declared = policy.campaign(campaign)
        if declared is None:
            return {"verdict": "block", "reason": Block.UNKNOWN_CAMPAIGN, "campaign": campaign}
        controller = policy.controller_of(declared)
        parsed = parse(number, controller.country)
        told = {"campaign": campaign, "controller": controller.id, "legal_basis": declared.legal_basis}
        if isinstance(parsed, NumberFault):
            return {"verdict": "block", "reason": Block(parsed.value), **told}
        now, registers, secrets = (
            datetime.now(UTC),
            policy.registers_of(declared),
            SecretStore(settings.keys_dir),
        )
        listed_as = secrets.listed_as((each.id for each in registers), parsed)
        digests = secrets.digests(controller.id, parsed)
        facts = await store.calls.facts(gate.question(declared, now), digests, listed_as)
        block = gate.verdict(declared, registers, controller.country, parsed, facts, now)
        verdict = "allow" if block is None else "block"
        return {"verdict": verdict, "reason": block or "", "number": parsed.masked, **told}

    found = with_store(context, work)
    if json:
        as_json(found)
    else:
        typer.echo(" ".join(str(part) for part in (found["verdict"], found["reason"]) if part))
    raise typer.Exit(0 if found["verdict"] == "allow" else 1)
