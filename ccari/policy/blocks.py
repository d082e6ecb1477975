"""Why a call is not made, as a sentence for people."""

from collections.abc import Mapping

from ccari.policy.gate import Block
from ccari.policy.numbers import NumberFault

WHY: Mapping[Block, str] = {
    **{Block(fault.value): fault.words for fault in NumberFault},
    Block.BAD_ARGUMENTS: (
        "the dialplan did not name a number and a campaign, as in Stasis(ccari,outbound,NUMBER,CAMPAIGN), "
        "or it named an agent or destination that could be a telephone number"
    ),
    Block.UNKNOWN_CAMPAIGN: "the policy in force declares no such campaign: see ccari policy show",
    Block.NO_DESTINATION: "neither the campaign nor the call says whom to connect to: set the campaign's agent",
    Block.NO_POLICY: "no policy has been applied: ccari policy apply FILE",
    Block.SUPPRESSED_OBJECTION_MARKETING: "the person objected to the controller's marketing, Art 21(2)",
    Block.SUPPRESSED_OBJECTION: "the person objected to the controller's calls, Art 21(1)",
    Block.SUPPRESSED_WITHDRAW_CONSENT: "the person withdrew consent to the controller, Art 7(3), and has given none since",
    Block.SUPPRESSED_RESTRICTION: "the controller may only store the person's data at present, Art 18",
    Block.SUPPRESSED_ERASURE: "the person asked the controller for erasure, Art 17",
    Block.SUPPRESSED_DO_NOT_CALL: "the controller has barred the number",
    Block.SUPPRESSED_CAMPAIGN_OBJECTION_MARKETING: "the person objected to the marketing of this campaign, Art 21(2)",
    Block.SUPPRESSED_CAMPAIGN_OBJECTION: "the person objected to the calls of this campaign, Art 21(1)",
    Block.SUPPRESSED_CAMPAIGN_WITHDRAW_CONSENT: "the person withdrew consent to this campaign, Art 7(3), and has given none since",
    Block.SUPPRESSED_CAMPAIGN_RESTRICTION: "this campaign may only store the person's data at present, Art 18",
    Block.SUPPRESSED_CAMPAIGN_ERASURE: "the person asked for erasure from this campaign, Art 17",
    Block.SUPPRESSED_CAMPAIGN_DO_NOT_CALL: "the number is barred for this campaign",
    Block.SUPPRESSED_REGISTER: "the number is in a register of objections that the campaign must check, and no later consent overrides it",
    Block.REGISTER_STALE: "a register of objections that the campaign must check has never been loaded, or its copy is too old: load it again",
    Block.NO_CONSENT: "the campaign needs consent, and none to its purpose has been given for the number",
    Block.CONSENT_WITHDRAWN: "the consent to the campaign's purpose was withdrawn",
    Block.CONSENT_EXPIRED: "the consent to the campaign's purpose has expired",
    Block.NO_SOURCE: "it is not known where the number comes from: set the campaign's data_source, or import it as a contact",
    Block.SOURCE_EXPIRED: "the list that the number comes from may no longer be used",
    Block.OUTSIDE_HOURS: "it is not the time of day or the day of the week to call where the number is",
    Block.HOLIDAY: "it is a public holiday where the number is",
    Block.ATTEMPTS_EXHAUSTED: "the campaign has called the number as often as it may in all",
    Block.ATTEMPTS_CAPPED: "the number has been called as often as the campaign, or the rules of its country, allow for now",
    Block.ABANDONED_CAPPED: "too many people whom the campaign called recently reached no agent",
    Block.PROMPTS_MISSING: "a prompt that the call must play has no sound: ccari sounds build",
    Block.TOKEN_SPENT: "the permission to dial has already been used: it is for one call only",
    Block.STORE_UNAVAILABLE: "the database or the secrets cannot be read, or Asterisk lacks a module that the campaign needs: nothing is dialled without them",
}  # fmt: skip
