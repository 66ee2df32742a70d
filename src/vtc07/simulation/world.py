"""One run: real hand-held units and real meters on a simulated line, faults, and a judge.

No wall clock, no thread, no randomness but the plan's: the same plan gives the same run, to the
character and the nanosecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from vtc07.carrier.companion import S
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.delivery import SendReport
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.progress import Progress
from vtc07.hhu.session import SessionError
from vtc07.links.link import SpeedObserver
from vtc07.links.simulated import LineObserver
from vtc07.simulation.bench import Bench
from vtc07.simulation.disturbance import PlacedFault
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.faults import WrongPassword
from vtc07.simulation.judging import Judge
from vtc07.simulation.ledger import Violation
from vtc07.simulation.mishaps import Mishaps
from vtc07.simulation.plan import Plan
from vtc07.simulation.powered import PASSWORD, PoweredMeter
from vtc07.simulation.reports import is_an_end, worth_another
from vtc07.simulation.run import OnStory, Run
from vtc07.simulation.sign_on import Core
from vtc07.simulation.unit import HandHeldUnit
from vtc07.simulation.unit_disk import UnitCrashed

T = TypeVar("T")

_ATTEMPTS: Final = 3  # of a person, before the faults stop
_END_NS: Final = 90 * S  # what a delivery may take once nothing goes wrong any more, and ...
_TOKEN_NS: Final = 40 * S  # ... for each of its tokens
_FAST: Final = 2400  # Bd; a unit that asks for less takes longer


def simulate(
    plan: Plan,
    parts: Parts = REAL,
    *,
    observer: LineObserver | None = None,
    on_speed: SpeedObserver | None = None,
    on_story: OnStory | None = None,
    in_detail: bool = False,
) -> Run:
    """Run a plan to its end and judge it; whatever it raises is a violation too.

    ``observer``, ``on_speed`` and ``on_story`` are told of it as it happens. ``in_detail``: fill
    ``steps`` and ``remains`` too, which a run does without otherwise.
    """
    run = Run(plan)
    world: World | None = None
    try:
        world = World(plan, parts, run, observer=observer, on_speed=on_speed, on_story=on_story)
        world.bench.meter.count_steps = in_detail
        world.run()
    except Violation as violation:
        run.violation = str(violation)
    except Exception as error:  # noqa: BLE001 - no exception may leave any part
        run.violation = f"{type(error).__name__} left a part: {error}"
    if world is not None:
        if in_detail:
            run.remains = world.bench.remains()
        world.bench.close()
        if on_story is not None and run.violation is not None:
            on_story(world.bench.line.now_ns, f"VIOLATION: {run.violation}")
    return run


class World:
    """A bench, what goes wrong on it, its judge, and the person who delivers the tokens."""

    def __init__(
        self,
        plan: Plan,
        parts: Parts,
        run: Run,
        *,
        observer: LineObserver | None,
        on_speed: SpeedObserver | None,
        on_story: OnStory | None,
    ) -> None:
        # Nothing happens on the bench before the mishaps and the judge are there, who need it.
        self.bench = Bench(
            plan,
            parts,
            run,
            on_strike=self._strike,
            on_sent=self._sent,
            on_progress=self._progress,
            observer=observer,
            on_speed=on_speed,
            on_story=on_story,
        )
        self._plan = plan
        self._judge = Judge(self.bench)
        self._mishaps = Mishaps(self.bench, self._judge)
        self._wrong = next((f for f in plan.faults if isinstance(f, WrongPassword)), None)
        self._deliveries = 0

    def _strike(self, fault: PlacedFault, now_ns: int) -> None:
        self._mishaps.strike(fault, now_ns)

    def _sent(self, meter: PoweredMeter, chars: bytes) -> None:
        self._mishaps.sent(meter, chars)

    def _progress(self, unit: HandHeldUnit, fact: Progress) -> None:
        self._judge.progress(unit, fact)

    def run(self) -> None:
        """Deliver the tokens with faults, then without until everything is told; judge all."""
        self.bench.unit.tokens = [issued.digits for issued in self.bench.tokens]
        report: SendReport | None = None
        for attempt in range(_ATTEMPTS):
            if not self._plan.addressed:
                self.bench.right_meter()
            if attempt and report is None and self._plan.resumes:
                self._resume()
            report = self._try(resume=attempt > 0)
            if report is not None and not worth_another(report):
                break
            unheard = report is not None and report.meaning is Meaning.NO_LINK
            rules = self.bench.rules
            self.bench.line.idle(rules.unheard_ns if unheard else rules.pause_ns)
        self._mishaps.stop()
        if report is None or worth_another(report) or self.bench.unit.open_deliveries:
            self._finish()
        self._judge.close_books()

    def _try(self, *, resume: bool) -> SendReport | None:
        """Send once, as a person does; None where the unit crashed."""

        def send(unit: HandHeldUnit) -> SendReport:
            if self._plan.threshold is not None:
                self._write(unit, self._plan.threshold)
            return self._mishaps.send(unit, resume=resume)

        return self._at_work(send)

    def _resume(self) -> None:
        """Find out what a crash left open, as a person does; the unit may crash once more."""
        report = self._at_work(self._mishaps.resume)
        if report is not None:
            self._judge.resumed(self.bench.unit, report)

    def _at_work(self, work: Callable[[HandHeldUnit], T]) -> T | None:
        """Let the unit work; None where it crashed, and was switched on again."""
        unit, self._mishaps.at_work = self.bench.unit, True
        self._give_password(unit.core)
        try:
            return work(unit)
        except UnitCrashed:
            self.bench.tell("the hand-held unit has crashed and is switched on again")
            unit.crash()
            self._mishaps.watching = self.bench.disturbed
            self.bench.have(unit.client, unit.number)
            return None
        finally:
            self._mishaps.at_work = False

    def _give_password(self, core: Core) -> None:
        """Let the unit give the right password from now on, a wrong one, or none."""
        if not isinstance(core, ModeCClient):
            return
        self._deliveries += 1
        wrong = self._wrong
        if wrong is not None and self.bench.disturbed and self._deliveries <= wrong.deliveries:
            self.bench.count(wrong)
            core.use_password("forgotten")
        else:
            core.use_password(PASSWORD if self._plan.password else None)

    def _write(self, unit: HandHeldUnit, value: int) -> None:
        """Write a register; what is acknowledged must be durable, whoever wrote it before."""
        try:
            writing = unit.write("lowCreditThreshold", value)
            written = self.bench.line.run(self._mishaps.watched(unit, writing))
        except SessionError as error:
            self.bench.tell(f"the register was not written: {error}")
            return
        if written and self.bench.meter.ledger.thresholds.isdisjoint({value}):
            raise Violation("a register that was acknowledged as written was not stored")

    def _finish(self) -> None:
        """Without faults one more delivery must tell what became of every token."""
        delay_ns = 0
        if self.bench.meter.meter is not None:
            delay_ns = self.bench.meter.meter.state.password_guard.remaining_ns
        self.bench.line.idle(max(self.bench.rules.rest_ns, delay_ns))
        started = self.bench.line.now_ns - S
        report = self._try(resume=True)
        if report is None:
            raise Violation("a hand-held unit crashed without a fault")
        for outcome in report.outcomes:
            if not is_an_end(outcome):
                raise Violation(f"without faults a delivery still ended with '{outcome}'")
        if self.bench.unit.open_deliveries:
            raise Violation("without faults a delivery is still open in the journal")
        took = self.bench.line.now_ns - started
        slower = _FAST // min(self._plan.speed or _FAST, _FAST)
        if took > slower * (_END_NS + _TOKEN_NS * len(self.bench.tokens)):
            raise Violation(f"without faults a delivery took {took // S} s")
