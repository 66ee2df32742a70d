"""Looking at a meter: what a technician wants to see first, as it arrives."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import RegisterValue
from vtc07.carrier.registers import Register
from vtc07.cli.connection import Connection
from vtc07.hhu import selection
from vtc07.hhu.reading import read
from vtc07.screens.meter_line import Target, greeted
from vtc07.screens.overview import LOW_CREDIT, Overview

#: Told of what is known of a meter so far, in the line's thread.
Arrival = Callable[[Overview], None]


def look_at(
    connection: Connection, *, target: Target, on_arrival: Arrival | None = None
) -> Overview:
    """Greet the meter and read what is looked at first; each part is told as it arrives."""
    meter = greeted(connection, target)
    companion = connection.companion
    registers = (*selection.overview(companion), *_besides(companion))

    def overview(values: tuple[RegisterValue, ...]) -> Overview:
        return Overview(companion, meter.meter_pan, values, connection.unusual_speed, meter)

    def arrived(values: tuple[RegisterValue, ...]) -> None:
        if on_arrival is not None:
            on_arrival(overview(values))

    arrived(())
    found = connection.run(read(connection.session, registers, on_values=arrived))
    return overview(found.values)


def _besides(companion: Companion) -> tuple[Register, ...]:
    """Return the registers by which the overview's are judged, as far as anybody may read them."""
    named = (companion.table.named(name) for name in LOW_CREDIT if companion.table.has(name))
    return tuple(register for register in named if register.read_level == 0)
