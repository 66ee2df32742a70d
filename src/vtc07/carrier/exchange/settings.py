"""What both sides of IEC 62056-21 are set to: modes, speeds, readings of the standard, deviations.

Facts only. Times are in `vtc07.carrier.companion.Timing`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

#: The speed of every sign-on, in Bd (IEC 62056-21 6.3); mode D knows only 2400.
START_SPEED: Final = 300
PUSH_SPEED: Final = 2400

#: Z of a mode B identification, and the speed it announces (IEC 62056-21 6.3.14).
MODE_B_SPEEDS: Final[Mapping[str, int]] = MappingProxyType(
    {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}
)

#: Z of a mode C or E identification. 7 to 9 are reserved there; they are as in the local port
#: set-up class of DLMS, which meters in the field follow.
MODE_C_SPEEDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200,
        "7": 38400, "8": 57600, "9": 115200,
    }
)  # fmt: skip


class Mode(enum.Enum):
    """A protocol mode of IEC 62056-21. E is not one here: such a meter is spoken to in mode C."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


def mode_and_speed(baud_identification: str) -> tuple[Mode, int]:
    """Return the mode and speed in Bd that a Z announces (IEC 62056-21 6.3.14).

    Whatever is no letter of mode B and no digit is mode A, which stays at 300 Bd. Mode D also
    says 3: it is known by what it does, not by its Z.
    """
    if baud_identification in MODE_C_SPEEDS:
        return Mode.C, MODE_C_SPEEDS[baud_identification]
    if baud_identification in MODE_B_SPEEDS:
        return Mode.B, MODE_B_SPEEDS[baud_identification]
    return Mode.A, START_SPEED


class OptionFault(enum.Enum):
    """What a meter does about an option select with a parity or syntax error.

    The standard contradicts itself: annex A goes back to the start in silence, 6.4.3.2 and 6.4.3.3
    go on with the readout at 300 Bd.
    """

    SILENCE = "silence"
    READOUT = "readout"


class CheckCharacter(enum.Enum):
    """How the block check character is computed: XOR as in IEC 62056-21 6.2, or a deviation."""

    XOR = "xor"
    SUM = "sum"


class ReadCode(enum.Enum):
    """The command by which a client reads: that of the standard, or VDEW's of national use."""

    R1 = "R1"
    R5 = "R5"


class WriteCode(enum.Enum):
    """The command by which a client writes: that of the standard, or VDEW's of national use."""

    W1 = "W1"
    W5 = "W5"


class WakeUp(enum.Enum):
    """How a meter on a battery is woken (IEC 62056-21 annex B)."""

    NONE = "none"
    NORMAL = "normal"
    FAST = "fast"


class Purpose(enum.Enum):
    """What an HHU signs on for: Y of the option select."""

    READOUT = "0"
    PROGRAMMING = "1"


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Deviations that meters in the field have; all off is the standard.

    A meter's port sends as they say; an HHU takes what they say.

    ``check``: XOR, or the arithmetic sum modulo 128 in its place.
    ``no_readout_bcc``: the readout has no check (an HHU: also where it began with STX).
    ``decimal_comma``: a comma where the standard has a decimal point.
    ``lf_line_ends``: LF, or LF LF, where the standard has CR LF.
    ``crlf_before_etx``: a line end before the ETX of an answer in programming mode.
    ``address_not_echoed``: the answer to a read has no address.
    """

    check: CheckCharacter = CheckCharacter.XOR
    no_readout_bcc: bool = False
    decimal_comma: bool = False
    lf_line_ends: bool = False
    crlf_before_etx: bool = False
    address_not_echoed: bool = False


STANDARD: Final = Compatibility()
