"""A meter whose store is damaged: it says so to whoever asks, and does nothing (docs 11).

What a meter knows is in its store. Without one it knows neither credit nor key, takes no token,
and its load switch stays open; it is not reset, and nobody is told an old value for a true one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from vtc07.carrier.companion import Companion, SignOn
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import (
    Challenge,
    Denied,
    IdentificationRequested,
    OperandRequested,
    PasswordOffered,
    ReadoutRequested,
    ReadRequested,
    Refused,
    Reply,
    ResultOffered,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.registers import Value
from vtc07.carrier.server import Server
from vtc07.carrier.status import ErrorCode
from vtc07.carrier.token_entry import judge
from vtc07.meter.rules import CompanionUnfit
from vtc07.meter.state import Nameplate
from vtc07.tokens import TCT

#: serverStatus: load switch open, store fault.
OUT_OF_ORDER_STATUS: Final = 0x0041


class OutOfOrderServer:
    """What a driver of `vtc07.links` turns (`vtc07.carrier.endpoint.ServerEndpoint`).

    It identifies itself with serverStatus 0041 and answers reads of what it was made as. Every
    other read, every write and every token gets ER08; a readout of mode C shows what it knows, and
    no password is right. ``nameplate`` None: it does not know who it
    is, and answers to the empty address alone. CompanionUnfit: the companion wants more in an
    identification than such a meter can tell.
    """

    def __init__(
        self, companion: Companion, nameplate: Nameplate | None, *, character_ns: int = 0
    ) -> None:
        addresses = []
        table = companion.table
        self._known: dict[str, Value] = {
            "tableID": table.table_id,
            "FOIN": table.foin,
            "protocolVersion": companion.protocol_version,
            "serverStatus": OUT_OF_ORDER_STATUS,
            "TCT": f"{TCT.VIRTUAL:02d}",
        }
        if nameplate is not None:
            pan = nameplate.meter_pan
            addresses = [pan.digits, pan.drn.digits]
            if nameplate.device_address:
                addresses.append(nameplate.device_address)
            self._known |= {
                "softwareVersion": nameplate.software_version,
                "meterPAN": pan.digits,
                "DRN": pan.drn.digits,
                "MfrCode": pan.drn.mfr_code.digits,
            }
        for register in companion.identification:
            if register.name not in self._known:
                raise CompanionUnfit(
                    f"By the companion {companion.name} a meter identifies itself with "
                    f"{register.name}, which a meter with a damaged store does not know."
                )
        self._server: Server | ModeCServer
        if companion.sign_on is SignOn.MODE_C:
            shown = tuple(r for r in companion.readout if r.name in self._known)
            knowing = replace(companion, readout=shown)
            self._server = ModeCServer(knowing, addresses, character_ns=character_ns)
        else:
            self._server = Server(companion, addresses, character_ns=character_ns)

    @property
    def connected(self) -> bool:
        """True while a session is open."""
        return self._server.connected

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""
        self._server.receive(chars, now_ns)
        self._pump(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""
        return self._server.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        return self._server.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        self._server.handle_timer(now_ns)
        self._pump(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""
        self._server.connection_lost(now_ns)
        self._pump(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._server.next_speed_change()

    def next_work(self) -> Callable[[], None] | None:
        """Return None: there is nothing to store, and nowhere."""
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:  # noqa: ARG002 - the face
        """Raise ValueError: no job is ever handed out."""
        raise ValueError("no commit was out")

    def _pump(self, now_ns: int) -> None:
        while (event := self._server.next_event()) is not None:
            reply: Reply
            match event:
                case (
                    IdentificationRequested(registers=registers)
                    | ReadRequested(registers=registers)
                    | ReadoutRequested(registers=registers)
                ):
                    names = [register.name for register in registers]
                    known = all(name in self._known for name in names)
                    reply = Refused(ErrorCode.STORE_FAULT)
                    if known:
                        reply = Values(tuple(self._known[name] for name in names))
                case TokenEntered(token=token):
                    error = judge(token=token, executing=False, locked=False, store_fault=True)
                    assert error is not None
                    reply = Refused(error)
                case WriteRequested():
                    reply = Refused(ErrorCode.STORE_FAULT)
                case OperandRequested():
                    reply = Challenge("")
                case PasswordOffered() | ResultOffered():
                    reply = Denied()
                case _:
                    continue
            self._server.answer(event.request, reply, now_ns)
