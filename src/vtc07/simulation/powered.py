"""A real meter whose supply can fail: the server's end of the simulated line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import scrypt
from typing import Final

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import ErrorCode
from vtc07.carrier.token_entry import Lockout
from vtc07.meter import (
    Changes,
    CompanionSource,
    ConstantLoad,
    MemoryDatabase,
    Meter,
    MeterServer,
    MeterState,
    PowerLost,
    SQLiteStore,
    StoreError,
    StoreKey,
    disk_error,
    manufacture,
)
from vtc07.meter.passwords import PasswordGuard, PasswordHash
from vtc07.meter.state import Account
from vtc07.simulation.faults import DiskFault, PowerLostInCommit
from vtc07.simulation.issued import MADE, Issued, attributes, key
from vtc07.simulation.ledger import Entry, Ledger, Violation
from vtc07.tokens import EA, KT, TCT, TID, MeterPAN

DIRECT: Final = "electricity"
MODE_C: Final = "electricity-mode-c"
#: The companions of which a run may be.
COMPANIONS: Final = (DIRECT, MODE_C)
PAN: Final = "600727111111111153"
OTHER_PAN: Final = "600727222222222209"
STORE_KEY: Final = bytes(range(32, 64))
#: Of every simulated meter of mode C.
PASSWORD: Final = "let me in"  # noqa: S105 - it is to be known

_LOCKED: Final = 5  # failures that lock a carrier
_DELAYED: Final = 3  # wrong passwords that begin a delay
_AT_ONCE: Final = 100  # more commits at one instant come only from a meter that never stops


@dataclass(frozen=True, slots=True)
class MeterMake:
    """How a meter is when a run begins.

    ``credit`` in Wh; ``power``: W of its load. ``failures``: wrong tokens before, from either
    carrier; after five of them 20 s of a lockout are left. ``tampered``: a tamper flag is set.
    ``executed``: how many tokens it has executed. ``companion``: its companion's name.
    ``wrong_passwords``: of mode C; after three of them 20 s of a delay are left.
    """

    ea: EA = EA.MISTY1
    kt: KT = KT.DUTK
    credit: int = 5000
    power: int = 0
    execution_ns: int = S // 2
    failures: int = 0
    tampered: bool = False
    executed: int = 0
    companion: str = DIRECT
    wrong_passwords: int = 0

    @property
    def guard(self) -> PasswordGuard:
        """What wrong passwords have led to."""
        delayed = self.wrong_passwords >= _DELAYED
        return PasswordGuard(self.wrong_passwords, 20 * S if delayed else 0, 60 if delayed else 0)

    @property
    def lockout(self) -> Lockout:
        """The lockout of either carrier."""
        locked = self.failures >= _LOCKED
        return Lockout(self.failures, 20 * S if locked else 0, 60 if locked else 0)


class _Nonces:
    """Nonces that depend on nothing but how many there were: the same run, the same bytes."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, length: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(length, "big")


def store_key() -> StoreKey:
    """Return the store key of every simulated meter, with nonces that repeat from run to run."""
    return StoreKey(STORE_KEY, nonces=_Nonces())


@lru_cache(maxsize=2)
def companion(name: str = DIRECT) -> Companion:
    """Return a companion of the simulated meters."""
    return load_companion(name)


@lru_cache(maxsize=8)
def companion_that_states(execution_ms: int, name: str = DIRECT) -> Companion:
    """Return a unit's copy of it, which says how long the execution of a token takes."""
    policy = companion(name).meter
    assert policy is not None
    return replace(companion(name), meter=replace(policy, execution_ms=execution_ms))


@lru_cache(maxsize=2)
def _source(name: str) -> CompanionSource:
    return CompanionSource.of(name)


@lru_cache(maxsize=1)
def _password() -> PasswordHash:
    """Return what a meter keeps of its password: as cheap to compare as can be."""
    salt, cost = bytes(16), 2
    digest = scrypt(PASSWORD.encode(), salt=salt, n=cost, r=8, p=1, dklen=32)
    return PasswordHash(salt, digest, log2_n=cost.bit_length() - 1)


