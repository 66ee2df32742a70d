"""Running a virtual meter's commits, and switching it off in good order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vtc07.cli.output import Output
from vtc07.meter import Meter


class Worker(Protocol):
    """What hands out commits: a meter, or the server that it stands behind."""

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit to run, or None."""

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Take notice that the commit ended."""


def work(worker: Worker, now_ns: int) -> None:
    """Run every commit that is due at this instant."""
    while (job := worker.next_work()) is not None:
        failure: Exception | None = None
        try:
            job()
        except Exception as error:  # noqa: BLE001 - the meter is told whatever its commit raises
            failure = error
        worker.work_done(failure, now_ns)


def switch_off(meter: Meter, worker: Worker, now_ns: int, output: Output) -> None:
    """End what is on its way and make everything durable, or say that this was not possible."""
    meter.power_off(now_ns)
    work(worker, now_ns)
    if meter.store_fault:
        output.warning(
            "the store could not be written: the meter kept no token and no value from then on; "
            "check disk and rights"
        )
