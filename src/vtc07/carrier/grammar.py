"""The grammar of every message, in one place (IEC 62056-21 clause 6.3 to 6.6, IEC 62055-52 6.4).

Characters are 7-bit (ISO/IEC 646); `DAMAGED` stands for one that the link could not read.
"""

from __future__ import annotations

import re
from typing import Final

SOH: Final = 0x01
STX: Final = 0x02
ETX: Final = 0x03
EOT: Final = 0x04
ACK: Final = 0x06
LF: Final = 0x0A
NAK: Final = 0x15
SLASH: Final = 0x2F
QUESTION: Final = 0x3F
DAMAGED: Final = 0xFF

#: A device address: 0 to 32 of 0-9 A-Z a-z space (IEC 62056-21 6.3.1).
ADDRESS = r"[0-9A-Za-z ]{0,32}"

#: IDRequest: `/ ? address ! CR LF`.
ID_REQUEST = re.compile(rf"/\?({ADDRESS})!\r\n".encode())
ID_REQUEST_LIMIT = 2 + 32 + 3

#: IDResponse: `/ XXX Z identification CR LF`. We send at most 16 characters of identification; a
#: client takes as many as the companion says: meters in the field are longer, and some have a `/`
#: inside.
ID_RESPONSE = re.compile(rb"/([A-Za-z]{3})([ -~])([ -~]*)\r\n")
ID_RESPONSE_FRAME = 1 + 3 + 1 + 2
IDENTIFICATION_SENT = 16

#: The data set of a command: one registerID(value), all of 20..7E, no unit (our choice of what
#: is malformed: ER02). What the value may hold is the register's to judge (ER05).
COMMAND_DATA_SET = re.compile(rb"([ !\"#$%&'+-~]+)\(([ !\"#$%&'+-~]*)\)")

#: A data set of an answer: address(value) or address(value*unit) (IEC 62056-21 6.5).
DATA_SET = re.compile(
    rb"([ \"#$%&'*-.0-~]{1,16})"  # address: printable without ( ) / !
    rb"\(([ \"#$%&'+-.0-~]{0,128})"  # value: printable without ( ) * / !
    rb"(?:\*([ \"#$%&'*-.0-~]{1,16}))?\)"  # unit: printable without ( ) / !
)

#: An error message's data: ( up to 32 characters ) without address (IEC 62056-21 6.3.11).
ERROR = re.compile(rb"\(([ \"#$%&'+-.0-~]{0,32})\)")

#: A count: empty, or two hexadecimal digits 01..FF (our choice).
COUNT = re.compile(r"[0-9A-Fa-f]{2}")
