"""A diagnosis as a document for programs, and as an entry of a journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from vtc07.carrier.registers import Kind, Register
from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Finding
from vtc07.hhu.diagnosis.run import Diagnosis
from vtc07.hhu.history.token_masking import text_without_tokens, value_without_tokens
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.meter_log import ExecutedToken
from vtc07.hhu.texts import ENGLISH, Said, Texts
from vtc07.hhu.values import document

#: What stands in place of a token that is not to be shown, before its last digits.
MASK = "****"


def masked(token: str) -> str:
    """Return a token of which only the last four digits show."""
    return f"{MASK}{token[-4:]}" if token else token


def document_of(diagnosis: Diagnosis, *, mask: bool = False) -> dict[str, Any]:
    """Return a diagnosis for programs. ``mask``: tokens are not shown."""
    examined, token = diagnosis.examined, diagnosis.token
    companion = examined.companion
    return {
        "token": masked(token) if mask and token else token,
        "token_was_given": diagnosis.given,
        "result": None if diagnosis.entry is None else _result(examined, diagnosis.entry),
        "findings": [
            *(_finding("token", finding, mask=mask) for finding in diagnosis.of_token),
            *(_finding("meter", finding, mask=mask) for finding in diagnosis.of_meter),
        ],
        "registers": [
            document(
                value.register,
                value_without_tokens(value.register, value.value) if mask else value.value,
                companion,
            )
            for value in examined.registers
            if not (mask and _is_token(value.register))
        ],
        "refused": [
            {"address": r.register.address, "name": r.register.name, "why": r.why}
            for r in examined.refused
        ],
        "tokens": [
            {
                "sequence": entry.sequence,
                "token": masked(entry.token) if mask else entry.token,
                "tid": entry.tid,
                "kind": entry.kind,
                "value": entry.value,
                "result": _result(examined, entry),
                "powered_seconds_ago": seconds_ago(examined, entry),
            }
            for entry in (() if examined.tokens is None else examined.tokens.entries)
        ],
    }


def entry_of(diagnosis: Diagnosis, time: datetime) -> NewEntry:
    """Return the journal's entry of a diagnosis; the token stands apart, as a secret."""
    shown = document_of(diagnosis, mask=True)
    for name in ("token", "tokens"):
        shown.pop(name)
    secrets = {} if diagnosis.token is None else {"token": diagnosis.token}
    pan = diagnosis.examined.meter.meter_pan
    return NewEntry(EntryKind.DIAGNOSED, time, shown, pan, secrets=secrets)


def said_of(sentence: Said, *, mask: bool, texts: Texts = ENGLISH) -> str:
    """Return a finding's words. ``mask``: without a token that the meter itself may have said."""
    words = sentence.words(texts)
    return text_without_tokens(words) if mask else words


def seconds_ago(examined: Examination, entry: ExecutedToken) -> int | None:
    """Return how many powered seconds ago a token was executed, at least; None: not told."""
    time_s = None if examined.events is None else examined.events.time_of_token(entry.sequence)
    return None if time_s is None else examined.since_s(time_s)


def _result(examined: Examination, entry: ExecutedToken) -> str:
    return examined.companion.token_entry.status.describe(entry.status)


def _finding(about: str, finding: Finding, *, mask: bool) -> dict[str, Any]:
    advice = None if finding.advice is None else said_of(finding.advice, mask=mask)
    return {
        "about": about,
        "code": str(finding.code),
        "weight": finding.weight.value,
        "certainty": finding.certainty.value,
        "what": said_of(finding.what, mask=mask),
        "advice": advice,
    }


def _is_token(register: Register) -> bool:
    return register.data_type.kind is Kind.TOKEN
