"""``ccari keys``: makes, lists, rotates, retires and backs up secrets and keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ccari.cli import key_backup
from ccari.cli.context import ControllerId, Json, current_policy, vouched, with_store
from ccari.cli.output import as_json, as_table, telling, watched
from ccari.cli.spooled import refuse_while_spooled_under
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError
from ccari.keyring.files import is_there
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.journal_key import check as journal_check
from ccari.keyring.secrets import Holder, Key, SecretStore
from ccari.office.naming import the_controller
from ccari.policy.declaration import Policy
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from ccari.store.opened import Store

app = typer.Typer(help="The keys for digests of numbers, for encrypting recordings and for signing evidence.")

Recipients = Annotated[
    list[str] | None,
    typer.Option(
        "--recipient",
        metavar="AGE1…",
        help="Who may open recordings, in place of a new identity; repeatable.",
    ),
]

#: What is counted under a secret, each with its singular.
_KEPT_UNDER = {
    "suppressions": "suppression", "lifted": "lifted suppression", "contacts": "contact", "consents": "consent", "requests": "request",
    "calls": "call", "notices": "notice", "listings": "listing",
}  # fmt: skip
_PLACE_AGAIN = "place each of them again: ccari recordings hold --number NUMBER --reason …"


@app.command()
def init(context: typer.Context, *, recipient: Recipients = None) -> None:
    """Make the keys that are missing: a secret for each controller, an identity to open recordings, a key to
    sign evidence, and one to encrypt rights that wait for the database.

    Existing keys are never replaced. Back them up: without the secrets no barred number is recognised, and
    without the identity no recording can be heard again.
    """

    async def work(settings: Settings, store: Store) -> list[str]:
        policy = await current_policy(store)
        recipients = RecipientFile(settings.keys_dir)
        recipients.refuse_others(recipient or ())
        secrets = await vouched(settings, store)
        lacking = [each for each in policy.controllers if secrets.lacks(Holder("controller", each.id))]
        lines = []
        for controller in policy.controllers:
            made = controller in lacking
            if made:
                await store.key_versions.make(secrets, Holder("controller", controller.id))
            lines.append(f"{controller.id}: {_or_there(made)}, in {settings.keys_dir / controller.id}")
        if not settings.encrypts_recordings and not recipient:
            off = settings.asterisk.is_off
            lines.append(
                f"recordings: {'none are made, as [asterisk] url' if off else 'not encrypted, as [recordings] encryption'} says"
            )
        else:
            lines += _of_recipients(recipients, _or_there(recipients.create(recipient or ())))
        signing = SigningKeys(settings.keys_dir)
        words = _or_there(signing.create())
        lines.append(f"evidence: key {signing.newest().fingerprint} {words}, in {settings.keys_dir}")
        journal = JournalKey(settings.keys_dir)
        words = _or_there(journal.create())
        lines.append(f"local journal: key {journal_check(journal.read())} {words}, in {settings.keys_dir}")
        return [*lines, "back them up, and keep the backup elsewhere: ccari keys backup --to FILE"]

    # only once all are made: head(1) on the other end of a pipe would stop it in the middle
    _tell(with_store(context, work), done="the keys that were missing are made")


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the secrets in use and how much is kept under each (requests, heard notices, a register's
    listings, and so on); then who may open recordings, and the keys of evidence and of the local journal.
    Nothing secret is shown.
    """

    async def work(settings: Settings, store: Store) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        policy, secrets = await current_policy(store), await vouched(settings, store)
        counts = {
            (row["controller"], row["register"], row["key_version"]): row for row in await _counts(store)
        }
        digests: list[dict[str, Any]] = [
            {
                "kind": "suppression", "controller": controller, "register": register, "version": key.version,
                "check": key.check, **_kept_under(counts.get((controller, register, key.version))),
            }
            for controller, register, keys in _holders(policy, secrets)
            for key in keys
        ]  # fmt: skip
        return digests, _other_keys(settings.keys_dir)

    digests, others = with_store(context, work)
    if json:
        as_json([*digests, *others])
        return
    columns = {"controller": "CONTROLLER", "register": "REGISTER", "version": "VERSION", "check": "CHECK"}
    as_table(digests, columns | {each: each.upper() for each in _KEPT_UNDER}, none="there are no secrets")
    typer.echo()
    columns = {"kind": "KIND", "version": "VERSION", "check": "KEY", "use": "USE"}
    as_table(
        others, columns, none="there are no recipients of recordings and no keys of evidence: ccari keys init"
    )


@app.command()
def rotate(
    context: typer.Context,
    *,
    controller: ControllerId = None,
    recordings: Annotated[
        bool,
        typer.Option(
            "--recordings", help="Change who may open recordings: a new identity, or each --recipient."
        ),
    ] = False,
    recipient: Recipients = None,
    add: Annotated[
        bool,
        typer.Option(
            "--add", help="With --recordings: in addition to the existing recipients, not in their place."
        ),
    ] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="Make a new key to sign evidence.")] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Rotate even if there are holds on numbers or on closed requests, which must be placed again afterwards.",
        ),
    ] = False,
) -> None:
    """Make a controller's next secret, or, with an option, the next key of another kind. It is used from now
    on.

    The older ones are still used for what was entered, recorded and signed under them.
    """
    if sum((controller is not None, recordings, evidence)) > 1:
        raise typer.BadParameter(
            "rotate one kind of key at a time: a controller's secret, --recordings or --evidence"
        )
    if (recipient or add) and not recordings:
        raise typer.BadParameter("--recipient and --add are for --recordings only")
    if yes and (recordings or evidence):
        raise typer.BadParameter("--yes is for a controller's secret only")
    keys_dir = context.obj.settings().keys_dir
    if recordings:
        file = RecipientFile(keys_dir)
        file.renew(recipient or (), add=add)
        kept = "earlier recordings can be opened only with the earlier identity: keep that too"
        _tell([*_of_recipients(file, "from the next recording on"), kept])
    elif evidence:
        key = SigningKeys(keys_dir).rotate()
        _tell([f"evidence: signed with key {key.fingerprint} from now on, version {key.version}; back it up"])
    else:
        _rotate_secret(context, controller, yes=yes)


