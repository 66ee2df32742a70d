"""A virtual meter on the bench: line, meter and time, turned by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vtc07.web.bench.facts import Kind, LineCharacter, Panel
from vtc07.web.bench.sale import PointOfSale

#: The password of meters with mode C: nothing on the bench is worth a secret.
PASSWORD: Final = "training"


class BenchMeter:
    """A meter on the bench, with its line, its cable, its supply and its point of sale.

    Everything may be called from any thread and waits for the meter's own thread, a few ms. Each
    raises BenchRefused where that cannot be done.
    """

    kind: Kind
    sale: PointOfSale

    def __init__(self, kind: Kind, on_change: Callable[[], None]) -> None:
        self.kind = kind
        raise NotImplementedError

    @property
    def address(self) -> str:
        """Where it is reached: ``inner:NAME``."""
        raise NotImplementedError

    @property
    def password(self) -> str | None:
        """The password of its port, None where the port knows none. It is no secret."""
        raise NotImplementedError

    @property
    def meter_pan(self) -> str:
        """Its MeterPAN."""
        raise NotImplementedError

    def panel(self) -> Panel:
        """Return the meter as it stands; from memory, at once."""
        raise NotImplementedError

    def press(self, key: str) -> None:
        """Press a key of the keypad, one of `KEYS`."""
        raise NotImplementedError

    def set_load(self, phase: int, watts: int) -> None:
        """Have a phase, from 1, want so many W; the one load of water and gas, litres per hour."""
        raise NotImplementedError

    def set_supply(self, on: bool) -> None:  # noqa: FBT001 - a switch is on or off
        """Pull the supply out, without warning, or put it back."""
        raise NotImplementedError

    def set_cable(self, plugged: bool) -> None:  # noqa: FBT001 - likewise
        """Pull the cable of the line out, of which nobody is told, or put it back."""
        raise NotImplementedError

    def tamper(self) -> None:
        """Open the terminal cover."""
        raise NotImplementedError

    def set_time(self, factor: int) -> None:
        """Have time pass so many times as fast, as long as nobody uses the line."""
        raise NotImplementedError

    def characters(self, after: int) -> tuple[LineCharacter, ...]:
        """Return the characters with higher numbers than ``after``, of the last 5,000."""
        raise NotImplementedError

    def close(self) -> None:
        """End thread and line, whatever is under way."""
        raise NotImplementedError
