"""Drives the PyPI package iec62056-21 0.0.2, unchanged, against a meter.

Reads a JSON object: ``tcp`` ([host, port]) or ``serial`` (a path), ``password``, ``token``,
``read`` (an address), ``write`` ([address, value]); with ``refused`` ([address, value]) also two
writes that are refused. Prints a JSON object: what each step came to.

What the client cannot do by itself is done here, and said in docs/peers.md.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from iec62056_21 import messages
from iec62056_21.client import Iec6205621Client

ACK, STX, ETX = b"\x06", "\x02", b"\x03"


def client_for(plan: dict[str, Any]) -> Any:
    """Return the client on the transport that is asked for."""
    if "tcp" in plan:
        return Iec6205621Client.with_tcp_transport(address=tuple(plan["tcp"]))
    return Iec6205621Client.with_serial_transport(port=plan["serial"])


def read(client: Any, address: str) -> str:
    """Read a register; an error message is returned as it stands.

    The client takes an error for a data set without address.
    """
    return str(client.read_single_value(address).value)


def write(client: Any, address: str, value: str) -> str:
    """Write a register; return ACK, or the error message.

    The client takes the first character of an error message, raises, and leaves the rest unread.
    """
    try:
        client.write_single_value(address, value)
    except ValueError as error:
        if f"invalid response {STX}" not in str(error):
            raise
        rest = b""
        while not rest.endswith(ETX):
            rest += client.transport.recv(1)
        client.transport.recv(1)  # its check character
        return rest.removesuffix(ETX).decode("ascii").strip("()")
    return "ACK"


def give_password(client: Any, password: str) -> dict[str, str]:
    """Give the password. The client's own way raises before it sends anything."""
    try:
        client.send_password(password)
    except (TypeError, ValueError) as error:
        raised = type(error).__name__
    else:
        raised = ""
    data_set = messages.DataSet(address="", value=password)
    client.transport.send(
        messages.CommandMessage(command="P", command_type=1, data_set=data_set).to_bytes()
    )
    return {"raised": raised, "answer": "ACK" if client.transport.recv(1) == ACK else "not ACK"}


def main() -> None:
    """Do everything that the client can do."""
    plan = json.load(sys.stdin)
    done: dict[str, Any] = {}
    client = client_for(plan)

    client.connect()
    readout = client.standard_readout()
    done["manufacturer"] = client.manufacturer_id
    done["identification"] = client.identification
    done["baud"] = client.switchover_baudrate
    done["readout"] = {each.address: [each.value, each.unit] for each in readout.data}
    client.disconnect()

    client.connect()
    challenge = client.access_programming_mode()
    done["challenge"] = [challenge.command, challenge.command_type, challenge.data_set.value]
    if "refused" in plan:
        done["before_password"] = write(client, *plan["write"])
    done["password"] = give_password(client, plan["password"])
    done["read"] = read(client, plan["read"])
    done["write"] = write(client, *plan["write"])
    done["written"] = read(client, plan["write"][0])
    done["no_such_register"] = read(client, "0FFF")
    if "refused" in plan:
        done["refused"] = write(client, *plan["refused"])
    done["token"] = write(client, "000F", plan["token"])
    polls = 1
    while (status := read(client, "0004")) == "16":
        polls += 1
    done["polls"] = polls
    done["token_status"] = status
    done["last_token"] = read(client, "0006")
    client.send_break()
    client.disconnect()

    client.connect()
    client.startup()  # the meter is at the start again
    done["after_break"] = client.manufacturer_id
    client.send_break()
    client.disconnect()
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
