"""``ccari registers``: imports copies of registers of objections, and lists how old they are."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from ccari.cli.context import Json, current_policy, note, vouched, who, with_store
from ccari.cli.imports import KeepGoing, ListFile, tell, watched
from ccari.cli.output import as_list
from ccari.config import Settings
from ccari.errors import CcariError, why
from ccari.keyring.secrets import Holder, Key, SecretStore
from ccari.lists import NumberList, listings
from ccari.lists.numberlist import STDIN
from ccari.office import moments
from ccari.policy import gate
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declaration import Policy
from ccari.policy.parties import Register
from ccari.ports.accesses import Looked
from ccari.ports.lists import Report
from ccari.store.opened import Store
from ccari.store.registers import Copy

app = typer.Typer(help="Copies of national registers of people who want no advertising.")


@app.command("import")
def import_(
    context: typer.Context,
    register: Annotated[str, typer.Argument(help="The register's id in the policy.")],
    file: ListFile,
    *,
    country: Annotated[
        str | None,
        typer.Option(
            help="The country of numbers without +; default: that of the campaigns that use the register."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="The date of the copy, such as 2026-07-01; default: when the file was written."),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="The file has only additions to the register; default: it has the whole register.",
        ),
    ] = False,
    shrunk: Annotated[
        bool, typer.Option("--shrunk", help="Accept a copy that has lost more than half of its numbers.")
    ] = False,
    keep_going: KeepGoing = False,
    json: Json = False,
) -> None:
    """Import a copy of a register, replacing the one before: numbers that are no longer in the file may be
    called again.

    A CSV has the column number, and optionally since and until. Exit status 1 if a line is invalid: then
    nothing is changed, unless --keep-going. With it, no number is dropped, because the invalid line may be one
    that is still listed.
    """

    async def work(settings: Settings, store: Store) -> Report:
        policy = await current_policy(store)
        home = _country(policy, _declared(policy, register), country)
        zone, now = ZoneInfo(TIME_ZONES[home]), datetime.now(UTC)
        secrets = await vouched(settings, store)
        copied, listed_at = (_written(file, now), None) if as_of is None else _as_of(as_of, zone, now)
        copy = Copy(
            register, copied, who(), update=update, shrunk=shrunk, dated=as_of is not None, listed_at=listed_at
        )  # fmt: skip
        async with NumberList(file, home, listings.COLUMNS) as listed:
            key = _key(secrets, register, update=update)
            with watched() as watch:
                batches = listed.batches(listings.ListingReader(zone, now), ahead=True)
                report = await store.registers.load(
                    copy, key, watch.reading(listed, batches), lambda: listed.sha256, keep_going=keep_going,
                    progress=watch.entering,
                )  # fmt: skip
            report.doubts = listed.doubts
        # if the register's secret was lost, the new one counts from now on; but not while numbers are still listed under the lost one
        if not report.invalid:
            await store.key_versions.replace(Holder("register", register), key.version, key.check)
            if not update:
                await store.key_versions.keep_only(Holder("register", register), key.version)
        # the number of known lines would reveal whether a number is listed
        await note(store, Looked.LIST_IMPORTED, {"register": register, **report.access_target("registers")})
        return report

    report = with_store(context, work)
    tell(report, json=json)
    if report.invalid and not update:
        typer.echo(
            "numbers that are missing from the file were kept in the register, since an invalid line may be one of them: "
            "correct the file, and import it again",
            err=True,
        )


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the declared registers and the age of their copies. Exit status 1 if one is too old, or dated in the
    future: its campaigns then call nobody.
    """

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        policy, now = await current_policy(store), datetime.now(UTC)
        loaded = {row["register"]: row for row in await store.registers.ages()}
        in_use = {each.id: each for each in policy.registers_in_use}
        return [_row(in_use.get(each.id, each), loaded.get(each.id), now) for each in policy.registers]

    rows = with_store(context, work)
    columns = {
        "register": "REGISTER", "name": "NAME", "entries": "ENTRIES", "as_of": "AS OF", "age_days": "AGE (DAYS)",
        "max_age_days": "AT MOST", "stale": "STALE",
    }  # fmt: skip
    as_list(rows, columns, json=json, none="the policy declares no registers")
    raise typer.Exit(1 if any(row["stale"] for row in rows) else 0)


def _row(register: Register, loaded: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    as_of = loaded["as_of"] if loaded else None
    return {
        "register": register.id, "name": register.name, "entries": loaded["entries"] if loaded else 0,
        "as_of": as_of, "age_days": (now - as_of).days if as_of is not None else None,
        "max_age_days": register.max_age_days, "stale": gate.stale(register, as_of, now),
    }  # fmt: skip


def _key(secrets: SecretStore, register: str, *, update: bool) -> Key:
    """The secret to load the register under. An update must use the secret of the existing entries; a whole copy may use a new one,
    created if there is none.
    """
    holder = Holder("register", register)
    if update and not secrets.lacks(holder):
        return secrets.register_keys(register)[-1]
    own = SecretStore(secrets.folder)
    if own.lacks(holder):
        own.add(holder, own.next_key(holder))
    return own.register_keys(register)[-1]


def _declared(policy: Policy, register: str) -> Register:
    declared = policy.register(register)
    if declared is None:
        known = ", ".join(each.id for each in policy.registers)
        only = f", only {known}" if known else ", and no other: add [[registers]] to it"
        raise CcariError(f"the policy declares no register {register!r}{only}")
    return declared


def _country(policy: Policy, register: Register, wanted: str | None) -> str:
    """The country of numbers without ``+``: ``wanted``, else that of the controllers whose campaigns use the register, if they share one."""
    countries = {
        policy.controller_of(campaign).country
        for campaign in policy.campaigns
        if register.id in campaign.registers
    }
    if wanted is None and len(countries) != 1:
        raise CcariError(f"give the country of the numbers of {register.id!r} that have no +: --country")
    country = wanted or countries.pop()
    if country not in TIME_ZONES:
        raise typer.BadParameter(f"it is one of {', '.join(sorted(TIME_ZONES))}", param_hint="--country")
    return country


def _written(file: Path, now: datetime) -> datetime:
    """When the file was last changed; for standard input, now."""
    if str(file) == STDIN:
        return now
    try:
        return min(now, datetime.fromtimestamp(file.stat().st_mtime, UTC))
    except OSError as error:
        raise CcariError(f"cannot read {file}: {why(error)}") from None


def _as_of(text: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """The date of a copy, and the date from which its numbers count as listed. If ``text`` is a day, these are its beginning and its end:
    a consent given on that day does not count as newer than the listing.
    """
    try:
        return moments.past(text, zone, now), moments.past_day_end(text, zone, now)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
