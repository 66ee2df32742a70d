"""What is kept and shown of a line: the trace, whoever watches, and the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Procedure
from vtc07.cli.link_options import LinkOptions
from vtc07.cli.output import Output
from vtc07.cli.tracing import open_trace
from vtc07.hhu.progress import Progress

if TYPE_CHECKING:
    from vtc07.hhu.history.recording import Recording
    from vtc07.hhu.journal.entries import ActivityJournal
    from vtc07.links.link import Sender
    from vtc07.trace.message import TraceMessage, TraceSpeed
    from vtc07.trace.recorder import Recorder

#: Told of every message and change of speed, with the meter's companion as far as it is known.
Watch = Callable[["TraceMessage | TraceSpeed", "Companion | None"], None]

Runner = Callable[[Procedure[Any]], Any]


class LineRecord:
    """The witnesses of one connection; it goes on from link to link.

    ``companion``, ``meter_pan``: what is known of the meter at the moment, None where it is not
    yet. A trace is opened when the first link is; everything is finished when ``resources`` are.
    """

    def __init__(
        self,
        options: LinkOptions,
        output: Output,
        resources: contextlib.ExitStack,
        *,
        journal: ActivityJournal | None,
        watch: Watch | None,
        companion: Callable[[], Companion | None],
        meter_pan: Callable[[], str | None],
    ) -> None:
        self._options = options
        self._resources = resources
        self._watch = watch
        self._companion = companion
        self._asking: Companion | None = None  # of the link that is open
        self._recorders: list[Recorder] = []
        self._is_traced = False
        self.recording: Recording | None = None
        if journal is not None:
            from vtc07.cli.journalling import recording_in  # noqa: PLC0415 - only with a journal

            self.recording = resources.enter_context(
                recording_in(
                    journal,
                    output,
                    companion=companion,
                    explained_by=self._explained_by,
                    meter_pan=meter_pan,
                    address=options.address,
                )
            )
            self._recorders.append(self.recording.recorder)

    def begin(self, companion: Companion) -> bool:
        """Take notice of a link by ``companion``; False where nobody wants to hear of it."""
        self._asking = companion
        if not self._is_traced:
            self._is_traced = True
            recorder = self._trace() or self._watched()
            if recorder is not None:
                self._recorders.append(recorder)
        return bool(self._recorders)

    def recorded(self, run: Runner) -> Runner:
        """Return what runs procedures, and writes down what they do where there is a journal."""
        recording = self.recording
        if recording is None:
            return run
        return lambda procedure: run(recording.recorded(procedure))

    def heard(self, progress: Progress) -> None:
        """Take notice of a step of the session."""
        if self.recording is not None:
            self.recording.heard(progress)

    # --- what passes ---------------------------------------------------------------------------

    def observe(self, sender: Sender, chars: bytes, time_ns: int) -> None:
        """Take characters of a real link."""
        for recorder in self._recorders:
            recorder.observe(sender, chars, time_ns)

    def character(self, sender: Sender, sent: int, arrived: int, time_ns: int) -> None:
        """Take a character of a simulated line."""
        for recorder in self._recorders:
            recorder.character(sender, sent, arrived, time_ns)

    def speed(self, sender: Sender, speed: int, time_ns: int) -> None:
        """Take notice of a change of speed."""
        for recorder in self._recorders:
            recorder.speed(sender, speed, time_ns)

    # --- who is told ---------------------------------------------------------------------------

    def _explained_by(self) -> Companion | None:
        """Return by which companion a message is explained: the meter's, or the one that asks."""
        return self._companion() or self._asking

    def _trace(self) -> Recorder | None:
        if self._options.trace is None:
            return None
        known = self._companion()
        return self._resources.enter_context(
            open_trace(
                self._options.trace,
                "" if known is None else known.name,  # the meter is still to be asked
                self._options.address,
                self._explained_by,
            )
        )

    def _watched(self) -> Recorder | None:
        watch = self._watch
        if watch is None:
            return None
        from vtc07.trace.recorder import Recorder  # noqa: PLC0415 - only where somebody watches

        def told(message: TraceMessage | TraceSpeed) -> None:
            watch(message, self._explained_by())

        recorder = Recorder(told, on_speed=told)
        self._resources.callback(recorder.finish)
        return recorder
