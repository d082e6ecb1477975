"""``ccari gate``."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, current_policy, with_store
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.errors import SoundError
from ccari.policy import gate
from ccari.policy.blocks import WHY
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.parties import Controller
from ccari.sounds.soundboard import open_soundboard
from ccari.store.opened import Store
from ccari.store.secrets import SecretStore


def command(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="As it would be dialled.")],
    campaign: Annotated[str, typer.Option(help="The campaign of the call.")],
    *,
    json: Json = False,
) -> None:
    """Ask whether a number may be called now. Nothing is dialled or counted.

    Exit status 0: allow, 1: block; why is told on standard error.
    """

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        policy = await current_policy(store)
        declared = policy.campaign(campaign)
        if declared is None:
            return _told(Block.UNKNOWN_CAMPAIGN, campaign=campaign)
        controller = policy.controller_of(declared)
        parsed = parse(number, controller.country)
        if isinstance(parsed, NumberFault):
            block: Block | None = Block(parsed.value)
        else:
            block = await _barred(settings, store, policy, declared, parsed) or _unplayable(
                settings, controller, declared
            )
        return _told(
            block, number=None if isinstance(parsed, NumberFault) else parsed.masked, campaign=campaign,
            controller=controller.id, legal_basis=declared.legal_basis.value,
        )  # fmt: skip

    found = with_store(context, work)
    if json:
        as_json(found)
    else:
        typer.echo(f"{found['verdict']} {found['reason']}".strip())
        if found["why"]:
            typer.echo(f"ccari: {found['why']}", err=True)
    raise typer.Exit(1 if found["reason"] else 0)


def _unplayable(settings: Settings, controller: Controller, campaign: Campaign) -> Block | None:
    try:
        open_soundboard(settings).script(controller, campaign)
    except SoundError:
        return Block.PROMPTS_MISSING
    return None


async def _barred(
    settings: Settings, store: Store, policy: Policy, campaign: Campaign, number: Number
) -> Block | None:
    now, registers, secrets = datetime.now(UTC), policy.registers_of(campaign), SecretStore(settings.keys_dir)
    listed_as = secrets.listed_as((each.id for each in registers), number)
    digests = secrets.digests(campaign.controller, number)
    facts = await store.calls.facts(gate.question(campaign, now), digests, listed_as)
    return gate.verdict(campaign, registers, policy.controller_of(campaign).country, number, facts, now)


def _told(block: Block | None, **of_the_call: str | None) -> dict[str, Any]:
    verdict = "allow" if block is None else "block"
    return {"verdict": verdict, "reason": block or "", "why": WHY[block] if block else "", **of_the_call}
