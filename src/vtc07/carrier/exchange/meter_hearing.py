"""What a whole message means to a meter's port: an input of its state table, and a request.

Pure judgements; what follows from them is in `meter_states` and `meter_port`.
"""

from __future__ import annotations

from vtc07.carrier.exchange.events import CommandGiven, MeterRequest, PasswordGiven, ResultGiven
from vtc07.carrier.exchange.messages import (
    parse_command_message,
    parse_data_sets,
    parse_option_select,
    value_of,
)
from vtc07.carrier.exchange.meter_blocks import PartialWrite
from vtc07.carrier.exchange.meter_replies import PortSettings
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.exchange.settings import MODE_C_SPEEDS, START_SPEED, OptionFault, Purpose
from vtc07.carrier.messages import parse_id_request
from vtc07.carrier.server import same_address


def judge_request(chars: bytes, settings: PortSettings) -> MeterInput:
    """Judge an undamaged request message (6.3.1)."""
    request = parse_id_request(chars)
    if request is None:
        return MeterInput.REQUEST_DAMAGED
    address = request.address
    mine = not address or any(same_address(address, own) for own in settings.addresses)
    return MeterInput.REQUEST if mine else MeterInput.REQUEST_OTHER


def judge_option(chars: bytes, settings: PortSettings) -> tuple[MeterInput, int]:
    """Judge an option select (6.3.3), and return the speed in Bd that it chooses.

    V is 0 (normal), Y readout or programming mode, Z a speed that the port accepts.
    """
    option = parse_option_select(chars)
    if option is None:
        return faulty_option(settings), START_SPEED
    speed = MODE_C_SPEEDS.get(option.baud_identification)
    if option.protocol == "0" and speed is not None and speed in settings.accepted_speeds:
        if option.mode == Purpose.READOUT.value:
            return MeterInput.OPTION_READOUT, speed
        if option.mode == Purpose.PROGRAMMING.value:
            return MeterInput.OPTION_PROGRAMMING, speed
    return MeterInput.OPTION_UNSUPPORTED, START_SPEED


def faulty_option(settings: PortSettings) -> MeterInput:
    """Return what a faulty option select is, by the setting."""
    silence = settings.option_fault is OptionFault.SILENCE
    return MeterInput.OPTION_FAULT_SILENCE if silence else MeterInput.OPTION_FAULT_READOUT


def judge_command(
    chars: bytes,
    settings: PortSettings,
    state: MeterState,
    *,
    operand: str,
    writing: PartialWrite,
    heard_ns: tuple[int, int],
) -> tuple[MeterInput, MeterRequest | None]:
    """Judge an undamaged message from SOH to its check (6.3.5), heard from one instant to another.

    Returns the request that the host is to be asked, not numbered yet, where there is one. Only
    while commands are obeyed does ``writing`` take notice of blocks.
    """
    command = parse_command_message(chars, settings.compatibility.check)
    if command is None:
        return MeterInput.DAMAGED, None
    code, bare = command.code, not command.has_data and not command.partial
    if code == "B0" and bare:
        return MeterInput.BREAK, None
    if code == "B1" and bare:
        return MeterInput.BREAK_ACKNOWLEDGED, None
    if state in (MeterState.WAIT_OPTION, MeterState.SENT_READOUT):
        return MeterInput.COMMAND, None
    if code in ("P1", "P2") and not command.partial:
        value = value_of(command.data)
        if value is None:
            return MeterInput.DAMAGED, None
        given = PasswordGiven(0, value) if code == "P1" else ResultGiven(0, operand, value)
        return MeterInput.COMMAND, given
    heard = writing.hear(command, chars, *heard_ns)
    if heard is MeterInput.LAST_BLOCK:
        whole = writing.whole
        return heard, CommandGiven(0, code, str(whole), (whole,))
    return heard, CommandGiven(0, code, command.data, parse_data_sets(command.data) or ())
