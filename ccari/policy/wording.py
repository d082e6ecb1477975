"""The words of a campaign's prompts, and what proves them afterwards: the version of a notice, the digest of a sound."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.bases import OBJECTABLE
from ccari.policy.campaign import Campaign, NoticePrompt
from ccari.policy.keypad import KeyAction
from ccari.policy.notices import (
    COMMON,
    LANGUAGE_OFFER,
    MACHINE_MESSAGE,
    RIGHTS_WITHOUT_KEYS,
    menu,
    recording,
    sequence,
)
from ccari.policy.parties import Controller
from ccari.policy.recording import RECORDING_ANSWERS
from ccari.policy.rights import Right
from ccari.policy.sentences import ended_once

#: Said before the prompt that announces the recording, if the campaign gives a purpose for it.
_RECORDING_PURPOSE = "recording_purpose"


class Words(Protocol):
    """The catalogue of prompt texts, by language."""

    def template(self, id: str, language: str) -> str: ...  # noqa: A002 - the catalogue's own word

    def key_word(self, key: str, language: str) -> str: ...

    def basis_words(self, basis: str, language: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """One sound, and the words spoken in it.

    ``campaign``: None for a prompt shared by all campaigns, such as a confirmation. Otherwise the words are the campaign's own: who is
    calling, why, where the number comes from, which key does what.
    """

    id: str
    language: str
    text: str
    campaign: str | None = None

    @property
    def key(self) -> str:
        """The path of the sound below the sounds folder, without its ending: ``pl/renewals/identity``."""
        return "/".join(part for part in (self.language, self.campaign, self.id) if part)


def prompts(
    controller: Controller, campaign: Campaign, words: Words, language: str | None = None
) -> tuple[Prompt, ...]:
    """Every prompt that a call of this campaign may play in one of its languages, with its words filled in.

    ``language``: None for the one that its calls begin in.
    """
    language = language or campaign.language
    fields = _fields(controller, campaign, words, language)
    filled: list[Prompt] = []
    for name in _ids(campaign):
        if name == LANGUAGE_OFFER:
            filled.append(_language_offer(campaign, words, language))
            continue
        template = words.template(name, language)
        text = template.format_map(fields)
        if name == recording(campaign) and campaign.recording.purpose:
            # Art 4(11), 13(1)(c): the purpose is said before anybody agrees
            text = f"{words.template(_RECORDING_PURPOSE, language).format_map(fields)} {text}"
        if name == NoticePrompt.RIGHTS.value:
            text = " ".join([text, *_rights(campaign, words, language)])
        text = ended_once(text)
        # a template without placeholders is one sound for all campaigns
        filled.append(Prompt(name, language, text, None if text == template else campaign.id))
    filled += [Prompt(name, language, words.template(name, language)) for name in COMMON]
    return tuple(filled)


def _ids(campaign: Campaign) -> tuple[str, ...]:
    """The ids of the campaign's own prompts. What is played to a person who was informed before is a part of them."""
    outbound, inbound = sequence(campaign, informed=False), _inbound(campaign)
    asked = (NoticePrompt.SOURCE.value,) if KeyAction.DATA_SOURCE in campaign.keys.values() else ()
    machine = campaign.answering_machine
    message = (MACHINE_MESSAGE,) if machine is not None and machine.message else ()
    return tuple(dict.fromkeys((*outbound, *inbound, *asked, *message)))


def _fields(controller: Controller, campaign: Campaign, words: Words, language: str) -> dict[str, str]:
    """What the placeholders of the campaign's prompts stand for, by name."""
    answer = RECORDING_ANSWERS.get(campaign.recording.mode)
    keys = (words.key_word(key, language) for key, action in campaign.keys.items() if action is answer)
    return {
        "controller": controller.name,
        "purpose": campaign.purpose,
        "recording_purpose": campaign.recording.purpose or "",
        "data_source": campaign.data_source or "",
        "legal_basis_words": words.basis_words(campaign.legal_basis, language),
        "key": next(keys, ""),
    }


def _language_offer(campaign: Campaign, words: Words, language: str) -> Prompt:
    """Offers the next language after ``language``, in that next language: callees who need it understand no other."""
    other = campaign.next_language(language)
    key = next(key for key, action in campaign.keys.items() if action is KeyAction.LANGUAGE)
    text = words.template("menu_language", other).format(key=words.key_word(key, other))
    return Prompt(LANGUAGE_OFFER, other, text, campaign.id)


def _inbound(campaign: Campaign) -> tuple[str, ...]:
    """The ids of the notice of inbound calls. A campaign without an agent has none: it could not connect anybody."""
    return () if campaign.agent is None else sequence(campaign, informed=False, inbound=True)


def _rights(campaign: Campaign, words: Words, language: str) -> list[str]:
    """A sentence for each key. If no key exercises a right, or none the right to object, one more sentence says that the agent takes it."""
    sentence_of = menu(campaign)
    sentences = [
        words.template(name, language).format(key=words.key_word(key, language))
        for key, name in sentence_of.items()
    ]
    bound = {campaign.keys[key] for key in sentence_of}
    rights = {action.right for action in bound} - {None, Right.REFUSE_RECORDING}
    objection = KeyAction.OBJECTION_MARKETING if campaign.marketing else KeyAction.OBJECTION
    may_object = campaign.marketing or campaign.legal_basis in OBJECTABLE
    if not rights or (may_object and objection not in bound):
        sentences.append(words.template(RIGHTS_WITHOUT_KEYS, language))
    return sentences


def source(data_source: str, words: Words, language: str) -> Prompt:
    """The prompt that names a contact's source, such as the source of a list. It is shared by all campaigns."""
    name = f"source-{hashlib.sha256(data_source.encode()).hexdigest()[:16]}"
    text = words.template(NoticePrompt.SOURCE.value, language).format(data_source=data_source)
    return Prompt(name, language, ended_once(text))


def version(notice: tuple[Prompt, ...]) -> str:
    """The version of a notice: 16 hex digits, a hash of its words in order. Changed words are a new version."""
    return version_of((prompt.key, prompt.text) for prompt in notice)


def version_of(prompts: Iterable[tuple[str, str]]) -> str:
    """Like :func:`version`, from the key and words of each prompt."""
    lines = "\n".join(f"{key}\t{text}" for key, text in prompts)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def audio_digest(files: Mapping[str, str]) -> str:
    """The digest of a prompt's audio, whichever of its files was played: SHA-256 in hex.

    ``files``: the ending of each file, with the SHA-256 in hex of its content.
    """
    listed = json.dumps(dict(files), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(listed.encode()).hexdigest()
