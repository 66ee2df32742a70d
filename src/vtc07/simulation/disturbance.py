"""What becomes of single characters: the faults of a plan, as a simulated line asks for them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from hashlib import sha256

from vtc07.carrier.companion import S
from vtc07.carrier.exchange.messages import break_message
from vtc07.carrier.grammar import DAMAGED, NAK
from vtc07.links.link import Sender
from vtc07.links.simulated import DROPPED, LINK_LOST, UNPLUGGED, Held, Verdict
from vtc07.simulation.faults import (
    AckToNak,
    BreakInjected,
    CharacterFault,
    CrashAtCharacter,
    Cut,
    Delay,
    Garble,
    Lag,
    PowerLostAtCharacter,
)

_ONE_MESSAGE = 360  # characters; longer than any message of a delivery

#: Faults that strike at one character of one end.
PlacedFault = (
    CharacterFault
    | Cut
    | Delay
    | Lag
    | PowerLostAtCharacter
    | CrashAtCharacter
    | AckToNak
    | BreakInjected
)

#: Told of a fault that strikes, and when; may raise what ends the run there.
OnStrike = Callable[[PlacedFault, int], None]


class Disturbance:
    """The faults of characters, each of which strikes once.

    Its `fault` and `places` are a `SimulatedLine`'s. Of several at one character the first strikes
    and the next one strikes the character behind it. A second garbled character of one message is
    an unreadable one: parity tells most of them, and two that nothing tells, neither parity nor
    BCC, are beyond what the protocol can notice. ``speed``: at how many Bd an end sends now.
    """

    def __init__(self, on_strike: OnStrike, speed: Callable[[Sender], int]) -> None:
        self._on_strike = on_strike
        self._speed = speed
        self._places: dict[Sender, list[int]] = {"client": [], "server": []}
        self._faults: dict[tuple[Sender, int], PlacedFault] = {}
        self._garbled_ns: dict[Sender, int] = {}

    @property
    def empty(self) -> bool:
        """Whether there is none left."""
        return not self._faults

    def add(self, sender: Sender, place: int, fault: PlacedFault) -> None:
        """Let a fault strike at a place, or at the next one that is free."""
        while (sender, place) in self._faults:
            place += 1
        self._faults[sender, place] = fault
        places = self._places[sender]
        places.insert(bisect_left(places, place), place)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()
        for places in self._places.values():
            places.clear()

    def places(self, sender: Sender, place: int) -> int | None:
        """Return the first place of a fault from ``place`` on."""
        for wanted in self._places[sender]:
            if wanted >= place:
                return wanted
        return None

    def fault(self, sender: Sender, char: int, place: int, now_ns: int) -> Verdict:
        """Return what becomes of a character."""
        fault = self._faults.pop((sender, place), None)
        if fault is None:
            return char
        self._places[sender].remove(place)
        self._on_strike(fault, now_ns)
        match fault:
            case CharacterFault(garble=garble, number=number):
                before, self._garbled_ns[sender] = self._garbled_ns.get(sender), now_ns
                message_ns = _ONE_MESSAGE * 10 * S // self._speed(sender)
                if before is not None and now_ns - before < message_ns:
                    garble = Garble.DAMAGE
                return _garbled(char, garble, number, place)
            case AckToNak():
                return NAK
            case BreakInjected():
                return bytes((char,)) + break_message()
            case Cut(told=told):
                return LINK_LOST if told else UNPLUGGED
            case Delay(duration_ns=duration_ns) | Lag(duration_ns=duration_ns):
                return Held(duration_ns)
            case PowerLostAtCharacter() | CrashAtCharacter():
                return char


def _garbled(char: int, garble: Garble, number: int, place: int) -> Verdict:
    match garble:
        case Garble.FLIP:
            return char ^ (1 << number % 7)
        case Garble.DAMAGE:
            return DAMAGED
        case Garble.DROP:
            return DROPPED
        case Garble.DOUBLE:
            return bytes((char, char))
        case Garble.BURST:
            noise = sha256(f"{place} {number}".encode()).digest()[: number + 1]
            return bytes((char,)) + noise
