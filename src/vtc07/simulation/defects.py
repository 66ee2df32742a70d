"""Deliberate defects: doubles of single parts, each wrong in one way.

They prove that the simulation would notice. A defect is a mistake that somebody could make in a
meter or in a hand-held unit; a run with it must come to a violation before long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from vtc07.carrier.client import Client
from vtc07.carrier.server import Server
from vtc07.hhu.delivery import Deliverer
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.session import Session
from vtc07.meter import SQLiteStore
from vtc07.simulation import meter_defects, unit_defects
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.powered import WatchedMeter


@dataclass(frozen=True, slots=True)
class Defect:
    """A double: its ``name``, what it does wrong, and the parts of a world that has it.

    ``in_mode_c``: whether it is in a world of mode C too.
    """

    name: str
    does: str
    parts: Parts
    in_mode_c: bool


def _parts(double: type) -> Parts:
    """Return the real parts with a double in the place of the one that it stands for."""
    if issubclass(double, WatchedMeter):
        return replace(REAL, meter=double)
    if issubclass(double, SQLiteStore):
        return replace(REAL, store=double)
    if issubclass(double, Server):
        return replace(REAL, server=meter_defects.served_by(double))
    if issubclass(double, Client):
        return replace(REAL, client=double, mode_c_client=unit_defects.signed_on_by(double))
    if issubclass(double, Deliverer):
        return replace(REAL, deliverer=double)
    if issubclass(double, MemoryPlace):
        return replace(REAL, journal_place=double)
    assert issubclass(double, Session)
    return replace(REAL, session=double)


_ALL: Final[Mapping[str, type]] = {
    "tid-later": meter_defects.TIDLater,
    "log-later": meter_defects.LogLater,
    "short-memory": meter_defects.ShortMemory,
    "refused-not-counted": meter_defects.RefusedNotCounted,
    "lockout-forgotten": meter_defects.LockoutForgotten,
    "keypad-unlocks": meter_defects.KeypadUnlocks,
    "staging-forgotten": meter_defects.StagingForgotten,
    "counted-at-16": meter_defects.CountedAt16,
    "second-entry-taken": meter_defects.SecondEntryTaken,
    "never-16": meter_defects.Never16,
    "failed-shown-as-done": meter_defects.FailedShownAsDone,
    "key-shown": meter_defects.KeyShown,
    "half-the-room": meter_defects.HalfTheRoom,
    "half-the-load": meter_defects.HalfTheLoad,
    "seldom-committed": meter_defects.SeldomCommitted,
    "locked-at-four": meter_defects.LockedAtFour,
    "loss-not-counted": meter_defects.LossNotCounted,
    "switch-left-open": meter_defects.SwitchLeftOpen,
    "one-section-staged": meter_defects.OneSectionStaged,
    "two-settings": meter_defects.TwoSettings,
    "entry-forgotten": meter_defects.EntryForgotten,
    "durable-later": meter_defects.DurableLater,
    "two-halves": meter_defects.TwoHalves,
    "not-taken-back": meter_defects.NotTakenBack,
    "server-without-bcc": meter_defects.TrustingServer,
    "nak-obeyed-again": meter_defects.ObeysAgain,
    "client-without-bcc": unit_defects.TrustingClient,
    "one-count": unit_defects.OneCount,
    "nak-means-not-taken": unit_defects.NAKMeansNotTaken,
    "silence-means-not-taken": unit_defects.SilenceMeansNotTaken,
    "ack-means-accepted": unit_defects.AckMeansAccepted,
    "blind-resend": unit_defects.BlindResend,
    "journal-afterwards": unit_defects.JournalAfterwards,
    "earlier-forgotten": unit_defects.EarlierForgotten,
    "used-means-delivered": unit_defects.UsedMeansDelivered,
    "old-snapshot": unit_defects.OldSnapshot,
    "not-sent-after-all": unit_defects.NotSentAfterAll,
    "unannounced": unit_defects.Unannounced,
    "journal-otherwise": unit_defects.JournalOtherwise,
    "entry-later": unit_defects.EntryLater,
    "pan-not-compared": unit_defects.PanNotCompared,
    "snapshot-in-two-reads": unit_defects.TwoReads,
}

#: Every defect by its name.
DEFECTS: Final[Mapping[str, Defect]] = {
    name: Defect(
        name,
        (double.__doc__ or "").splitlines()[0],
        _parts(double),
        in_mode_c=not issubclass(double, Server),
    )
    for name, double in _ALL.items()
}
