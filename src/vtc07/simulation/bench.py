"""The bench of a run: a simulated line, the meters at one end, hand-held units at the other.

It only works as it is told to: who disturbs it and who judges it stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.companion import Companion
from vtc07.hhu.progress import Progress
from vtc07.links.link import ClientEndpoint, Sender, SpeedObserver
from vtc07.links.simulated import LineObserver, SimulatedLine
from vtc07.meter import MeterServer
from vtc07.simulation.disturbance import Disturbance, OnStrike
from vtc07.simulation.doubles import Parts
from vtc07.simulation.faults import (
    CrashAtJournal,
    DiskFault,
    Echo,
    Fault,
    MeterSwapped,
    PowerLostInCommit,
    in_words,
)
from vtc07.simulation.plan import Plan
from vtc07.simulation.powered import DIRECT, OTHER_PAN, PAN, PoweredMeter, companion_that_states
from vtc07.simulation.run import OnStory, Run
from vtc07.simulation.sign_on import Core, rules_of, watch_client, watch_server
from vtc07.simulation.site import Site
from vtc07.simulation.unit import HandHeldUnit, Nobody
from vtc07.simulation.unit_disk import UnitDisk

#: Told of a message of a meter that is about to go out.
OnSent = Callable[[PoweredMeter, bytes], None]

#: Told of what a unit does.
OnProgress = Callable[[HandHeldUnit, Progress], None]


class Bench:
    """The line, the meters and the units, and who of them has it.

    ``unit`` and ``meter`` are those whose tokens the run is about; ``other`` is a meter that was
    there in its place, ``units`` are all that came. ``known``: every token of the run, by its
    digits. ``disturbance``: the faults of characters that are still to come; ``disturbed``: faults
    of any kind may still strike. ``shared_until_ns``: until then an answer to another client may
    be about. ``on_strike``, ``on_sent`` and ``on_progress`` are told of what happens, from the
    first character on; ``observer``, ``on_speed`` and ``on_story`` as in `simulate`.
    """

    def __init__(
        self,
        plan: Plan,
        parts: Parts,
        run: Run,
        *,
        on_strike: OnStrike,
        on_sent: OnSent,
        on_progress: OnProgress,
        observer: LineObserver | None,
        on_speed: SpeedObserver | None,
        on_story: OnStory | None,
    ) -> None:
        self.plan = plan
        self.rules = rules_of(plan.companion)
        self.run = run
        self.on_story = on_story
        self.disturbed = True
        self.shared_until_ns = -1
        self.tokens = plan.issued()
        self.known = {issued.digits: issued for issued in self.tokens}
        self.units: list[HandHeldUnit] = []
        self._parts = parts
        self._on_sent = on_sent
        self._on_progress = on_progress
        self._echo = any(isinstance(fault, Echo) for fault in plan.faults)
        self.disturbance = Disturbance(on_strike, self._speed)
        self.meter = self._new_meter(PAN, 0)
        self.other: PoweredMeter | None = None
        self._site: Site | None = None
        if any(isinstance(fault, MeterSwapped) for fault in plan.faults):
            self._site = Site(self.meter)
        self.line = SimulatedLine(
            Nobody(),
            self._site or self.meter,
            speed=self.rules.speed,
            fault=self.disturbance.fault,
            fault_places=self.disturbance.places,
            observers=() if observer is None else (observer,),
            on_speed=on_speed,
            in_runs=True,
            echo=self._echo,
        )
        for fault in plan.faults:
            if isinstance(fault, Echo):  # it strikes from the beginning
                self.count(fault)
        crash = next((f for f in plan.faults if isinstance(f, CrashAtJournal)), None)
        self.unit = self.new_unit(crash)
        self.have(self.unit.client, self.unit.number)

    def close(self) -> None:
        """Let go of the databases, and count."""
        run = self.run
        run.sent = self.places()
        run.characters = sum(run.sent)
        run.steps = self.meter.steps
        run.line_ns = self.line.now_ns
        for meter in self.meters():
            run.commits += meter.ledger.commits
            run.tokens_executed += len(meter.ledger.executed)
            meter.database.close()
        for unit in self.units:
            unit.disk.close()

    def remains(self) -> bytes:
        """Return all that the disks of the meter and of the unit hold."""
        self.meter.database.lose_power()
        return self.meter.database.image() + self.unit.disk.image()

    # --- telling ---------------------------------------------------------------------------------

    def tell(self, sentence: str) -> None:
        """Tell the story of the run a sentence further."""
        if self.on_story is not None:
            self.on_story(self.line.now_ns, sentence)

    def count(self, fault: Fault) -> None:
        """Count a fault that strikes."""
        self.run.faults[fault.kind] += 1
        if self.on_story is not None and not isinstance(fault, Echo):
            self.tell(f"*** {in_words(fault)}")

    # --- the line --------------------------------------------------------------------------------

    def places(self) -> tuple[int, int]:
        """Return how many characters the client and the meter have sent."""
        return self.line.sent("client"), self.line.sent("server")

    def have(self, client: ClientEndpoint, unit: int, speed: int | None = None) -> None:
        """Put a unit's head on the meter, in the place of the one that was there.

        ``speed``: at which it was when it was taken off; None: it is a new one.
        """
        self.line.silence("client", speed=speed)
        self.line.client = client
        self.meter.ledger.unit = unit

    def mend(self) -> None:
        """Make the line whole again."""
        self.line.plug()
        self.line.reachable = True
        self.tell("the line is whole again")

    def _speed(self, sender: Sender) -> int:
        return self.line.speed(sender)

    # --- meters ----------------------------------------------------------------------------------

    def meters(self) -> tuple[PoweredMeter, ...]:
        """Return all meters that have been there."""
        return (self.meter,) if self.other is None else (self.meter, self.other)

    @property
    def current(self) -> PoweredMeter:
        """The meter that has the head on it."""
        return self.meter if self._site is None else self._site.current

    def _new_meter(self, pan: str, now_ns: int) -> PoweredMeter:
        parts = self._parts
        return PoweredMeter(
            self.plan.make,
            pan,
            self.known,
            now_ns=now_ns,
            character_ns=self.rules.character_ns,
            meter_type=parts.meter,
            server_type=parts.server,
            store_type=parts.store,
            watch=self._watch_server,
            struck=self._struck_in_store,
            went_dark=self._went_dark,
            on_sent=self._on_sent,
        )

    def _watch_server(self, meter: PoweredMeter, server: MeterServer) -> None:
        watch_server(server.core, self.run.coverage, meter.ledger.access_over)

    def _struck_in_store(self, fault: PowerLostInCommit | DiskFault) -> None:
        self.count(fault)
        meter = self.meter
        if isinstance(fault, DiskFault):  # somebody comes and switches it off and on
            self.line.schedule(self.line.now_ns + fault.off_ns, lambda: meter.lose_power(0))

    def power_up(self, meter: PoweredMeter) -> None:
        """Give a meter power that has none."""
        if meter.server is None:
            meter.power_up(self.line.now_ns)
            self.tell("the meter has power again")

    def _went_dark(self, meter: PoweredMeter, off_ns: int) -> None:
        self.run.power_losses += 1
        if meter is self.current:
            self.line.silence("server")
        self.line.schedule(self.line.now_ns + off_ns, lambda: self.power_up(meter))

    def swap(self) -> None:
        """Put the head on the meter beside the one that is meant."""
        assert self._site is not None
        if self.other is None:
            self.other = self._new_meter(OTHER_PAN, self.line.now_ns)
            self._site.add(self.other)
        self._put(self.other)

    def right_meter(self) -> None:
        """Put the head on the meter that is meant, if it is on another."""
        if self._site is not None and self._site.current is not self.meter:
            self._put(self.meter)
            self.tell("the right meter is there again")

    def _put(self, meter: PoweredMeter) -> None:
        """Put the head on another meter; it hears at the speed at which it was left."""
        assert self._site is not None
        self._site.put(meter)
        self.line.silence("server", speed=meter.speed)

    # --- units -----------------------------------------------------------------------------------

    def new_unit(self, crash: CrashAtJournal | None = None) -> HandHeldUnit:
        """Return one more unit, with an empty journal; nobody has given it the line yet."""
        parts = self._parts
        # Who comes while another meter is there must name the one that is meant.
        named = self.plan.addressed or self.current is not self.meter
        unit = HandHeldUnit(
            self._companion(),
            PAN if named else "",
            number=len(self.units) + 1,
            now_ns=lambda: self.line.now_ns,
            character_ns=self.rules.character_ns,
            echo=self._echo,
            new_core=self._new_core,
            session_type=parts.session,
            deliverer_type=parts.deliverer,
            on_progress=self._on_progress,
            disk=UnitDisk(crash, self.count, parts.journal_place),
        )
        self.units.append(unit)
        return unit

    def _companion(self) -> Companion:
        return companion_that_states(self.plan.stated_ms, self.plan.companion)

    def _new_core(self) -> Core:
        character_ns = self.rules.character_ns
        core: Core
        if self.plan.companion == DIRECT:
            core = self._parts.client(self._companion(), character_ns=character_ns)
        else:
            core = self._parts.mode_c_client(
                self._companion(), character_ns=character_ns, speed=self.plan.speed
            )
        watch_client(core, self.run.coverage)
        return core
