"""``ccari subject dossier``: writes what is on record of a person, with its evidence, to one file for an authority."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ccari.cli.context import (
    MOST,
    ControllerId,
    Json,
    NumberText,
    Why,
    current_policy,
    note,
    stated,
    vouched,
    with_store,
)
from ccari.cli.drafts import writing
from ccari.cli.evidence_verify import authority_of, without_evidence
from ccari.cli.output import as_json, watched
from ccari.cli.plain import printable
from ccari.cli.spooled import refuse_while_spooled
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError, EvidenceError
from ccari.office import claimants, dossiers
from ccari.office.claimants import Claimant
from ccari.office.known import is_known, known_of
from ccari.policy.declaration import Policy
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.ports.keying import Secrets
from ccari.recordings.dossier.binding import Bound, Matter, Packing, bind
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.subject.pack import refuse_taken
from ccari.sounds.heard import heard_of
from ccari.store.opened import Store

#: What error messages call this file.
WHAT = "dossier"


def command(
    context: typer.Context,
    number: NumberText,
    *,
    why: Why,
    out: Annotated[
        Path, typer.Option(metavar="FILE.zip", help="The file to write, readable by its owner only.")
    ],
    controller: ControllerId = None,
    without_policy: Annotated[
        bool,
        typer.Option(
            "--without-policy", help="Keep the policy out of the packs: it names all your controllers."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Write all that is on record of a person to one signed ZIP for an authority (Art 31, 58(1)): what find shows, the
    evidence of each call and request, and who has looked at any of it. Exit status 1 if nothing is known of the number,
    or, once it is written, if any evidence is not valid.

    Unlike export, it is not for the person: it names staff. What was erased or has expired no longer shows whose it
    was, and is not in it; nor is audio of conversations. ccari evidence verify checks it.
    """
    why = stated(why, "--why")
    # before the access is recorded
    refuse_taken(out, WHAT)

    async def work(settings: Settings, store: Store) -> Bound:
        secrets, policy = await vouched(settings, store), await current_policy(store)
        whose = claimants.known_to(policy, secrets, number, controller)
        await note(store, Looked.DOSSIER_EXPORTED, whose.access_target, why)
        # an authority would not learn of it
        refuse_while_spooled(settings, whose.controller.id, whose.digests)
        matter = await _matter(store, policy, secrets, whose, why)
        keys, packs = SigningKeys(settings.keys_dir), len(matter.known["calls"]) + len(matter.requests)
        prover = Prover(store.seals, keys, partial(heard_of, settings))
        authority = authority_of(settings.time_stamps.certificates)
        packing = Packing(prover, keys.newest(), keys.all(), authority, with_policy=not without_policy)
        if packing.with_policy and len(policy.controllers) > 1:
            typer.echo(
                f"each pack names your {len(policy.controllers)} controllers, as it has the whole policy: --without-policy keeps it out",
                err=True,
            )
        with writing(out, new=WHAT) as file, watched("packing evidence", packs) as progress:
            return await bind(file, matter, packing, datetime.now(UTC), progress)

    bound = with_store(context, work)
    _tell(bound, out, json=json)
    if unfit := [which for which, left_out in bound.left_out.items() if left_out.unfit]:
        found = counted(len(unfit), "call or request has", "calls and requests have")
        raise EvidenceError(f"{found} no valid evidence, as {out} says: find out why before you hand it over")


def _tell(bound: Bound, out: Path, *, json: bool) -> None:
    """Print what is in the file, how it is checked, and on the standard error what is not in it."""
    if json:
        told = {name: getattr(bound, name) for name in Bound.__slots__}
        as_json({"file": out, **told, "keys": [each.fingerprint for each in bound.keys]})
    else:
        typer.echo(
            f"the evidence of {counted(bound.packs, 'call or request', 'calls and requests')} is in {out}"
        )
        typer.echo(f"its SHA-256 is {bound.sha256}: write it in the letter that goes with it")
        files = ", ".join(f"evidence-{each.version}.pub ({each.fingerprint})" for each in bound.keys)
        typer.echo(f"to check it, they need of [keys] dir, by another way than the file: {files}")
    for which, left_out in bound.left_out.items():
        typer.echo(printable(without_evidence(which, left_out)), err=True)
    for which in bound.unheard:
        typer.echo(
            f"without audio or words of the notice that was heard in {which}: see ccari evidence verify",
            err=True,
        )


async def _matter(store: Store, policy: Policy, secrets: Secrets, whose: Claimant, why: str) -> Matter:
    """All but the packs, as of one moment: making those may take minutes, and sealing writes. Raises CcariError if the controller knows
    nothing of the number.
    """
    known_as = {whose.controller.id: whose.digests}
    async with store.as_of_now() as then:
        # all of them, as a dossier without the oldest calls would look whole
        (known,) = await known_of(whose.number.e164, known_as, then, policy, secrets, MOST - 1)
        if not is_known(known):
            raise CcariError(
                f"{whose.controller.id} knows nothing of this number, so there is no dossier to write"
            )
        requests = {
            each["reference"]: await dossiers.dossier(each["reference"], then.requests, then.forwards, policy)
            for each in known["requests"]
        }
        accesses = await then.accesses.list(MOST, WantedAccesses(known_as=known_as))
        return Matter(
            whose.controller, whose.number, whose.digests, why, known, requests, accesses, await then.accesses.expired_before()
        )  # fmt: skip