def _rotate_secret(context: typer.Context, controller: str | None, *, yes: bool) -> None:
    async def work(settings: Settings, store: Store) -> tuple[str, int, str]:
        whose = the_controller(await current_policy(store), controller)
        secrets = await vouched(settings, store)
        secrets.check(whose.id)
        holds = ", ".join(map(str, await store.key_versions.holds_left_behind(whose.id)))
        if holds and not yes:
            raise CcariError(
                f"the holds {holds} of {whose.id!r} are on numbers, or on closed requests whose number is erased, and would not cover "
                f"calls that are made after the rotation: repeat this with --yes, "
                f"and then {_PLACE_AGAIN}"
            )
        key = await store.key_versions.make(secrets, Holder("controller", whose.id))
        return whose.id, key.version, holds

    whose, version, holds = with_store(context, work)
    lines = [f"{whose}: version {version} is used from now on; back it up"]
    if holds:
        lines.append(
            f"{whose}: the holds {holds} do not cover calls that are made from now on: {_PLACE_AGAIN}"
        )
    _tell(lines)


app.command()(key_backup.backup)
app.command()(key_backup.restore)


@app.command()
def retire(
    context: typer.Context,
    *,
    version: Annotated[int, typer.Option(help="The version to retire; never the newest.")],
    controller: ControllerId = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Retire it even if something is kept under it, which is then lost."),
    ] = False,
) -> None:
    """Take an older secret out of use. What is kept under it is never found again: its suppressions stop
    working. Its file is renamed, not destroyed.
    """

    async def work(settings: Settings, store: Store) -> str:
        whose = the_controller(await current_policy(store), controller)
        refuse_while_spooled_under(settings, whose.id, version)
        secrets = SecretStore(settings.keys_dir)
        counts = await _counts(store)
        row = next(
            (each for each in counts if (each["controller"], each["key_version"]) == (whose.id, version)),
            None,
        )
        kept = _kept_under(row)
        if any(kept.values()) and not yes:
            told = ", ".join(counted(count, _KEPT_UNDER[name]) for name, count in kept.items() if count)
            raise CcariError(
                f"version {version} of {whose.id!r} is needed for {told}: {counted(kept['suppressions'], 'suppression')} would stop "
                "working, and call attempts would be counted from zero; no request, call or consent under it would be found by its "
                "number: import those lists again, or repeat this with --yes"
            )
        secrets.retire(whose.id, version)
        return f"{whose.id}: version {version} is out of use; {counted(kept['suppressions'], 'suppression no longer works', 'suppressions no longer work')}"

    typer.echo(with_store(context, work))


def _or_there(made: bool) -> str:  # noqa: FBT001 - what has been made of it
    return "made" if made else "existed already"


def _of_recipients(file: RecipientFile, words: str) -> list[str]:
    lines = [f"recordings: recipients {words}, in {file.path}: {', '.join(file.recipients())}"]
    if is_there(file.identity_path):
        lines.append(
            f"recordings: {file.identity_path} opens recordings. Move it to the machines of those who may listen, keep a copy "
            "in a safe place, and remove it here: the service does not need it, and an intruder must not find it"
        )
    return lines


def _tell(lines: Sequence[str], done: str = "") -> None:
    """Print what was made. ``done``: what the error says was done if printing fails; default: the first line."""
    with telling(done or lines[0]):
        for each in lines:
            typer.echo(each)


def _other_keys(keys_dir: Path) -> list[dict[str, Any]]:
    """The recipients of recordings, and the keys of evidence and of the local journal."""
    signing, journal = SigningKeys(keys_dir).all(), JournalKey(keys_dir)
    found: list[tuple[str, int | None, str, str]] = [
        *(("recipient", None, each, "opens recordings") for each in RecipientFile(keys_dir).registered()),
        *(
            ("evidence", each.version, each.fingerprint, "signs" if each is signing[-1] else "verifies")
            for each in signing
        ),
    ]
    if is_there(journal.path):
        found.append(("journal", None, journal_check(journal.read()), "encrypts"))
    return [
        {"kind": kind, "controller": None, "register": None, "version": version, "check": check, "use": use}
        for kind, version, check, use in found
    ]


def _holders(policy: Policy, secrets: SecretStore) -> list[tuple[str | None, str | None, list[Key]]]:
    registers = [each.id for each in policy.registers if secrets.has_register(each.id)]
    return [
        *((each.id, None, secrets.keys(each.id)) for each in policy.controllers),
        *((None, each, secrets.register_keys(each)) for each in registers),
    ]


async def _counts(store: Store) -> list[dict[str, Any]]:
    """Takes seconds for millions of rows."""
    with watched("counting what is kept under each secret"):
        return await store.key_versions.counts()


def _kept_under(counts: dict[str, Any] | None) -> dict[str, int]:
    return {each: counts[each] if counts else 0 for each in _KEPT_UNDER}
