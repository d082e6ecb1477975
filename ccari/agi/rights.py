"""``AGI(agi://HOST:4573/rights,CAMPAIGN)``: the keys menu for a channel that is not in Stasis."""

import asyncio
import re
from functools import partial
from uuid import uuid4

import structlog

from ccari.agi.desk import Desk
from ccari.agi.exercising import NONE, Registering, Unregistrable
from ccari.agi.menu import Menu, play
from ccari.agi.session import Session
from ccari.errors import CcariError, SoundError
from ccari.gating.drafting import Drafter, NoTerms
from ccari.gating.journal import Journal
from ccari.gating.labels import NAMELESS, agent_name, campaign_name
from ccari.gating.means import RequestedCall
from ccari.gating.sourcing import own_source
from ccari.gating.variables import NUMBER
from ccari.policy import notices
from ccari.policy.call import Direction
from ccari.policy.campaign import DEFAULT_LANGUAGE
from ccari.policy.gate import Block
from ccari.ports.metering import Way

_log = structlog.get_logger()

#: Time-out for looking up the campaign in the policy, and for the digests of the number.
TERMS_SECONDS = 3.0
_OCTET = re.compile(r"[0-9]{1,3}")


async def rights(session: Session, desk: Desk) -> None:
    """Play the keys menu; register and confirm the rights pressed, and set them in ``CCARI_RIGHT`` and ``CCARI_REFERENCE``.

    Several rights are set with commas between them. ``refuse_recording`` is registered but not confirmed: the
    dialplan records here, so it must stop and say so. Its reference is ``none`` if it could not be
    registered, as for a caller without a number.

    Raises
    ------
    AgiError
        If the channel is gone. Rights pressed before are registered even then.
    """
    await session.set_variable("CCARI_RIGHT", NONE)
    await session.set_variable("CCARI_REFERENCE", NONE)
    direction, number = await _caller(session)
    campaign = session.arguments[0] if len(session.arguments) == 1 else None
    agent = agent_name(session.head.get("agi_channel", ""))
    asked = RequestedCall(direction, number, "" if campaign is None else campaign or NAMELESS, agent)
    journal = Journal(uuid4(), agent, desk.meter.call(Way.FASTAGI_MENU, direction))
    journal.bind(way="fastagi")
    await session.command("ANSWER")
    menu = await _menu(session, desk, asked, journal)
    if isinstance(menu, Menu):
        await menu.run()
        return
    named = campaign_name(desk.book.policy, asked.campaign)
    _log.warning("rights_menu_failed", call_id=str(journal.call_id), campaign=named, reason=menu.value)
    await _apologise(session, desk, asked.campaign)


async def _caller(session: Session) -> tuple[Direction, str]:
    """The unchecked number of the person on the channel: the number dialled, if the gate allowed that call;
    else the caller's, unless withheld.
    """
    dialled = await session.variable(NUMBER)
    if dialled:
        return Direction.OUTBOUND, dialled
    shown = session.head.get("agi_callingpres", "0")
    # bits 6 and 7 of the presentation indicator: 0 means allowed (Q.931, 4.5.10)
    withheld = _OCTET.fullmatch(shown) is None or int(shown) & 0x60 != 0
    caller_id = session.head.get("agi_callerid", "unknown")
    return Direction.INBOUND, "" if withheld or caller_id == "unknown" else caller_id


async def _menu(session: Session, desk: Desk, asked: RequestedCall, journal: Journal) -> Menu | Block:
    """The campaign's menu for this caller, or why there is none."""
    try:
        async with asyncio.timeout(TERMS_SECONDS):
            terms = await Drafter(asked, desk, journal).draft(needs_number=False)
    except NoTerms as none:
        return none.block
    except SoundError:
        return Block.PROMPTS_MISSING
    except (CcariError, TimeoutError):
        return Block.STORE_UNAVAILABLE
    if terms.number is None:
        unregistrable = Unregistrable(desk, asked, journal)
        return Menu(session, terms.campaign, terms.script.sounds, unregistrable, journal)
    journal.bind(number=terms.number.masked)
    registering = Registering(desk, terms, journal)
    source = partial(own_source, desk, terms)
    return Menu(session, terms.campaign, terms.script.sounds, registering, journal, source)


async def _apologise(session: Session, desk: Desk, campaign_id: str) -> None:
    policy = desk.book.policy
    campaign = policy.campaign(campaign_id) if policy else None
    try:
        language = campaign.language if campaign else DEFAULT_LANGUAGE
        sound = await desk.prompts.common(notices.RIGHT_FAILED, language)
    except SoundError as error:
        _log.error("prompt_missing", reason=str(error))
        return
    await play(session, sound)
