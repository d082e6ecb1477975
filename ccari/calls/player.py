"""What one call plays: the sound of each prompt, and the playbacks under way."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from ccari.calls.desk import Desk
from ccari.calls.events import Ids, Playback
from ccari.calls.transport import LinkLost
from ccari.errors import AsteriskError, SoundError
from ccari.gating.sourcing import own_source
from ccari.gating.terms import Terms
from ccari.policy import confirmations, notices
from ccari.policy.call import Party
from ccari.policy.campaign import DEFAULT_LANGUAGE, NoticePrompt
from ccari.ports.sounds import Sound

#: How long a prompt of an earlier run, or one that Asterisk started without answering us, may still play;
#: most last a few seconds.
OVERHANG_SECONDS = 60.0
#: Asterisk reports a key whose beginning it has not seen (SIP INFO) when it comes. It then plays it to the
#: other party for its stated length, but for at least this long (``__ast_read`` in main/channel.c).
SHORTEST_KEY_SECONDS = 0.08
#: A key stated as longer than this was really held down: for a touch, no telephone states more. Browsers state 2 s.
LONGEST_KEY_SECONDS = 2.0
#: Asterisk notices that it has played a key for long enough only when it reads the next frame.
KEY_GRACE_SECONDS = 0.1


class Player:
    """Plays the prompts of one call.

    ``campaign``: the campaign as requested, unchecked. ``playbacks``: the newest one to each party.
    """

    def __init__(self, ids: Ids, desk: Desk, campaign: str) -> None:
        self._ids = ids
        self._desk = desk
        self._campaign = campaign
        self.playbacks: dict[Party, Playback] = {}
        #: Channels to which an unknown prompt may be playing, each with the time when it is over at the
        #: latest, by the loop's clock.
        self._unsure: dict[str, float] = {}
        #: When the last key of either party has surely been played to the other, by the loop's clock.
        self._key_over_at = 0.0
        #: Keys that a prompt has cut off, each with the channel that heard only the beginning.
        self._cut_keys: list[tuple[str, str]] = []

    def take_note(self, event: Mapping[str, Any]) -> None:
        """While the two hear each other's keys, note a key that Asterisk may still be playing to the other
        party, or that a prompt has cut off.
        """
        if event["type"] != "ChannelDtmfReceived":
            return
        now, held = asyncio.get_running_loop().time(), max(0, event.get("duration_ms", 0)) / 1000
        over = min(max(held, SHORTEST_KEY_SECONDS), LONGEST_KEY_SECONDS) + KEY_GRACE_SECONDS
        self._key_over_at = now + over
        for party, other in ((Party.CALLEE, Party.AGENT), (Party.AGENT, Party.CALLEE)):
            pressed, prompt = event["channel"]["id"] == self._ids.channel(party), self.playbacks.get(party)
            if pressed and prompt is not None and now - held - KEY_GRACE_SECONDS <= prompt.asked_at:
                self._cut_keys.append((self._ids.channel(other), str(event["digit"])))

    async def await_keys(self) -> None:
        """Wait until the last key has been played to the other party. A prompt takes its listener out of the bridge. The
        end of the key would then not reach the other party, and Asterisk would send that party no more sound.
        """
        loop = asyncio.get_running_loop()
        latest = loop.time() + LONGEST_KEY_SECONDS + KEY_GRACE_SECONDS
        while (left := min(self._key_over_at, latest) - loop.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)

    async def pass_on_keys(self) -> None:
        """Send whole keys to those who heard only the beginning: until then Asterisk sends them nothing else.
        A key is reported only on release, so a prompt cannot wait for a key that is being held.
        """
        cut, self._cut_keys = self._cut_keys, []
        for channel, key in cut:
            with contextlib.suppress(AsteriskError):
                await self._desk.ari.send_key(channel, key)

    def resume(self) -> None:
        """Take up a talk: prompts of the earlier run may still be playing."""
        for party in Party:
            self._doubt(party)

    def knows_all(self, party: Party) -> bool:
        """False while an unknown prompt may be playing to the party: one that an earlier run started, or one that Asterisk
        did not answer about. It is over once a later prompt has played whole, since Asterisk plays one at a time.
        """
        newest = self.playbacks.get(party)
        over = newest is not None and newest.whole
        return over or asyncio.get_running_loop().time() >= self._unsure.get(self._ids.channel(party), 0.0)

    def _doubt(self, party: Party) -> None:
        self._unsure[self._ids.channel(party)] = asyncio.get_running_loop().time() + OVERHANG_SECONDS

    async def play(self, party: Party, prompt: str, terms: Terms | None) -> None:
        """Play a prompt to a party. ``terms`` is None before the gate has allowed the call."""
        sound = await self._sound(party, prompt, terms)
        if self.knows_all(party):
            # forget the doubt now, while the newest playback, about to be replaced, shows that it is over
            self._unsure.pop(self._ids.channel(party), None)
        # registered before the request, since its events may come before the reply
        asked_at = asyncio.get_running_loop().time()
        playback = self.playbacks[party] = Playback(str(uuid4()), party, prompt, sound.duration_ms, asked_at)
        try:
            await self._desk.ari.play(self._ids.channel(party), playback.id, sound.media)
        except LinkLost:
            self._doubt(party)
            raise

    async def stop(self) -> None:
        """Stop the prompt that is playing to the callee."""
        playback = self.playbacks.get(Party.CALLEE)
        if playback is not None:
            playback.stopped_by_us = True
            await self._desk.ari.stop_playback(playback.id)

    async def fall_silent(self, party: Party) -> None:
        """Stop the prompt that is playing to a party, before the dialplan gets the channel back. A failure is ignored."""
        playback = self.playbacks.get(party)
        if playback is not None:
            # Asterisk sets no variable of a channel while a prompt plays to it
            with contextlib.suppress(AsteriskError):
                await self._desk.ari.stop_playback(playback.id)

    async def _sound(self, party: Party, prompt: str, terms: Terms | None) -> Sound:
        if terms is None:
            return await self._before_the_gate(prompt)
        if prompt == notices.SOURCE_ASKED:
            # else the source that the campaign gives for all of its numbers
            return await own_source(self._desk, terms) or terms.script.sounds[NoticePrompt.SOURCE.value]
        if party is Party.AGENT:
            # the agent hears the campaign's language, whichever the callee has chosen
            return terms.scripts[terms.campaign.language].sounds[prompt]
        parts = confirmations.spelt_out(prompt)
        if parts == (prompt,):
            return terms.script.sounds[prompt]
        sounds = [await self._desk.prompts.common(each, terms.language) for each in parts]
        # one playback of several files: a confirmation, unlike the notice, needs no proof that it was heard
        return Sound(
            ",".join(each.media for each in sounds), sum(each.duration_ms for each in sounds),
            " ".join(each.text for each in sounds),
        )  # fmt: skip

    async def _before_the_gate(self, prompt: str) -> Sound:
        """The sound of a prompt for a call without terms: in the campaign's language, if the campaign is
        known and has the sound.
        """
        policy, prompts = self._desk.book.policy, self._desk.prompts
        campaign = policy.campaign(self._campaign) if policy else None
        if campaign is not None:
            with contextlib.suppress(SoundError):
                return await prompts.common(prompt, campaign.language)
        return await prompts.common(prompt, DEFAULT_LANGUAGE)
