"""Which rows of the state tables a run can use: those of both ends, by the sign-on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from vtc07.carrier.exchange.hhu_states import HHU_TABLE, HHUInput, HHUState
from vtc07.carrier.exchange.meter_states import METER, MeterInput, MeterState
from vtc07.carrier.states import (
    CLIENT,
    SERVER,
    ClientInput,
    ClientState,
    ServerInput,
    ServerState,
)
from vtc07.simulation.powered import DIRECT
from vtc07.simulation.run import Row

_HEARD_IN_IDLE: Final = (
    ServerInput.ID_REQUEST,
    ServerInput.ID_REQUEST_OTHER,
    ServerInput.ID_REQUEST_DAMAGED,
    ServerInput.INCOMPLETE,
    ServerInput.LINK_CLOSED,
)

#: States of a hand-held unit in which `ModeCClient` never is: its commands have a table of their
#: own (`CLIENT`), and it asks for no readout.
_OTHER_USE: Final = (
    HHUState.ANSWER,
    HHUState.BLOCKS,
    HHUState.WRITING,
    HHUState.LAST_BLOCK,
)


@cache
def rows_of(companion: str) -> frozenset[Row]:
    """Return the rows of the state tables that something can lead to with this companion."""
    return frozenset(_direct() if companion == DIRECT else _mode_c())


def _direct() -> Iterator[Row]:
    for server, heard_by_server in SERVER.items():
        yield from ((server, heard) for heard in heard_by_server if _server_can(server, heard))
    for client, heard_by_client in CLIENT.items():
        for heard in heard_by_client:
            if heard is not ClientInput.BREAK and _client_can(client, heard):
                yield client, heard


def _mode_c() -> Iterator[Row]:
    for meter, heard_by_meter in METER.items():
        yield from ((meter, heard) for heard in heard_by_meter if _port_can(meter, heard))
    for unit, heard_by_unit in HHU_TABLE.items():
        if unit not in _OTHER_USE:
            yield from ((unit, heard) for heard in heard_by_unit if _unit_can(unit, heard))
    for client, heard_by_client in CLIENT.items():
        if client is not ClientState.SIGN_OFF:  # the HHU says B0
            yield from ((client, h) for h in heard_by_client if _client_can(client, h))


def _server_can(state: ServerState, heard: ServerInput) -> bool:
    """Say whether a server may come to a row: Idle, it frames IDRequests only."""
    return state is not ServerState.IDLE or heard in _HEARD_IN_IDLE


def _client_can(state: ClientState, heard: ClientInput) -> bool:
    """Say whether a client may come to a row.

    A client without a command looks at nothing; it hears nothing while it says a BreakCommand,
    which alone ends when it was sent; and where a damaged answer or silence is not answered by an
    attempt more, no attempts run out.
    """
    match state, heard:
        case ClientState.READY, _:
            return False
        case ClientState.SIGN_OFF, _:
            return heard in (ClientInput.SENT, ClientInput.LINK_LOST)
        case _, ClientInput.SENT:
            return False
        case ((ClientState.SNAPSHOT | ClientState.ENTRY), ClientInput.DAMAGED_TOO_OFTEN):
            return False
        case ClientState.ENTRY, ClientInput.GIVE_UP:
            return False
        case _:
            return True


def _port_can(state: MeterState, heard: MeterInput) -> bool:
    """Say whether a meter's port may come to a row.

    A port of mode C announces no mode A or B; its companion here is silent to a faulty option
    select; and where it waits for an option select or a NAK it does not wait until inactivity.
    """
    if heard is MeterInput.INACTIVITY:
        return state not in (MeterState.WAIT_OPTION, MeterState.SENT_READOUT)
    return heard not in (MeterInput.IDENTIFIED, MeterInput.OPTION_FAULT_READOUT)


def _unit_can(state: HHUState, heard: HHUInput) -> bool:
    """Say whether a unit may come to a row.

    One that delivers tokens signs on for programming mode, and wakes nobody up.
    """
    if state is HHUState.SIGN_OFF:
        return heard in (HHUInput.SENT, HHUInput.LINK_LOST)
    return heard is not HHUInput.SENT_FOR_READOUT