@lru_cache(maxsize=512)
def _image(make: MeterMake, pan: str) -> bytes:
    """Return the database of a new meter; making one is slow, copying is not."""
    ea, kt = make.ea, make.kt
    made_by = companion(make.companion)
    state = manufacture(made_by, MeterPAN(pan), key(ea, 0), attributes(0, kt), TID(MADE))
    state = replace(
        state,
        account=Account(balance=make.credit, accepted=make.credit),
        switch=replace(state.switch, tamper=int(make.tampered)),
        virtual_lockout=make.lockout,
        keypad_lockout=make.lockout,
        tokens_executed=make.executed,
        password=None if made_by.mode_c is None else _password(),
        password_guard=make.guard,
    )
    with MemoryDatabase() as database:
        SQLiteStore.create_in(database, state, _source(make.companion), store_key()).close()
        return database.image()


class WatchedMeter(Meter):
    """A meter that tells its ledger what was entered and written."""

    ledger: Ledger | None = None

    def enter(self, token: str | None, carrier: TCT, now_ns: int) -> ErrorCode | None:
        """Take a token for execution, or say why not."""
        error = super().enter(token, carrier, now_ns)
        if self.ledger is not None:
            self.ledger.entered(Entry(token or "", carrier, self.state.powered_ns), error)
        return error

    def offer_password(self, request: int, password: str, now_ns: int) -> None:
        """Compare a password with the meter's."""
        super().offer_password(request, password, now_ns)
        if self.ledger is not None:
            self.ledger.password_given(right=password == PASSWORD, powered_ns=self.state.powered_ns)

    def write(self, request: int, register: Register, value: Value, now_ns: int) -> None:
        """Write an ordinary register."""
        if self.ledger is not None:
            self.ledger.to_write(register.name, value)
        super().write(request, register, value, now_ns)


class _WatchedStore:
    """A store that tells the ledger of each commit, and meets the faults that are meant for it."""

    def __init__(self, home: PoweredMeter, store: SQLiteStore) -> None:
        self._home = home
        self._store = store

    def load(self) -> MeterState:
        """Return the state committed last."""
        return self._store.load()

    def commit(self, changes: Changes) -> None:
        """Make a transaction durable."""
        home = self._home
        home.ledger.begin(changes)
        home.database.hook = hook = home.next_hook()
        try:
            self._store.commit(changes)
        except StoreError as error:
            home.ledger.failed(error, struck=isinstance(hook, _Strike) and hook.struck)
            raise
        finally:
            home.database.hook = None
            if isinstance(hook, _Steps):
                home.steps.append(hook.steps)
        home.ledger.done()


