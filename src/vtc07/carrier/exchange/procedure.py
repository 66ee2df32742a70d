"""Commands of a hand-held unit of IEC 62056-21, and listening, as effects of a procedure.

The drivers and the simulated line turn an `HHU` or a `PushListener` as they turn a client's core;
what is yielded here is for such a one, and for no other.
"""

from __future__ import annotations

from typing import cast, overload

from vtc07.carrier.endpoint import Perform, Procedure
from vtc07.carrier.events import Command
from vtc07.carrier.exchange.events import HHUCommand, HHUEvent
from vtc07.carrier.exchange.mode_d import Listen, PushEvent


@overload
def perform(command: HHUCommand) -> Procedure[HHUEvent]: ...
@overload
def perform(command: Listen) -> Procedure[PushEvent]: ...
def perform(command: HHUCommand | Listen) -> Procedure[HHUEvent] | Procedure[PushEvent]:
    """Yield one command and return its final event, typed."""
    return _one(command)


def _one(command: HHUCommand | Listen) -> Procedure[HHUEvent]:
    # A driver hands every command on to its core and looks into none.
    return cast("HHUEvent", (yield Perform(cast("Command", command))))
