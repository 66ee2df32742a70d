"""What a hand-held unit says: the characters of its commands, in blocks where asked for."""

from __future__ import annotations

import re

from vtc07.carrier.exchange.events import GivePassword, GiveResult, Order
from vtc07.carrier.exchange.messages import CommandMessage, OptionSelect
from vtc07.carrier.exchange.settings import MODE_C_SPEEDS, CheckCharacter, Purpose

_WRITE = re.compile(r"([^()]*)\(([^()]*)\)")
_SLOWEST = "0"


def option_select(z: str, purpose: Purpose, wanted: int | None) -> tuple[bytes, int]:
    """Return an option select and the speed it leads to, in Bd.

    ``z``: that of the identification. ``wanted``: the greatest speed; where that is below the
    meter's, the next one at or below it is asked for, which a meter need not grant.
    """
    chosen = z
    if wanted is not None and wanted < MODE_C_SPEEDS[z]:
        below = {speed: code for code, speed in MODE_C_SPEEDS.items() if speed <= wanted}
        chosen = below[max(below)] if below else _SLOWEST
    chars = OptionSelect("0", chosen, purpose.value).to_chars()
    return chars, MODE_C_SPEEDS[chosen]


def messages(
    command: GivePassword | GiveResult | Order, check: CheckCharacter
) -> tuple[bytes, ...]:
    """Return the messages of a command: one, or the blocks of a partial write.

    The address stands in the first block only, EOT ends all but the last. ValueError: characters
    that no message can hold, or a partial write that is not one ``address(value)``.
    """
    match command:
        case GivePassword(password):
            parts = [CommandMessage("P1", f"({_plain(password)})")]
        case GiveResult(result):
            parts = [CommandMessage("P2", f"({_plain(result)})")]
        case Order(code, data):
            if not re.fullmatch(r"[ -~]{2}", code):
                raise ValueError(f"a command has two characters, not {code!r}")
            if not re.fullmatch(r"[ -~\r\n]*", data):
                raise ValueError("a command's data are 7-bit characters, none of them a control")
            parts = _blocks(command)
    return tuple(part.to_chars(check) for part in parts)


def _plain(value: str) -> str:
    if not re.fullmatch(r"[ -'*-~]*", value) or "(" in value:
        raise ValueError("a password or result is printable characters without ( and )")
    return value


def _blocks(order: Order) -> list[CommandMessage]:
    if order.block < 0:
        raise ValueError("a block has at least one character")
    whole = _WRITE.fullmatch(order.data)
    if not order.block or (whole is not None and len(whole[2]) <= order.block):
        return [CommandMessage(order.code, order.data)]
    if whole is None:
        raise ValueError("a partial write has one address(value)")
    address, value = whole.groups()
    size = order.block
    pieces = [value[at : at + size] for at in range(0, len(value), size)]
    return [
        CommandMessage(
            order.code, f"{'' if place else address}({piece})", partial=place < len(pieces) - 1
        )
        for place, piece in enumerate(pieces)
    ]
