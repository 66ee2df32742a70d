"""What must hold in a run, and the judge who raises Violation where it does not.

He looks at every write and every report as it is made, and at the books in the end.
"""

from __future__ import annotations

from typing import Final

from vtc07.hhu.outcome import Delivered, Meaning
from vtc07.hhu.progress import Progress, Resolved, ResolvingEarlier, sentence
from vtc07.hhu.resuming import ResumeReport, SettingResult
from vtc07.simulation.bench import Bench
from vtc07.simulation.ledger import Violation
from vtc07.simulation.powered import PAN, PASSWORD
from vtc07.simulation.reports import MAY_BE_EXECUTED, Report, in_short, judge, judge_journal
from vtc07.simulation.unit import HandHeldUnit
from vtc07.simulation.watching import shows_a_key
from vtc07.tokens import TCT

_WRITES: Final = 3  # of one token in one delivery


class Judge:
    """Who compares what the units of a bench do and report with what its meters did."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._anybodys: set[str] = set()  # tokens that a hostile client sent
        self._said: list[str] = []

    def may_write(self, unit: HandHeldUnit, digits: str) -> None:
        """Check that a unit may write a token now, and count it.

        Its journal holds the delivery and announces the write; the meter that it is meant for is
        there, and has not taken it.
        """
        ledger = self._bench.meter.ledger
        known = unit.journal.known.values()
        opened = [d for d in known if d.token == digits and d.ended is None]
        if not opened or not 1 <= opened[-1].writes <= _WRITES:
            raise Violation("a token was written that the journal does not announce")
        if self._bench.current is not self._bench.meter or opened[-1].meter_pan != PAN:
            raise Violation("a token was written to a meter that it was not meant for")
        s0 = opened[-1].s0
        since = 0 if s0 is None else ledger.place(s0.sequence)
        taken = [e for e in ledger.results(digits, since, None) if e.unit == unit.number]
        entry = ledger.entry
        if taken or (entry is not None and (entry.digits, entry.unit) == (digits, unit.number)):
            raise Violation("a token was written again although the meter had taken it")
        self._all_sent(digits)

    def sent_by_anybody(self, digits: str) -> None:
        """Take notice of a token that a hostile client sends."""
        self._all_sent(digits)
        self._anybodys.add(digits)

    def _all_sent(self, digits: str) -> None:
        """Take notice of a token on the line: whoever is there may get it."""
        self._bench.meter.ledger.sent[digits] += 1
        if self._bench.other is not None:
            self._bench.other.ledger.sent[digits] += 1

    def progress(self, unit: HandHeldUnit, fact: Progress) -> None:
        """Judge what a unit reports, and keep what it said."""
        self._said.append(repr(fact))
        if self._bench.on_story is not None:
            self._bench.tell(f"unit {unit.number}: {sentence(fact)}")
        if isinstance(fact, ResolvingEarlier):
            unit.resolving = fact.delivery
        elif isinstance(fact, Resolved):
            self._bench.run.outcomes[in_short(fact.outcome)] += 1
            report = self._report(unit, fact)
            judge(report, self._bench.meter.ledger)
            if fact.place is not None and isinstance(fact.outcome, Delivered):
                sequence = fact.outcome.sequence  # None: what the journal knew
                if sequence in unit.claimed:
                    raise Violation("one acceptance was reported for two tokens")
                if sequence is not None:
                    unit.claimed.add(sequence)
            if fact.place is not None:
                unit.has_reported()
            if report.since is not None and not isinstance(fact.outcome, MAY_BE_EXECUTED):
                self._bench.meter.ledger.reported_not_taken(report.digits)

    def resumed(self, unit: HandHeldUnit, report: ResumeReport) -> None:
        """Judge what a unit found out of what a crash had left open."""
        still_open = [d for d in unit.journal.known.values() if d.ended is None]
        if report.meter_pan == PAN and list(report.left.deliveries) != still_open:
            raise Violation("what is left open is not what the journal holds open")
        if report.meter_pan == PAN and still_open and report.meaning is Meaning.DONE:
            raise Violation("everything is said to be known, and a delivery is open")
        stored = self._bench.meter.ledger.thresholds
        for found in report.settings:
            self._bench.run.outcomes[f"a register: {found.said}".partition(": write")[0]] += 1
            if found.result is SettingResult.AS_WANTED and stored.isdisjoint({found.value}):
                raise Violation("a register is said to read what was never stored")

    def _report(self, unit: HandHeldUnit, fact: Resolved) -> Report:
        """Return what a unit reports, with what is true at this instant."""
        ledger = self._bench.meter.ledger
        if fact.place is None:
            mine = unit.journal.known[unit.resolving]
            token, s0 = mine.token, mine.s0
        else:
            token = unit.tokens[fact.place]
            known = unit.journal.known.values()
            opened = [d for d in known if d.token == token and d.number > unit.reported]
            s0 = opened[-1].s0 if opened else None
        entry = ledger.entry
        return Report(
            unit=unit.number,
            digits=token,
            outcome=fact.outcome,
            since=None if s0 is None else ledger.place(s0.sequence),
            seen=0 if unit.looked_at is None else ledger.place(unit.looked_at),
            until=len(ledger.executed),
            on_its_way=entry is not None
            and (entry.digits, entry.carrier, entry.unit) == (token, TCT.VIRTUAL, unit.number),
            disturbed=self._bench.disturbed,
            alone=self._bench.line.now_ns > self._bench.shared_until_ns,
        )

    def close_books(self) -> None:
        """Check what must hold at the end of a run."""
        self.check()
        for meter in self._bench.meters():
            now = meter.ledger.committed if meter.meter is None else meter.meter.state
            meter.ledger.close(now.powered_ns)
        for unit in self._bench.units:
            unit.disk.check()
            judge_journal(unit.number, tuple(unit.journal.known.values()), self._bench.meter.ledger)
        other = () if self._bench.other is None else self._bench.other.ledger.executed
        if any(executed.digits not in self._anybodys for executed in other):
            raise Violation("a token was executed by a meter that it was not meant for")
        self._no_key_is_seen()

    def check(self) -> None:
        """Raise what a ledger found, and look at the buffers."""
        for meter in self._bench.meters():
            if meter.ledger.violation is not None:
                raise meter.ledger.violation
            if meter.server is not None and meter.server.core.held > self._bench.rules.held:
                raise Violation("the server holds more characters than any message has")
        if self._bench.unit.core.held > self._bench.rules.held:
            raise Violation("the client holds more characters than any message has")

    def _no_key_is_seen(self) -> None:
        """Look for keys in all that left a part: the line, the journal, what was said."""
        text = self._bench.meter.sent + "\n".join(self._said).encode()
        for unit in self._bench.units:
            text += unit.disk.image()
        if self._bench.other is not None:
            text += self._bench.other.sent
        if shows_a_key(bytes(text), self._bench.plan.make.ea):
            raise Violation("a key was shown")
        if self._bench.plan.password and PASSWORD.encode() in text:
            raise Violation("a password was shown")