class _Steps:
    """A hook of the database that counts the steps of a commit."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, sql: str, after: bool) -> None:  # noqa: ARG002, FBT001 - the hook's own convention
        self.steps += after


class _Strike:
    """A hook of the database that strikes once, at a step of a commit or at its end."""

    def __init__(self, home: PoweredMeter, fault: PowerLostInCommit | DiskFault) -> None:
        self._home = home
        self._fault = fault
        self._step = 0
        self.struck = False

    def __call__(self, sql: str, after: bool) -> None:  # noqa: FBT001 - the hook's own convention
        fault = self._fault
        here = self._step >= fault.step or sql == "COMMIT"
        if here and after == fault.done:
            self.struck = True
            self._home.database.hook = None
            self._home.struck(fault)
            if isinstance(fault, PowerLostInCommit):
                raise PowerLost
            raise disk_error()
        self._step += after


class PoweredMeter:
    """A meter, its store and its supply: a `ServerEndpoint` that may go dark.

    ``make``: how it is; ``known``: the tokens of the run by digits; ``now_ns``: when it is powered
    up for the first time; ``meter_type`` and ``server_type``: what it is made of; ``watch``: given
    every server, to watch it; ``struck``: told of each fault that struck; ``went_dark``: told when
    power was lost, with the time without; ``on_sent``: told of each message that goes out.
    """

    def __init__(
        self,
        make: MeterMake,
        pan: str,
        known: Mapping[str, Issued],
        *,
        now_ns: int,
        character_ns: int,
        meter_type: type[WatchedMeter],
        server_type: type[MeterServer],
        store_type: type[SQLiteStore],
        watch: Callable[[PoweredMeter, MeterServer], None],
        struck: Callable[[PowerLostInCommit | DiskFault], None],
        went_dark: Callable[[PoweredMeter, int], None],
        on_sent: Callable[[PoweredMeter, bytes], None],
    ) -> None:
        self.make = make
        # Neither load nor speed is in the database.
        self.database = MemoryDatabase(_image(replace(make, power=0, execution_ns=0), pan))
        self.faults: dict[int, PowerLostInCommit | DiskFault] = {}
        self.sent = bytearray()
        #: whether to count how many steps each commit has, in ``steps``
        self.count_steps = False
        self.steps: list[int] = []
        self.server: MeterServer | None = None
        self.meter: WatchedMeter | None = None
        self._pan = pan
        self._key = store_key()
        self._character_ns = character_ns
        self._meter_type = meter_type
        self._server_type = server_type
        self._store_type = store_type
        self._watch = watch
        self._struck = struck
        self._went_dark = went_dark
        self._on_sent = on_sent
        self._lost_for_ns: int | None = None  # power was lost in a commit, for so long
        self._off_ns = 0
        self._commits = 0
        self._worked_ns = now_ns  # the instant of its latest commit, and ...
        self._at_once = 0  # ... how many it had then
        store = self._open()
        self.ledger = Ledger(
            pan,
            store.load(),
            known,
            make.power,
            behind_password=companion(make.companion).mode_c is not None,
        )
        self._run(store, now_ns)

    def _open(self) -> SQLiteStore:
        return self._store_type.open_in(self.database, self._key)

    def _run(self, store: SQLiteStore, now_ns: int) -> None:
        rules = companion(self.make.companion)
        self.meter = self._meter_type(
            rules,
            _WatchedStore(self, store),
            now_ns=now_ns,
            load=ConstantLoad((self.make.power,)),
            execution_ns=self.make.execution_ns,
        )
        self.meter.ledger = self.ledger
        self.server = self._server_type(rules, self.meter, character_ns=self._character_ns)
        self._watch(self, self.server)

    # --- the supply ------------------------------------------------------------------------------

    def power_up(self, now_ns: int) -> None:
        """Power it up; nothing where it has power."""
        if self.server is not None:
            return
        store = self._open()
        self.ledger.powered_up(store.load())
        self._run(store, now_ns)

    def lose_power(self, off_ns: int) -> None:
        """Take its power away, for ``off_ns``; nothing where it has none."""
        if self.meter is None:
            return
        # Nothing is committed once the store failed, so then no bound holds.
        self.ledger.power_lost(None if self.meter.store_fault else self.meter.state)
        self.server = self.meter = None
        self.database.lose_power()
        self._went_dark(self, off_ns)

    @property
    def speed(self) -> int | None:
        """The speed at which it hears now; None: the one of the line's beginning."""
        core = None if self.server is None else self.server.core
        return core.speed if isinstance(core, ModeCServer) else None

    @property
    def out_of_order(self) -> bool:
        """Whether it has power, but its store failed."""
        return self.meter is not None and self.meter.store_fault

    # --- faults of its store ---------------------------------------------------------------------

    def next_hook(self) -> _Strike | _Steps | None:
        """Return what the next commit meets."""
        fault = self.faults.pop(self._commits, None)
        self._commits += 1
        if fault is None:
            return _Steps() if self.count_steps else None
        return _Strike(self, fault)

    def struck(self, fault: PowerLostInCommit | DiskFault) -> None:
        """Take notice that a fault struck."""
        self._off_ns = fault.off_ns
        self._struck(fault)

    # --- the line's face -------------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""
        if self.server is not None:
            self.server.receive(chars, now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""
        if self.server is None:
            return b""
        chars = self.server.bytes_to_send(now_ns)
        if chars:
            self.sent += chars
            self._on_sent(self, chars)
        return chars

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        return None if self.server is None else self.server.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        if self.server is not None:
            self.server.handle_timer(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""
        if self.server is not None:
            self.server.connection_lost(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return None if self.server is None else self.server.next_speed_change()

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit to run, or None."""
        if self.server is None:
            return None
        job = self.server.next_work()
        if job is None:
            return None

        def run() -> None:
            try:
                job()
            except PowerLost:
                self._lost_for_ns = self._off_ns

        return run

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Report the end of the commit that was handed out."""
        self._at_once = self._at_once + 1 if now_ns == self._worked_ns else 1
        self._worked_ns = now_ns
        if self._at_once > _AT_ONCE:
            raise Violation(f"meter {self._pan} commits without end")
        if self._lost_for_ns is not None:
            off_ns, self._lost_for_ns = self._lost_for_ns, None
            self.lose_power(off_ns)
        elif self.server is not None:
            if error is not None and not isinstance(error, StoreError):
                self.ledger.swallowed(error)  # the meter takes it for a fault of its store
            self.server.work_done(error, now_ns)
