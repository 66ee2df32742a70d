"""Recording what goes over a line to a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vtc07.carrier.companion import Companion
from vtc07.cli.failure import Failure

if TYPE_CHECKING:
    from vtc07.trace.message import TraceMessage, TraceSpeed
    from vtc07.trace.recorder import Recorder


@contextlib.contextmanager
def open_trace(
    path: str, name: str, address: str, companion: Callable[[], Companion | None]
) -> Iterator[Recorder]:
    """Record to a new file for its owner only: a token that was not taken is still money.

    Each message has its explanation as note, by the companion of the moment (None: by IEC 62056-21
    alone), and each change of speed; ``name`` stands in
    the header. None for a companion: in the words of IEC 62056-21 alone. Failure where the file
    exists: it may be anything.
    """
    from vtc07.trace.file import TraceHeader, TraceWriter  # noqa: PLC0415 - only with --trace
    from vtc07.trace.recorder import Recorder  # noqa: PLC0415 - likewise
    from vtc07.trace.rendering import annotate, annotate_speed  # noqa: PLC0415 - likewise

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"the trace {path} exists already; choose another name") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        writer = TraceWriter(file, TraceHeader(name, address, started))

        def explained(message: TraceMessage) -> None:
            note = "\n".join(annotate(message, companion()).lines(arrow=False))
            writer.write(replace(message, note=note))

        def changed(change: TraceSpeed) -> None:
            (note,) = annotate_speed(change).lines(arrow=False)
            writer.write_speed(replace(change, note=note))

        recorder = Recorder(explained, on_speed=changed)
        try:
            yield recorder
        finally:
            recorder.finish()
