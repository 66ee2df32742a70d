"""What a simulated world is made of: the real parts, or doubles of some of them."""

from __future__ import annotations

from dataclasses import dataclass

from vtc07.carrier.client import Client
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.delivery import Deliverer
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.session import Session
from vtc07.meter import MeterServer, SQLiteStore
from vtc07.simulation.powered import WatchedMeter


@dataclass(frozen=True, slots=True)
class Parts:
    """The types of a world's parts; by default the product's own."""

    client: type[Client] = Client
    mode_c_client: type[ModeCClient] = ModeCClient
    session: type[Session] = Session
    deliverer: type[Deliverer] = Deliverer
    server: type[MeterServer] = MeterServer
    meter: type[WatchedMeter] = WatchedMeter
    store: type[SQLiteStore] = SQLiteStore
    journal_place: type[MemoryPlace] = MemoryPlace


REAL = Parts()
