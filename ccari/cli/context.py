"""What the commands share: the settings, the store, and which controller is meant."""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ccari import config, log
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.parties import Controller
from ccari.store.opened import Store, open_store

_T = TypeVar("_T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Limit = Annotated[int, typer.Option(min=1, help="The most rows to print.")]
ControllerId = Annotated[
    str | None, typer.Option("--controller", help="Whose; may be left out where there is only one.")
]


@dataclass(frozen=True, slots=True)
class State:
    config_path: Path | None

    def settings(self) -> Settings:
        return config.load(self.config_path)


def with_store(context: typer.Context, work: Callable[[Settings, Store], Awaitable[_T]]) -> _T:
    """Run ``work`` on the open store; what libraries log goes to standard error, so that output stays clean."""
    settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)

    async def run() -> _T:
        async with open_store(settings) as store:
            return await work(settings, store)

    return asyncio.run(run())


async def told_of(store: Store, controller: str | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``rows``; but an empty list of a controller that nobody has declared would pass a slip of the pen for good news."""
    if not rows and controller is not None:
        the_controller(await current_policy(store), controller)
    return rows


async def current_policy(store: Store) -> Policy:
    revision = await store.policies.newest()
    if revision is None:
        raise CcariError("no policy has been applied: ccari policy apply FILE")
    return revision.policy


def the_controller(policy: Policy, wanted: str | None) -> Controller:
    known = ", ".join(each.id for each in policy.controllers)
    if wanted is None:
        if len(policy.controllers) > 1:
            raise CcariError(f"say which controller: --controller, one of {known}")
        return policy.controllers[0]
    found = policy.controller(wanted)
    if found is None:
        raise CcariError(f"there is no controller {wanted!r}: it is one of {known}")
    return found


def the_campaign(policy: Policy, wanted: str) -> Campaign:
    found = policy.campaign(wanted)
    if found is None:
        known = ", ".join(each.id for each in policy.campaigns) or "none"
        raise CcariError(f"there is no campaign {wanted!r}: it is one of {known}")
    return found


def the_number(text: str, controller: Controller) -> Number:
    number = parse(text, controller.country)
    if isinstance(number, NumberFault):
        raise CcariError(f"that is no number to call: {number.words}")
    return number


#: What the kernel says where a process comes from no sign-in.
_NOBODY_SIGNED_IN = 2**32 - 1


def who() -> str:
    """The person at the keyboard, for what is kept of who did something: whoever signed in, though by sudo or su now.

    Not what the environment says, which anybody may set.
    """
    try:
        return pwd.getpwuid(_signed_in()).pw_name
    except KeyError:
        return f"uid {_signed_in()}"


def _signed_in() -> int:
    """The kernel's audit of the sign-in, which no later change of user changes; without one, the user of the process."""
    try:
        signed_in = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if signed_in == _NOBODY_SIGNED_IN else signed_in
