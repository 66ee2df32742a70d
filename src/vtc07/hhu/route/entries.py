"""A visit to a meter of a route as the journal holds it: arrived, what tasks came to, left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from vtc07.hhu.history.token_masking import MASK, text_without_tokens
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.entries import Entry, EntryKind, NewEntry
from vtc07.hhu.route.facts import Route, Stop
from vtc07.hhu.route.task import TaskKind, TaskResult, TaskState
from vtc07.hhu.texts import Said

#: The kinds of a visit's entries.
OF_A_VISIT: Final = (EntryKind.ARRIVED, EntryKind.TASK, EntryKind.LEFT)
_TOLD: Final = ("value", "raw", "text")
_SUBJECT: Final = "subject"  # the secret's name


def visit_entry(
    kind: EntryKind, time: datetime, meter_pan: str, route: Route, number: int, **members: Any
) -> NewEntry:
    """Return an entry ARRIVED or LEFT of the route's round of this ``number``."""
    about = {"round": number, "digest": route.digest, **members}
    return NewEntry(kind, time, about, meter_pan=meter_pan, route=route.name)


def task_entry(task: TaskState, stop: Stop, meter_pan: str, route: Route, number: int) -> NewEntry:
    """Return the entry of what became of a task; ``task.time`` must be known.

    A subject or value with a token in it stands in the entry masked, and as it is among the
    secrets; what was said of it stays masked.
    """
    assert task.time is not None
    secrets: dict[str, str] = {}
    subject = text_without_tokens(task.subject)
    if subject != task.subject:  # a text that is to be written
        secrets[_SUBJECT] = task.subject
    values = [_kept(value, f"value {place}", secrets) for place, value in enumerate(task.values)]
    about = {
        "round": number,
        "line": stop.line,
        "kind": task.kind.value,
        "place": task.place,
        "subject": subject,
        "result": task.result.name.lower(),
        "said": _masked(task.said.document()),
        "values": values,
    }
    return NewEntry(EntryKind.TASK, task.time, about, meter_pan, task.delivery, route.name, secrets)


def _kept(value: Mapping[str, Any], name: str, secrets: dict[str, str]) -> dict[str, Any]:
    told = {key: value[key] for key in _TOLD}
    masked = {key: _masked(text) for key, text in told.items()}
    if masked == told:
        return dict(value)
    if masked["value"] == told["value"] or masked["raw"] == told["raw"]:
        masked = {key: MASK * len(str(text)) for key, text in told.items()}
    secrets[name] = json.dumps(told)
    return {**value, **masked, "secret": name}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(inner) for key, inner in value.items()}
    return text_without_tokens(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Noted:
    """What an entry TASK says; its fields are those of `TaskState`."""

    kind: TaskKind
    place: int
    subject: str
    result: TaskResult
    said: Said
    time: datetime
    entry: int
    delivery: int | None
    values: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, entry: Entry) -> Noted:
        """Read an entry; JournalError where it is not what `task_entry` made."""
        about = entry.members
        try:
            return cls(
                TaskKind(about["kind"]),
                int(about["place"]),
                str(entry.secrets.get(_SUBJECT, about["subject"])),
                TaskResult[about["result"].upper()],
                Said.from_document(about["said"]),
                entry.time,
                entry.number,
                entry.delivery,
                tuple(_told(value, entry.secrets) for value in about["values"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            raise JournalError(
                f"entry {entry.number} of the journal is not what was written; vtc07 hhu verify "
                "finds what else is wrong"
            ) from None


def _told(value: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    told = dict(value)
    secret = secrets.get(told.pop("secret", ""))
    return told if secret is None else {**told, **json.loads(secret)}
