"""A stop as a report shows it: its tokens as they may be shown, its deliveries as they went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vtc07.hhu.history.token_masking import MASK, note_without_tokens, text_without_tokens
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.outcome import EXPLANATIONS, Refused
from vtc07.hhu.report.markup import Markup
from vtc07.hhu.route.facts import RouteToken
from vtc07.hhu.route.task import StopState, TaskKind, TaskState
from vtc07.trace.values import grouped

_SHOWN_DIGITS = 4


@dataclass(frozen=True, slots=True)
class ReportedTask:
    """One task. ``token``: its digits in groups as they may be shown, empty for other kinds.

    ``section``: which of how many of a key change it is, as ``2/4``, else empty. ``entries``: how
    many times the token was entered, None where no delivery is known. ``history``: the messages
    of a delivery that was not simply done, as a picture, None where there is nothing to draw.
    ``explanation``: what a refusal means to whoever holds the token, empty where it says so itself.
    """

    state: TaskState
    token: str = field(default="", repr=False)
    section: str = ""
    entries: int | None = None
    history: Markup | None = field(default=None, repr=False)
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class ReportedStop:
    """A stop with its tasks; with masked tokens there is none in any text of it."""

    state: StopState
    tasks: tuple[ReportedTask, ...]


def reported(state: StopState, tasks: Sequence[ReportedTask], *, mask: bool) -> ReportedStop:
    """Return a stop as it may be shown; ``tasks`` as `reported_task` made them."""
    if mask:
        stop = state.stop
        shown = replace(
            stop,
            deliver=(),
            place=note_without_tokens(stop.place),
            notes=note_without_tokens(stop.notes),
        )
        state = replace(state, stop=shown)
    return ReportedStop(state, tuple(tasks))


def reported_task(
    state: StopState,
    task: TaskState,
    *,
    mask: bool,
    delivery: Delivery | None = None,
    history: Markup | None = None,
) -> ReportedTask:
    """Return a task as it may be shown; ``delivery``: its token's, where there is one."""
    digits = section = ""
    if task.kind is TaskKind.DELIVER and task.place < len(state.stop.deliver):
        token = state.stop.deliver[task.place]
        digits, section = shown_token(token.digits, mask=mask), _section(token)
    if mask:
        task = replace(
            task,
            subject=text_without_tokens(task.subject),
            values=tuple(_value_without_tokens(value) for value in task.values),
        )
    entries = None if delivery is None else delivery.writes
    return ReportedTask(task, digits, section, entries, history, _explanation(delivery))


def shown_token(digits: str, *, mask: bool) -> str:
    """Return a token's digits in groups of four; masked, only the last four are digits."""
    if mask:
        digits = MASK * (len(digits) - _SHOWN_DIGITS) + digits[-_SHOWN_DIGITS:]
    return grouped(digits)


def _explanation(delivery: Delivery | None) -> str:
    ended = None if delivery is None else delivery.ended
    if ended is None or ended.status is None or ended.outcome != Refused.__name__:
        return ""
    return EXPLANATIONS.get(ended.status, "")


def _section(token: RouteToken) -> str:
    return f"{token.section}/{token.sections}" if token.of_key_change else ""


def _value_without_tokens(value: dict[str, Any]) -> dict[str, Any]:
    """Return a register's document without a token: what the shape of any text in it tells."""
    masked = {
        key: text_without_tokens(item) if isinstance(item, str) else item
        for key, item in value.items()
    }
    if masked["value"] != value["value"]:
        masked["raw"] = MASK * len(value["raw"])  # it may be the same token in hexadecimal
    return masked
