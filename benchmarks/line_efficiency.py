"""How much of a slow line a session uses: its time beside the least possible for its task.

Run `python benchmarks/line_efficiency.py [--companion NAME]... [--speed BD]... [--limit PERCENT]`;
it prints tables in Markdown and ends with 1 where a session is above the limit.

Real cores, a real meter and the procedures of `vtc07.hhu` on the simulated line, whose virtual
clock counts every character: the numbers depend on no machine. The meter has taken twelve tokens
before, so its logs are not empty. A session begins with its first
character and ends with the last one of the last answer it needs; signing off, which nothing
answers, is left out on both sides. What the bound holds stands in `line_bound`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import line_bound
from line_bound import Line, TokenTask
from vtc07.carrier.client import Client
from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.companion_file import load_companion, shipped_companions
from vtc07.carrier.endpoint import Perform, Procedure
from vtc07.carrier.events import Command, Read, RegistersRead
from vtc07.carrier.exchange.events import ReadOut, SignOn
from vtc07.carrier.exchange.hhu import HHU
from vtc07.carrier.exchange.settings import MODE_C_SPEEDS, START_SPEED
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.registers import Register
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered
from vtc07.hhu.progress import EntryWritten, Polling, Progress
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.links.link import ClientEndpoint
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import MemoryStore, Meter, MeterServer, MeterState, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TCT,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    TransferCredit,
    encode,
    key_change_set,
)

SPEEDS = (300, 600, 1200, 2400, 4800, 9600, 19200)
LIMIT = 2.0  # percent above the bound
PAN = MeterPAN("600727111111111153")
KEY = DecoderKey(EA.MISTY1, b"no secret: vtc07")
NEXT_KEY = DecoderKey(EA.MISTY1, b"no secret either")
ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
NEXT_ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("123456"), TI("07"), KRN(2), KEN(255), BaseDate.Y2014)
STORE_MS = 25  # what the unit allows the meter for storing, beyond the stated execution time
SLOW_NS = 3000 * MS  # an execution three times as long as the companions state
HISTORY = 12  # tokens that the meter has taken before
OVERVIEW = ("creditBalance", "totalConsumption", "loadSwitch", "disconnectReason", "tokenStatus")


# --- The meter -----------------------------------------------------------------------------------


def credit(companion: Companion, number: int) -> str:
    """Return a credit token of its own."""
    assert companion.meter is not None
    service = Service[companion.meter.service.upper()]
    return encode(TransferCredit(service, 5, 6_000_000 + number, 100), KEY).digits


def used_meter(companion: Companion) -> MeterState:
    """Return a meter that some tokens were typed into, so that its logs hold something."""
    store = MemoryStore(manufacture(companion, PAN, KEY, ATTRIBUTES, TID(5_000_000)))
    meter, now = Meter(companion, store, now_ns=0, execution_ns=0), 0
    for number in range(HISTORY):
        now += 60_000 * MS
        if meter.enter(credit(companion, number), TCT.NUMERIC, now) is not None:
            raise SystemExit("the meter does not take the tokens of its past")
        while (work := meter.next_work()) is not None:
            work()
            meter.work_done(None, now)
    return store.state


@dataclass
class Bench:
    """One meter, one client and the line between them."""

    companion: Companion
    state: MeterState
    speed: int
    execution_ns: int | None = None
    polls: list[int] = field(default_factory=list)  # for each entry, snapshots that showed 16

    def __post_init__(self) -> None:
        """Connect them."""
        in_mode_c = self.companion.mode_c is not None
        start = START_SPEED if in_mode_c else self.speed
        character_ns = -(-10_000 * MS // start)
        self.meter = Meter(
            self.companion,
            MemoryStore(self.state),
            now_ns=0,
            execution_ns=self.execution_ns,
        )
        core = ModeCClient if in_mode_c else Client
        self.line = SimulatedLine(
            core(self.companion, character_ns=character_ns),
            MeterServer(self.companion, self.meter, character_ns=character_ns),
            speed=start,
            in_runs=True,
        )
        self.session = Session(
            self.companion, character_ns=character_ns, on_progress=self._on_progress
        )

    def _on_progress(self, progress: Progress) -> None:
        match progress:
            case EntryWritten():
                self.polls.append(0)
            case Polling():
                self.polls[-1] += 1

    def time(self, procedure: Procedure[Any]) -> tuple[int, Any]:
        """Return how long a procedure takes on the line, in ns, and what it returns."""
        result = self.line.run(procedure)
        return self.line.now_ns, result

    def length(self, register: Register) -> int:
        """Return how many characters the register's value has now."""
        (value,) = self.meter.values([register], self.line.now_ns)
        return len(register.encode(value))


