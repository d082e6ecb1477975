"""The result of a run, in tables."""

from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from tests.integration.studio import CONFIRMED
from tests.lab.callees import AGENT_TONE_HZ
from tests.soak.absences import is_heard
from tests.soak.account import Account
from tests.soak.campaigns import CAMPAIGNS
from tests.soak.checks.matching import dialled_by, heard_in
from tests.soak.checks.presses import codes_entered, rights_pressed
from tests.soak.hearing import CERTAIN_SECONDS
from tests.soak.run import Result

#: How many violations of each kind are shown.
MOST_OF_A_KIND = 10


def show(result: Result, console: Console) -> None:
    account, plan = result.account, result.plan
    calls = Counter((each.campaign, each.outcome or "open") for each in account.calls)
    console.print(
        _table("calls", ("campaign", "outcome", "calls"), ((*each, n) for each, n in sorted(calls.items())))
    )
    faults = sorted(result.breaker.done.items())
    console.print(_table("faults", ("fault", "times"), ((each.value, n) for each, n in faults)))
    recorded = Counter(each.state for each in account.recordings)
    rights = Counter(each.right for each in account.requests)
    resumed = sum(int(each.told.get("resumed_talks", 0)) for each in account.lines)
    brought_back = ", ".join(f"{name} {n}" for name, n in sorted(result.supervisor.restarts.items()))
    ended = Counter(each.status for each in result.supervisor.exits)
    statuses = ", ".join(f"{status}: {n}" for status, n in sorted(ended.items()))
    for name, told in {
        "planned": f"{len(plan.calls)} calls, {len(plan.bars)} bars, {len(plan.faults)} faults in {plan.seconds / 60:.1f} min",
        "placed": f"{result.driver.placed} calls ({result.driver.refused} that world could not place), {result.driver.barred} bars",
        "on record": f"{len(account.calls)} calls, {len(account.invites)} INVITEs, {len(account.heard)} heard at the far end",
        "at far end": _far_end(account),
        "keys": _keys(account),
        "taken up": f"{resumed} talks",
        "recordings": _counts(recorded),
        "rights": _counts(rights),
        "brought back": f"{brought_back or 'nothing'} (service's exit statuses {statuses or 'none'})",
        "seed": str(plan.seed),
    }.items():
        console.print(f"{name:>13}  {told}", highlight=False)
    of_kind: Counter[str] = Counter()
    for each in result.found:
        of_kind[each.what] += 1
        if of_kind[each.what] <= MOST_OF_A_KIND:
            console.print(f"VIOLATION {each}", highlight=False, markup=False, soft_wrap=True)
    for what, count in of_kind.items():
        if count > MOST_OF_A_KIND:
            console.print(f"          and {count - MOST_OF_A_KIND} more: {what}", highlight=False)
    console.print(f"{len(result.found)} violations", highlight=False)


def _far_end(account: Account) -> str:
    """How much there was to see and hear: a check of nothing finds nothing."""
    sent, heard = dialled_by(account), heard_in(account)
    notices = sum(
        all(any(tone.hz == hz for tone in told.tones) for hz in CAMPAIGNS[call.campaign].notice_tones)
        for told, call in heard
    )
    talks = sum(any(tone.hz == AGENT_TONE_HZ for tone in told.tones) for told, _ in heard)
    confirmed = sum(
        any(tone.hz == CONFIRMED and tone.seconds >= CERTAIN_SECONDS for tone in told.tones)
        for told, _ in heard
    )
    return (
        f"{sum(call is not None for _, call in sent)} of {len(sent)} INVITEs and {len(heard)} of {len(account.heard)} "
        f"ears belong to a call; {notices} whole notices, {talks} talks, {confirmed} rights confirmed"
    )


def _keys(account: Account) -> str:
    rights, codes = list(rights_pressed(account)), list(codes_entered(account))
    heard = sum(is_heard(account, press, call) for press, call, _ in rights)
    return (
        f"{len(account.presses)} sent: {len(rights)} rights, of which {heard} while somebody had to hear them, and "
        f"{len(codes)} codes of agents"
    )


def _counts(of: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(of.items())) or "none"


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Table:
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for each in columns:
        table.add_column(each, justify="right" if each in {"calls", "times"} else "left")
    for row in rows:
        table.add_row(*map(str, row))
    return table
