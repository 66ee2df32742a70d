"""What became of the tokens of a stop, judged by the journal's deliveries to its meter.

Whoever made them: a token is never entered again because a route's file was changed or another
command was used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.result import Result
from vtc07.hhu.outcome import EXPLANATIONS, Delivered, Meaning, Refused
from vtc07.hhu.route.entries import Noted
from vtc07.hhu.route.facts import RouteToken, Stop
from vtc07.hhu.route.task import TaskKind, TaskResult, TaskState
from vtc07.hhu.texts import Said, said

#: Refusals that pass: as it is, the token may be taken another day.
_PASSING: Final = frozenset({TokenStatus.OVERFLOW_ERROR, TokenStatus.DDTK_ERROR})
NOT_BEGUN: Final = said("to do")


def token_subject(token: RouteToken) -> str:
    """Return what a token is called without showing it: ``7890``, of a key change ``7890 2/4``."""
    last = token.digits[-4:]
    return f"{last} {token.section}/{token.sections}" if token.of_key_change else last


def is_section(subject: str) -> bool:
    """Say whether it is a section of a key change that is called so."""
    return "/" in subject


def token_result(outcome: Result) -> TaskResult:
    """Return what an outcome means for the task.

    A section of a key change that was taken is still to do: the meter forgets it if the others do
    not follow, and entering it again harms nothing. With the last of its set all are done.
    """
    match outcome.meaning:
        case Meaning.DONE:
            staged = outcome.taken not in (None, TokenStatus.ACCEPT)
            return TaskResult.TO_DO if staged else TaskResult.DONE
        case Meaning.UNRESOLVED:
            return TaskResult.OPEN
    if outcome.outcome == Refused.__name__ and outcome.status not in _PASSING:
        return TaskResult.REFUSED
    return TaskResult.TO_DO


def token_tasks(
    stop: Stop, deliveries: Sequence[Delivery], noted: Sequence[Noted]
) -> Iterable[TaskState]:
    """Yield the states of a stop's tokens in their order.

    ``deliveries``: every one to the meter. ``noted``: what entries of the round say of its tokens.
    """
    of_each = [[d for d in deliveries if d.token == token.digits] for token in stop.deliver]
    states = [
        _token_task(place, token, of_it, noted)
        for place, (token, of_it) in enumerate(zip(stop.deliver, of_each, strict=True))
    ]
    done = [place for place, state in enumerate(states) if state.result is TaskResult.DONE]
    whole = any(stop.deliver[place].of_key_change for place in done)
    last = max(done, default=-1)
    blocked = False
    for place, (state, token) in enumerate(zip(states, stop.deliver, strict=True)):
        task = state
        if state.result not in _KNOWN and (
            whole if token.of_key_change else place < last and _is_staged(of_each[place])
        ):
            # The meter changes its key with the last section, whoever entered the others.
            task = replace(state, result=TaskResult.DONE, said=_KEY_CHANGED, why="")
        elif blocked and state.result is TaskResult.TO_DO:
            task = replace(state, said=_BLOCKED, why="")
        blocked |= task.result in (TaskResult.REFUSED, TaskResult.OPEN)
        yield replace(task, why="") if task.why and task.result is TaskResult.DONE else task


_EXECUTED: Final = (Delivered.__name__, Refused.__name__)
_KNOWN: Final = (TaskResult.DONE, TaskResult.OPEN)
_KEY_CHANGED: Final = said("the key change is complete")
_BLOCKED: Final = said("not sent: the token before it is to be settled first")
_STAGED: Final = said("the meter has taken this section; the others of its set are awaited")


def _token_task(
    place: int, token: RouteToken, deliveries: Sequence[Delivery], noted: Sequence[Noted]
) -> TaskState:
    subject = token_subject(token)
    state = TaskState(TaskKind.DELIVER, place, subject, TaskResult.TO_DO, NOT_BEGUN)
    numbers = {d.number for d in deliveries}
    of_it = [
        n
        for n in noted
        if n.delivery in numbers
        or (n.delivery is None and (n.place, n.subject) == (place, subject))
    ]
    last = of_it[-1] if of_it else None
    decisive = _decisive(deliveries)
    if decisive is None:
        return as_noted(state, last)
    result, words = _judged(decisive)
    state = replace(state, why=why_refused(decisive.ended))
    if (
        last is not None
        and result is TaskResult.TO_DO
        and (last.delivery is None or last.result is TaskResult.DONE)
    ):
        return as_noted(state, last)  # what was found out later: of a key change, that it is whole
    if token.of_key_change and any(n.delivery == decisive.number for n in of_it):
        return as_noted(state, last)  # the set as a whole says more than one token's result
    entry = next((n for n in reversed(of_it) if n.delivery == decisive.number), None)
    if entry is not None and entry.result is result:
        return as_noted(state, entry)
    time = decisive.closed or decisive.opened
    return replace(state, result=result, said=words, time=time, delivery=decisive.number)


def _decisive(deliveries: Sequence[Delivery]) -> Delivery | None:
    """Return the delivery that says what became of a token.

    One that is open, else one that was accepted, else one of which nobody will ever know, else the
    last that the meter executed, else the last.
    """
    ended = [(d, d.ended) for d in reversed(deliveries) if d.ended is not None]
    still_open = (d for d in deliveries if d.ended is None)
    accepted = (d for d, e in ended if token_result(e) is TaskResult.DONE)
    undecided = (d for d, e in ended if token_result(e) is TaskResult.OPEN)
    executed = (d for d, e in ended if e.outcome in _EXECUTED)
    for choice in (still_open, accepted, undecided, executed, reversed(deliveries)):
        if (found := next(choice, None)) is not None:
            return found
    return None


def _is_staged(deliveries: Sequence[Delivery]) -> bool:
    """Say whether the meter took a token as a section of a key change, and no more is known."""
    decisive = _decisive(deliveries)
    if decisive is None or decisive.ended is None or decisive.ended.meaning is not Meaning.DONE:
        return False
    return token_result(decisive.ended) is TaskResult.TO_DO


def _judged(delivery: Delivery) -> tuple[TaskResult, Said]:
    ended = delivery.ended
    if ended is None:
        return TaskResult.OPEN, said(
            "delivery {number} is open: the token may have been taken or not",
            number=delivery.number,
        )
    if _is_staged([delivery]):
        return token_result(ended), _STAGED
    words = said("{outcome}", outcome=ended.text)
    match ended.outcome, ended.status:
        case "Delivered", TokenStatus() as status:
            words = Delivered(status, now_or_before=ended.now_or_before).said
        case "Refused", TokenStatus() as status:
            words = Refused(status).said
    return token_result(ended), words


def why_refused(ended: Result | None) -> str:
    """Return what the refusal of a token means; empty for every other result."""
    if ended is None or ended.status is None or ended.outcome != Refused.__name__:
        return ""
    return EXPLANATIONS.get(ended.status, "")


def as_noted(state: TaskState, noted: Noted | None) -> TaskState:
    """Return the state of a task as an entry says it; as it is without one."""
    if noted is None:
        return state
    return replace(
        state,
        result=noted.result,
        said=noted.said,
        time=noted.time,
        entry=noted.entry,
        delivery=noted.delivery,
        values=noted.values,
    )
