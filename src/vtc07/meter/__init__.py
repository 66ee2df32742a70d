"""The payment meter: token execution, credit, load switch, durable store, registers.

`manufacture` makes a meter's first state, `SQLiteStore` keeps it (in a file, or for a simulation in
a `MemoryDatabase`), `Meter` runs it, and `MeterServer` puts it on a line. `OutOfOrderServer` is
what is left of a meter whose store is damaged.
"""

from vtc07.durable.database import Connection, PowerLost
from vtc07.durable.memory import disk_error
from vtc07.meter.accounting import ConstantLoad, Demand, DisconnectReason, Load
from vtc07.meter.companion_source import CompanionSource
from vtc07.meter.events import (
    AccessJudged,
    LowCreditAlarm,
    MeterEvent,
    TokenExecuted,
    WriteFinished,
)
from vtc07.meter.loads import Accelerated, PhaseLoad, Since
from vtc07.meter.loads_household import HouseholdLoad
from vtc07.meter.loads_profile import ProfileError, ProfileLoad
from vtc07.meter.logs import Event, EventName, TokenLogEntry
from vtc07.meter.manufacture import ManufactureRefused, manufacture
from vtc07.meter.meter import Meter
from vtc07.meter.out_of_order import OutOfOrderServer
from vtc07.meter.passwords import SecureAlgorithm
from vtc07.meter.records import Changes, MemoryStore, Store
from vtc07.meter.rules import CompanionUnfit, Rules
from vtc07.meter.server import MeterServer
from vtc07.meter.state import MeterState, Nameplate
from vtc07.meter.store import SQLiteStore, make_store, open_store
from vtc07.meter.store_database import Database
from vtc07.meter.store_errors import (
    NewerStore,
    NotAStore,
    StoreCorrupt,
    StoreError,
    StoreExists,
    StoreInUse,
    StoreMissing,
    WrongStoreKey,
)
from vtc07.meter.store_key import (
    STORE_KEY_VARIABLE,
    FoundKey,
    StoreKey,
    StoreKeyError,
    find_store_key,
)
from vtc07.meter.store_memory import MemoryDatabase
from vtc07.meter.store_remains import Remains, find_remains

__all__ = [
    "STORE_KEY_VARIABLE",
    "Accelerated",
    "AccessJudged",
    "Changes",
    "CompanionSource",
    "CompanionUnfit",
    "Connection",
    "ConstantLoad",
    "Database",
    "Demand",
    "DisconnectReason",
    "Event",
    "EventName",
    "FoundKey",
    "HouseholdLoad",
    "Load",
    "LowCreditAlarm",
    "ManufactureRefused",
    "MemoryDatabase",
    "MemoryStore",
    "Meter",
    "MeterEvent",
    "MeterServer",
    "MeterState",
    "Nameplate",
    "NewerStore",
    "NotAStore",
    "OutOfOrderServer",
    "PhaseLoad",
    "PowerLost",
    "ProfileError",
    "ProfileLoad",
    "Remains",
    "Rules",
    "SQLiteStore",
    "SecureAlgorithm",
    "Since",
    "Store",
    "StoreCorrupt",
    "StoreError",
    "StoreExists",
    "StoreInUse",
    "StoreKey",
    "StoreKeyError",
    "StoreMissing",
    "TokenExecuted",
    "TokenLogEntry",
    "WriteFinished",
    "WrongStoreKey",
    "disk_error",
    "find_remains",
    "find_store_key",
    "make_store",
    "manufacture",
    "open_store",
]