# --- The tasks -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """A session's time, the bound without and with its polls, and a simple client's; in ns."""

    companion: str
    task: str
    speed: int
    session_ns: int
    bound_ns: int
    polls: int = 0
    polls_ns: int = 0
    one_by_one_ns: int | None = None

    @property
    def excess(self) -> float:
        """By how many percent the session, its polls aside, is above the bound."""
        return 100 * ((self.session_ns - self.polls_ns) / self.bound_ns - 1)


def one_register_a_message(session: Session, wanted: Sequence[Register]) -> Procedure[None]:
    """Read registers as a client without plan does."""
    yield from session.identify()
    for register in wanted:
        if register.name != "meterPAN":  # told already
            event = yield from session.command(Read(register))
            assert isinstance(event, RegistersRead)


def reading_tasks(companion: Companion) -> dict[str, tuple[Register, ...]]:
    """Return which registers each reading task wants."""
    table = companion.table
    everything = tuple(r for r in table if r.read_level == 0)
    names = [r.name for r in everything]
    first, last = names.index("meterPAN"), names.index("baseDate")
    return {
        "identify": (table.named("meterPAN"),),
        "nameplate": everything[first : last + 1],
        "a few registers": tuple(table.named(n) for n in OVERVIEW if table.has(n)),
        "all registers": everything,
    }


def measure_reading(
    companion: Companion, state: MeterState, line: Line, task: str, wanted: tuple[Register, ...]
) -> Measured:
    """Measure one reading task."""
    bench = Bench(companion, state, line.speed)
    if task == "identify":
        session_ns, _ = bench.time(bench.session.identify())
    else:
        session_ns, found = bench.time(read(bench.session, wanted))
        if len(found.values) != len(wanted):
            raise SystemExit(f"{companion.name}, {task}: not everything was read")
    needed = frozenset(wanted) | line_bound.pan(companion)
    bound_ns = line_bound.sign_on(companion, line)
    bound_ns += line_bound.reading(companion, line, needed, bench.length)[0]
    simple = Bench(companion, state, line.speed)
    simple_ns, _ = simple.time(one_register_a_message(simple.session, wanted))
    return Measured(companion.name, task, line.speed, session_ns, bound_ns, one_by_one_ns=simple_ns)


def measure_readout(companion: Companion, state: MeterState, line: Line) -> Measured:
    """Measure what `vtc07 readout` asks of a meter of mode C."""
    bench = Bench(companion, state, line.speed)
    bench.line.client = cast(
        "ClientEndpoint", HHU(companion.timing, limits=companion.limits, paced=True)
    )

    def sign_on() -> Procedure[Any]:
        return (yield Perform(cast("Command", SignOn())))

    session_ns, event = bench.time(sign_on())
    if not isinstance(event, ReadOut):
        raise SystemExit(f"{companion.name}: no readout, but {event}")
    response = len(f"/{event.identity.flag}Z{event.identity.identification}\r\n")
    block = bench.line.sent("server") - response
    bound_ns = line_bound.readout(line, response, block)
    return Measured(companion.name, "readout", line.speed, session_ns, bound_ns)


def measure_tokens(
    companion: Companion,
    state: MeterState,
    line: Line,
    task: str,
    digits: Sequence[str],
    *,
    execution_ns: int | None = None,
) -> Measured:
    """Measure a delivery; ``execution_ns``: what the meter really takes, if not what is stated."""
    bench = Bench(companion, state, line.speed, execution_ns)
    tokens = [TokenToSend(each) for each in digits]
    before = bench.length(companion.table.named("lastToken"))
    session_ns, report = bench.time(
        send(
            bench.session,
            MemoryJournal(),
            tokens,
            wall_clock=lambda: datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        )
    )
    if not all(isinstance(outcome, Delivered) for outcome in report.outcomes):
        raise SystemExit(f"{companion.name}, {task}: not everything was delivered")
    assert companion.meter is not None
    about = TokenTask(
        (before, *[len(each) for each in digits]),
        companion.meter.execution_ms * MS if execution_ns is None else execution_ns,
        [0] * len(digits),
    )
    start = line_bound.sign_on(companion, line)
    bound_ns = start + line_bound.tokens(companion, line, about, bench.length)
    polled = replace(
        about, polls=bench.polls, first_ns=(companion.meter.execution_ms + STORE_MS) * MS
    )
    polled_ns = start + line_bound.tokens(companion, line, polled, bench.length)
    return Measured(
        companion.name,
        task,
        line.speed,
        session_ns,
        bound_ns,
        sum(bench.polls),
        polled_ns - bound_ns,
    )


