"""Meters of the bench for tests: their works by hand on a clock of one's own, or with threads."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from vtc07.carrier.status import TokenStatus
from vtc07.cli.connection import Connection
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.progress import OnProgress, Progress
from vtc07.links.clock import VirtualClock
from vtc07.screens.delivering import Told, deliver, deliver_set
from vtc07.screens.meter_line import Target, Warnings
from vtc07.tokens import Service
from vtc07.web.bench.bench import KINDS, BenchMeter, Issued, Kind, Panel, PointOfSale
from vtc07.web.bench.works import Surroundings, Works

T = TypeVar("T")

S = 1_000_000_000
MS = 1_000_000
#: Ends what is stuck; nothing is measured by it.
GUARD_S = 60
BY_NAME = {kind.name: kind for kind in KINDS}
ISSUED_AT = datetime(2026, 11, 23, 9, 30, 12, tzinfo=UTC)

#: A meter whose line and answers are fast, for tests in real time.
QUICK = """
extends = "electricity"
[identity]
flag = "VTc"
[link.optical]
speed = 115200
[timing]
reaction_ms = 2
fast_reaction_ms = 1
longest_reaction_ms = 350
inter_character_ms = 350
repeat_ms = 500
attempts = 2
reconnects = 2
reconnect_pause_ms = 1
inactivity_s = 2
[token_entry]
poll_ms = 20
execution_limit_ms = 600
[meter]
execution_ms = {execution_ms}
"""


# --- by hand ------------------------------------------------------------------------------------


class ByHand:
    """The works of a meter, turned by hand; real time passes when a test says so."""

    def __init__(self, kind: str | Kind = "electricity") -> None:
        self.kind = BY_NAME[kind] if isinstance(kind, str) else kind
        self.clock = VirtualClock(7 * S)
        self.at = ISSUED_AT
        self.issued = 0
        self.sale = PointOfSale(self.kind, lambda: self.at, self._issued)
        around = Surroundings(self.clock, lambda: self.at, lambda: None)
        self.works = Works(self.kind, self.sale, around)
        self.works.turn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.works.close()

    def _issued(self) -> None:
        self.issued += 1

    @property
    def panel(self) -> Panel:
        """What the panel shows."""
        return self.works.panel()

    def let_pass(self, seconds: float) -> None:
        """Let real time pass, with turns as often as the works want them."""
        end = self.clock.now_ns() + int(seconds * S)
        while True:
            due = self.works.turn()
            if due >= end:
                break
            self.clock.sleep_until(due)
        self.clock.sleep_until(end)
        self.works.turn()

    def act(self, action: Callable[[], None]) -> None:
        """Have a person do something, as the thread would."""
        self.works.catch_up()
        action()
        self.works.turn()

    def press(self, keys: str) -> None:
        """Press digits."""
        for key in keys:
            self.act(functools.partial(self.works.press, key))

    def enter(self, token: str) -> str:
        """Type a token in, wait until it is executed, and return what the display says to it."""
        self.press(token)
        self.act(lambda: self.works.press("enter"))
        self.let_pass(2)
        assert self.panel.result is not None
        return str(self.panel.result)

    def buy(self, what: str, **fields: str) -> Issued:
        """Buy something, and type it in; the results are what was promised."""
        made = self.sale.issue(what, fields)
        assert tuple(self.enter(token) for token in made.tokens) == made.results
        return made


# --- with a thread ------------------------------------------------------------------------------


class Watched:
    """A meter with its thread, of which a test can wait for something to become true."""

    def __init__(self, kind: Kind) -> None:
        self._changed = threading.Condition()
        self.changes = 0
        self.meter = BenchMeter(kind, self._on_change)

    def _on_change(self) -> None:
        with self._changed:
            self.changes += 1
            self._changed.notify_all()

    def until(self, is_so: Callable[[Panel], bool]) -> Panel:
        """Wait until the panel is so, and return it."""
        with self._changed:
            came = self._changed.wait_for(lambda: is_so(self.meter.panel()), GUARD_S)
        assert came, self.meter.panel()
        return self.meter.panel()

    def left(self) -> Panel:
        """Wait until nobody uses the line and no token is executed; return the panel then."""
        return self.until(lambda panel: not (panel.line_in_use or panel.executing))

    def type(self, token: str) -> None:
        """Type a token in, and press enter."""
        for key in (*token, "enter"):
            self.meter.press(key)

    def buy(self, what: str, **fields: str) -> tuple[str, ...]:
        """Return the tokens of what is bought."""
        return self.meter.sale.issue(what, fields).tokens


@contextmanager
def watched(*kinds: Kind) -> Iterator[list[Watched]]:
    """Give meters with their threads, which end with the test."""
    with ExitStack() as stack:
        made = []
        for kind in kinds:
            each = Watched(kind)
            stack.callback(each.meter.close)
            made.append(each)
        yield made


def quick(folder: Path, name: str = "quick", *, execution_ms: int = 5) -> Kind:
    """Return a kind of meter with a fast line."""
    file = folder / f"{name}.toml"
    file.write_text(QUICK.format(execution_ms=execution_ms))
    return Kind(name, "Quick", str(file), Service.ELECTRICITY, 1, 15_000, 1000)


@dataclass
class Unit:
    """A hand-held unit with a journal, as the application has one, at a meter of the bench."""

    meter: BenchMeter
    journal: FileJournal
    at: datetime = ISSUED_AT

    @property
    def target(self) -> Target:
        """Where the meter is."""
        target = Target.typed(self.meter.address, self.meter.kind.companion)
        return replace(target, password=self.meter.password)

    def do(self, work: Callable[[Connection], T], on_progress: OnProgress) -> T:
        """Do a piece of work in a session of its own."""
        target = self.target
        with Connection(
            target.way, Warnings(), on_progress, password=target.password, journal=self.journal
        ) as connection:
            result = work(connection)
            connection.sign_off()
            return result

    def deliver(
        self, *tokens: str, on_progress: OnProgress = lambda _: None, as_set: bool = False
    ) -> Told:
        """Deliver tokens; whatever happens meanwhile is ``on_progress``'s."""
        way = deliver_set if as_set else deliver
        return self.do(
            lambda connection: way(
                connection,
                target=self.target,
                journal=self.journal,
                tokens=tokens,
                wall_clock=lambda: self.at,
            ),
            on_progress,
        )


@contextmanager
def unit(meter: BenchMeter, folder: Path) -> Iterator[Unit]:
    """Give a unit with a journal of its own."""
    with FileJournal(folder / f"{meter.kind.name}.journal") as journal:
        yield Unit(meter, journal)


def at_first(kind: type[Progress], action: Callable[[], None]) -> OnProgress:
    """Return what does something when the first progress of a kind is told."""
    done: list[bool] = []

    def told(progress: Progress) -> None:
        if isinstance(progress, kind) and not done:
            done.append(True)
            action()

    return told


def statuses(told: Told) -> list[TokenStatus | None]:
    """Return what the meter said to each token."""
    return [getattr(outcome, "status", None) for outcome in told.outcomes]
