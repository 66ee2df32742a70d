"""All transitions of both sides, in one place.

These tables are the whole protocol as states: the machines in `server` and `client` turn what
happens on the line and on the clock into inputs and carry out the actions; they decide nothing
that is not here. Source: docs/protocol.md 5 (server; functions of IEC 62055-52 6.6, detail our
choice) and sections 7 and 10 (client).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple


class ServerState(enum.Enum):
    """The server's states; executing a token is not one of them."""

    IDLE = "Idle"
    CONNECTED = "Connected"


class ServerInput(enum.Enum):
    """What can happen to a server."""

    ID_REQUEST = "IDRequest for this meter"
    ID_REQUEST_OTHER = "IDRequest for another meter"
    ID_REQUEST_DAMAGED = "damaged, malformed or overlong IDRequest"
    COMMAND = "ReadCommand, WriteCommand or other command"
    BREAK = "BreakCommand"
    NAK = "NAK, up to the third for one message"
    NAK_TOO_MANY = "NAK beyond the third"
    NOISE = "stray characters, ACK"
    DAMAGED = "message with a wrong BCC, a damaged character, or overlong"
    INCOMPLETE = "message incomplete for 1500 ms"
    THIRD_ERROR = "third error in succession"
    INACTIVITY = "inactivity for 120 s"
    LINK_CLOSED = "link closed"


class ServerAction(enum.Enum):
    """What a server does about it."""

    IDENTIFY = "IDResponse, error count 0"
    ANSWER = "Data, ACK or error, error count 0"
    REPEAT = "the last message again"
    COUNT_AND_NAK = "NAK, error counted"
    COUNT = "silence, error counted"
    SILENCE = "silence"


class ServerTransition(NamedTuple):
    """Where a server goes and what it does on the way."""

    state: ServerState
    action: ServerAction


_IDLE, _CONNECTED = ServerState.IDLE, ServerState.CONNECTED

SERVER: Mapping[ServerState, Mapping[ServerInput, ServerTransition]] = {
    _IDLE: {
        ServerInput.ID_REQUEST: ServerTransition(_CONNECTED, ServerAction.IDENTIFY),
        **{
            heard: ServerTransition(_IDLE, ServerAction.SILENCE)
            for heard in ServerInput
            if heard is not ServerInput.ID_REQUEST
        },
    },
    _CONNECTED: {
        ServerInput.ID_REQUEST: ServerTransition(_CONNECTED, ServerAction.IDENTIFY),
        ServerInput.ID_REQUEST_OTHER: ServerTransition(_IDLE, ServerAction.SILENCE),
        ServerInput.ID_REQUEST_DAMAGED: ServerTransition(_CONNECTED, ServerAction.COUNT),
        ServerInput.COMMAND: ServerTransition(_CONNECTED, ServerAction.ANSWER),
        ServerInput.BREAK: ServerTransition(_IDLE, ServerAction.SILENCE),
        ServerInput.NAK: ServerTransition(_CONNECTED, ServerAction.REPEAT),
        ServerInput.NAK_TOO_MANY: ServerTransition(_CONNECTED, ServerAction.SILENCE),
        ServerInput.NOISE: ServerTransition(_CONNECTED, ServerAction.SILENCE),
        ServerInput.DAMAGED: ServerTransition(_CONNECTED, ServerAction.COUNT_AND_NAK),
        ServerInput.INCOMPLETE: ServerTransition(_CONNECTED, ServerAction.COUNT),
        ServerInput.THIRD_ERROR: ServerTransition(_IDLE, ServerAction.SILENCE),
        ServerInput.INACTIVITY: ServerTransition(_IDLE, ServerAction.SILENCE),
        ServerInput.LINK_CLOSED: ServerTransition(_IDLE, ServerAction.SILENCE),
    },
}


class ClientState(enum.Enum):
    """The client's states: what it is waiting for."""

    READY = "no command"
    REPEATABLE = "awaiting the answer to a command that may be repeated"
    SNAPSHOT = "awaiting a snapshot"
    ENTRY = "awaiting the answer to a token entry"
    SIGN_OFF = "sending a BreakCommand"