def measure(names: Sequence[str], speeds: Sequence[int]) -> Iterator[Measured]:
    """Measure every task for these companions and speeds."""
    for name in names:
        shipped = load_companion(name)
        for speed in speeds:
            companion = shipped
            if shipped.mode_c is not None:
                # A meter that announces this speed, be it beyond the shipped companion's.
                z = next(z for z, promised in MODE_C_SPEEDS.items() if promised == speed)
                speeds_known = tuple(sorted({*shipped.mode_c.speeds, speed}))
                companion = replace(
                    shipped,
                    baud_identification=z,
                    mode_c=replace(shipped.mode_c, speeds=speeds_known),
                )
            line = Line(speed, companion.reaction_ns)
            state = used_meter(companion)
            for task, wanted in reading_tasks(companion).items():
                yield measure_reading(companion, state, line, task, wanted)
            if shipped.mode_c is not None:
                yield measure_readout(companion, state, line)
            change = key_change_set(KEY, NEXT_KEY, NEXT_ATTRIBUTES, ro=False)
            one = [credit(companion, HISTORY)]
            yield measure_tokens(companion, state, line, "one token", one)
            slow = "one token, executed in 3 s"
            yield measure_tokens(companion, state, line, slow, one, execution_ns=SLOW_NS)
            four = [data.digits for data in change]
            yield measure_tokens(companion, state, line, "key change, four tokens", four)


# --- The tables ----------------------------------------------------------------------------------


def seconds(ns: int) -> str:
    """Return a time for people."""
    return f"{ns / 1e9:.2f}"


def cell(m: Measured | None) -> str:
    """Return the session's time and the bound; in between, what polls added."""
    if m is None:
        return ""
    polls = f" - {seconds(m.polls_ns)}" if m.polls else ""
    return f"{seconds(m.session_ns)}{polls} / {seconds(m.bound_ns)}"


def times_as_long(m: Measured | None) -> str:
    """Return how many times as long a client takes that reads one register a message."""
    if m is None or m.one_by_one_ns is None:
        return ""
    return f"{m.one_by_one_ns / m.session_ns:.1f} x"


def print_table(measured: Sequence[Measured], tell: Callable[[str], None] = print) -> None:
    """Print one table for each companion: a row for each task, a column for each speed."""
    for name in dict.fromkeys(m.companion for m in measured):
        found = {(m.task, m.speed): m for m in measured if m.companion == name}
        speeds = sorted({speed for _, speed in found})
        tasks = dict.fromkeys(task for task, _ in found)
        tell(f"\n### {name}\n")
        tell("| Session / bound, s | " + " | ".join(f"{speed} Bd" for speed in speeds) + " |")
        tell("|---|" + "---:|" * len(speeds))
        for task in tasks:
            tell(f"| {task} | {' | '.join(cell(found.get((task, s))) for s in speeds)} |")
        for task in tasks:
            ratios = [times_as_long(found.get((task, s))) for s in speeds]
            if task != "identify" and any(ratios):
                tell(f"| {task}, one a message | {' | '.join(ratios)} |")
        worst = max(found.values(), key=lambda m: m.excess)
        polls = sum(m.polls for m in found.values())
        tell(
            f"\nFarthest above the bound: {worst.excess:.2f} % ({worst.task}, {worst.speed} Bd). "
            f"Polls: {polls or 'none'}."
        )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Sessions beside the least time for their tasks.")
    parser.add_argument("--companion", action="append", choices=shipped_companions())
    parser.add_argument("--speed", action="append", type=int, choices=SPEEDS)
    parser.add_argument("--limit", type=float, default=LIMIT, help="percent above the bound")
    options = parser.parse_args()
    measured = list(measure(options.companion or shipped_companions(), options.speed or SPEEDS))
    print_table(measured)
    worst = max(m.excess for m in measured)
    print(f"\nOf all of them: {worst:.2f} %. The limit is {options.limit:g} %.")
    return 0 if worst <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
