"""A run as a readable sequence of messages, with what went wrong between them."""

from __future__ import annotations

from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.faults import CRASHES, in_words
from vtc07.simulation.plan import Plan
from vtc07.simulation.powered import DIRECT, companion
from vtc07.simulation.run import Run
from vtc07.simulation.world import simulate
from vtc07.trace.message import TraceMessage, TraceSpeed
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate

_S = 10**9
_US = 10**3


def tell(plan: Plan, parts: Parts = REAL) -> tuple[Run, list[str]]:
    """Run a plan and return it with its story, a line for each message and each event.

    The times are seconds on the line; a message stands at its first character, an event at its
    instant.
    """
    told: list[tuple[int, str]] = []

    def message(found: TraceMessage) -> None:
        text = "".join(piece.text for piece in annotate(found, companion(plan.companion)).pieces)
        told.append((found.time_ns, text))

    def speed(found: TraceSpeed) -> None:
        who = "unit" if found.sender == "client" else "meter"
        told.append((found.time_ns, f"   the {who} goes on at {found.speed} Bd"))

    recorder = Recorder(message, on_speed=speed, start_ns=0)
    run = simulate(
        plan,
        parts,
        observer=recorder.character,
        on_speed=recorder.speed,
        on_story=lambda instant_ns, sentence: told.append((instant_ns, f"   {sentence}")),
    )
    recorder.finish()
    told.sort(key=lambda entry: entry[0])
    return run, [f"{_seconds(instant)} {text}" for instant, text in told]


def describe(plan: Plan) -> list[str]:
    """Return a plan in words: the meter, the tokens, the faults."""
    make = plan.make
    lines = [
        f"seed {plan.seed}: a meter with EA{make.ea.code}, KT {int(make.kt)}, {make.credit} Wh of "
        f"credit, a load of {make.power} W, {make.execution_ns // 10**6} ms for a token; called "
        + ("by its MeterPAN" if plan.addressed else "without an address")
    ]
    if plan.stated_ms:
        lines.append(f"the unit expects a token to take {plan.stated_ms} ms")
    if plan.resumes and any(isinstance(fault, CRASHES) for fault in plan.faults):
        lines.append("after a crash the unit resumes before it sends")
    if plan.companion != DIRECT:
        asked = "the meter's speed" if plan.speed is None else f"at most {plan.speed} Bd"
        given = "gives the password" if plan.password else "gives no password"
        lines.append(f"companion {plan.companion}: the unit asks for {asked} and {given}")
    if make.wrong_passwords:
        lines.append(f"before: {make.wrong_passwords} wrong passwords")
    if make.failures or make.tampered or make.executed:
        lines.append(
            f"before: {make.failures} wrong tokens, {make.executed} tokens in all; "
            f"{'tampered with' if make.tampered else 'not tampered with'}"
        )
    lines += [f"token: {kind.value} ({number})" for kind, number in plan.tokens]
    lines += [f"fault: {in_words(fault)}" for fault in plan.faults]
    return lines


def _seconds(instant_ns: int) -> str:
    whole, rest = divmod(instant_ns, _S)
    return f"{whole:6}.{rest // _US:06}"