class ClientInput(enum.Enum):
    """What can happen to a client that waits."""

    ANSWER = "the answer"
    ERROR = "an error message with a good BCC"
    NAK = "NAK"
    DAMAGED = "a damaged answer, NAKs left"
    DAMAGED_TOO_OFTEN = "a damaged answer, no NAK left"
    FOREIGN = "any other message"
    BREAK = "B0 from a meter of mode C"
    SILENCE = "no answer in time, attempts left"
    GIVE_UP = "no answer in time, no attempt left"
    SENT = "last character sent"
    LINK_LOST = "link lost"


class ClientAction(enum.Enum):
    """What a client does about it."""

    FINISH = "report the answer"
    REFUSED = "report the error"
    UNCERTAIN = "report that only a snapshot can tell"
    FAIL = "report the failure"
    SEND_NAK = "NAK"
    REPEAT = "the command again"
    DROP = "drop it and go on waiting"


class ClientTransition(NamedTuple):
    """Where a client goes and what it does on the way."""

    state: ClientState
    action: ClientAction


_READY = ClientState.READY


def _waits(
    state: ClientState, ends: Mapping[ClientInput, ClientAction]
) -> Mapping[ClientInput, ClientTransition]:
    """Complete a row: what does not end the wait and is not named is dropped."""
    stays = (ClientAction.DROP, ClientAction.SEND_NAK, ClientAction.REPEAT)
    row: dict[ClientInput, ClientTransition] = {}
    for heard in ClientInput:
        action = ends.get(heard, ClientAction.DROP)
        row[heard] = ClientTransition(state if action in stays else _READY, action)
    return row


CLIENT: Mapping[ClientState, Mapping[ClientInput, ClientTransition]] = {
    _READY: _waits(_READY, {}),
    # Identify, Read, Write: simply repeated. NAK only to a damaged Data or IDResponse.
    ClientState.REPEATABLE: _waits(
        ClientState.REPEATABLE,
        {
            ClientInput.ANSWER: ClientAction.FINISH,
            ClientInput.ERROR: ClientAction.REFUSED,
            ClientInput.NAK: ClientAction.REPEAT,
            ClientInput.DAMAGED: ClientAction.SEND_NAK,
            ClientInput.DAMAGED_TOO_OFTEN: ClientAction.REPEAT,
            ClientInput.SILENCE: ClientAction.REPEAT,
            ClientInput.GIVE_UP: ClientAction.FAIL,
            ClientInput.BREAK: ClientAction.FAIL,
            ClientInput.LINK_LOST: ClientAction.FAIL,
        },
    ),
    # Only Data with exactly the registers of this attempt ends it: no late answer is a fresh one.
    ClientState.SNAPSHOT: _waits(
        ClientState.SNAPSHOT,
        {
            ClientInput.ANSWER: ClientAction.FINISH,
            ClientInput.SILENCE: ClientAction.REPEAT,
            ClientInput.GIVE_UP: ClientAction.FAIL,
            ClientInput.BREAK: ClientAction.FAIL,
            ClientInput.LINK_LOST: ClientAction.FAIL,
        },
    ),
    # Sent once. A clean error message says "not taken"; after anything else a snapshot decides.
    ClientState.ENTRY: _waits(
        ClientState.ENTRY,
        {
            ClientInput.ANSWER: ClientAction.FINISH,
            ClientInput.ERROR: ClientAction.REFUSED,
            ClientInput.NAK: ClientAction.UNCERTAIN,
            ClientInput.DAMAGED: ClientAction.UNCERTAIN,
            ClientInput.DAMAGED_TOO_OFTEN: ClientAction.UNCERTAIN,
            ClientInput.FOREIGN: ClientAction.UNCERTAIN,
            ClientInput.SILENCE: ClientAction.UNCERTAIN,
            ClientInput.BREAK: ClientAction.UNCERTAIN,
            ClientInput.GIVE_UP: ClientAction.UNCERTAIN,
            ClientInput.LINK_LOST: ClientAction.UNCERTAIN,
        },
    ),
    # B0 is not answered. B1, after a fast wake-up, is acknowledged; to a meter that does not know
    # it, B0 is said in its place.
    ClientState.SIGN_OFF: _waits(
        ClientState.SIGN_OFF,
        {
            ClientInput.SENT: ClientAction.FINISH,
            ClientInput.ANSWER: ClientAction.FINISH,
            ClientInput.ERROR: ClientAction.REPEAT,
            ClientInput.SILENCE: ClientAction.REPEAT,
            ClientInput.GIVE_UP: ClientAction.FINISH,
            ClientInput.LINK_LOST: ClientAction.FAIL,
        },
    ),
}
