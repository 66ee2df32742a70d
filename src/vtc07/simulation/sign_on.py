"""What a run owes to the sign-on of its companion: speeds, waits, and what is watched.

Nothing else in the simulation knows how a session begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vtc07.carrier.client import Client
from vtc07.carrier.companion import S
from vtc07.carrier.exchange.hhu_states import HHUInput, HHUState
from vtc07.carrier.exchange.meter_states import METER, MeterInput, MeterState
from vtc07.carrier.exchange.settings import START_SPEED
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.server import Server
from vtc07.carrier.states import ClientInput, ClientState, ServerInput, ServerState
from vtc07.simulation.powered import DIRECT
from vtc07.simulation.run import Coverage

#: A hand-held unit's core.
Core = Client | ModeCClient

_DIRECT_SPEED: Final = 2400
#: States of a port in which no session is open whose password counts.
_NO_ACCESS: Final = (MeterState.IDLE, MeterState.WAIT_OPTION)


@dataclass(frozen=True, slots=True)
class SignOnRules:
    """The line and the patience of a run. ``speed``: with which the line begins, in Bd.

    ``pause_ns``: between two deliveries; ``unheard_ns``: after one without a session, since
    another one may still be open at a speed that nobody knows any more; ``rest_ns``: before the
    delivery without faults. ``shared_ns``: after that no answer to another client is about.
    ``held``: characters that an end may hold.
    """

    speed: int
    pause_ns: int
    unheard_ns: int
    rest_ns: int
    shared_ns: int
    held: int

    @property
    def character_ns(self) -> int:
        """Duration of a character at the speed of the beginning."""
        return -(-10 * S // self.speed)


_PAUSE_NS: Final = 3 * S
#: A meter of mode C ends a session 120 s after its last answer, which may take 40 s at 300 Bd.
_INACTIVE_NS: Final = 160 * S

_DIRECT: Final = SignOnRules(_DIRECT_SPEED, _PAUSE_NS, _PAUSE_NS, S, 5 * S, 8192)
_MODE_C: Final = SignOnRules(START_SPEED, _PAUSE_NS, _INACTIVE_NS, _INACTIVE_NS, 40 * S, 32768)


def rules_of(companion: str) -> SignOnRules:
    """Return the rules of a run with this companion."""
    return _DIRECT if companion == DIRECT else _MODE_C


def watch_client(core: Core, coverage: Coverage) -> None:
    """Count the rows of the state tables that a unit's core uses."""

    def used(state: ClientState, heard: ClientInput) -> None:
        coverage[state, heard] += 1

    def signing(state: HHUState, heard: HHUInput) -> None:
        coverage[state, heard] += 1

    if isinstance(core, ModeCClient):
        core.hhu.on_transition = signing
        core.commands.on_transition = used
    else:
        core.on_transition = used


def watch_server(
    core: Server | ModeCServer, coverage: Coverage, access_over: Callable[[], None]
) -> None:
    """Count the rows that a meter's core uses; ``access_over``: told when no password counts."""

    def used(state: ServerState, heard: ServerInput) -> None:
        coverage[state, heard] += 1

    def at_port(state: MeterState, heard: MeterInput) -> None:
        coverage[state, heard] += 1
        if METER[state][heard].state in _NO_ACCESS:
            access_over()

    if isinstance(core, ModeCServer):
        core.on_transition = at_port
    else:
        core.on_transition = used
