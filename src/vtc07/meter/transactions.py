"""What a running meter remembers of the work that is under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from vtc07.carrier.registers import Register, Value
from vtc07.meter.accounting import Load
from vtc07.meter.passwords import Proof
from vtc07.meter.state import MeterState
from vtc07.tokens import TCT


@dataclass(frozen=True, slots=True)
class Entry:
    """A token on its way: executed from ``due_ns`` on."""

    token: str = field(repr=False)
    carrier: TCT
    due_ns: int


@dataclass(frozen=True, slots=True)
class Write:
    """A write on its way."""

    request: int
    register: Register
    value: Value


@dataclass(slots=True)
class Attempt:
    """A password or another proof on its way: to be compared, then to be counted.

    ``level``: what the comparison came to; None before it, and where it was wrong.
    """

    request: int
    proof: Proof = field(repr=False)
    level: int | None = None

    def compare(self) -> None:
        """Run the comparison."""
        self.level = self.proof()


@dataclass(frozen=True, slots=True)
class Flight:
    """A commit that is out.

    ``cause`` None: upkeep, or the last one of an orderly power off. ``load``: what hung on the
    meter when it left.
    """

    after: MeterState
    cause: Entry | Write | Attempt | None
    load: Load


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What happened to the meter while a commit was out.

    Tamper flags, another load, or an entry that the lockout of a carrier refused.
    """

    powered_ns: int
    flags: int = 0
    load: Load | None = None
    refused: TCT | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is due next, in host time; None: never. It holds while nothing but time changes.

    ``change_ns``: something changes by itself. ``commit_ns``: a commit is due, maybe already.
    ``holds_until_ns``: from then on the plan is another.
    """

    change_ns: int | None
    commit_ns: int | None
    holds_until_ns: int | None
