"""The journal in a file: JSON Lines, append-only, one process at a time.

Form. The first line names format and version; each further line is one entry with the CRC-32 of
its other members under ``check``, so that no flipped digit passes for a token. A line is appended
with one write and is durable (fsync of the file, of the folder too when the file is new) before
the caller goes on.

What a crash can leave. A power failure may leave part of the last line, without its line end or
with NULs in place of what was not yet on the disk. Its entry was never durable, so nothing was
done that relied on it. Such a tail is moved to a file beside the journal (its name with
``.torn`` behind), to which it is appended, and only then cut off. Anything else that is not an
entry is no crash's work: the journal is refused, with file and line, and nothing is changed.

Rights. File, lock and torn tails are readable and writable by their owner alone: a token that was
not taken is still money.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zlib
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from vtc07.hhu.journal import Delivery, DeliveryBook, JournalError
from vtc07.hhu.outcome import Outcome
from vtc07.hhu.resolution import Snapshot

FORMAT = "vtc07 journal"
VERSION = 1
_OWNER_ONLY = 0o600


class JournalLocked(JournalError):
    """Another process has the journal open."""


class JournalCorrupt(JournalError):
    """A line is not what the journal wrote. ``line`` counts from 1."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        self.path = path
        self.line = line
        super().__init__(
            f"{path}, line {line}: {why}. Nothing was changed; restore the file from a copy, or "
            "move it away and check by hand the meters that it names"
        )


class FileJournal:
    """A `Journal` in a file that is created where there is none, its folders too.

    Use as a context manager, or call `close`. Raises JournalLocked, JournalCorrupt, or
    JournalError where the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._book = DeliveryBook()
        self._fault: str | None = None
        self._descriptor = -1
        #: where a torn tail was moved, None where there was none
        self.torn: Path | None = None
        self._lock = FileLock(f"{path}.lock", timeout=0, mode=_OWNER_ONLY, thread_local=False)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise JournalLocked(
                f"another program is using the journal {path}; wait until it has ended"
            ) from None
        except OSError as error:
            raise JournalError(f"the journal {path} cannot be used: {error.strerror}") from error
        try:
            self._open()
        except OSError as error:
            self.close()
            raise JournalError(f"the journal {path} cannot be used: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let others use it. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    # --- Journal -------------------------------------------------------------------------------

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        """Write down that a token is about to go to a meter."""
        delivery = Delivery(self._book.next_number, meter_pan, token, s0, time)
        self._append(
            {
                "entry": "opened",
                "delivery": delivery.number,
                "time": time.isoformat(),
                "meterPAN": meter_pan,
                "token": token,
                "s0": None
                if s0 is None
                else {
                    "tokenStatus": s0.status,
                    "tokenSequence": s0.sequence,
                    "lastToken": s0.last_token,
                    "lastTokenStatus": s0.last_status,
                },
            }
        )
        self._book.opened(delivery)
        return delivery

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:
        """Write down that an entry is about to be sent."""
        self._book.still_open(delivery)
        self._append(
            {
                "entry": "write",
                "delivery": delivery,
                "time": time.isoformat(),
                "number": number,
            }
        )
        self._book.announced(delivery, number)

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        """Write down how it ended."""
        self._book.still_open(delivery)
        result = str(outcome)
        self._append(
            {
                "entry": "result",
                "delivery": delivery,
                "time": time.isoformat(),
                "meaning": outcome.meaning.value,
                "result": result,
            }
        )
        self._book.closed(delivery, result, time)

    def unresolved(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return the deliveries without result, oldest first; of one meter, or of all."""
        return self._book.unresolved(meter_pan)

    def deliveries(self) -> tuple[Delivery, ...]:
        """Return every delivery, oldest first."""
        return self._book.all()

    # --- the file ------------------------------------------------------------------------------

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self.path, flags, _OWNER_ONLY)
        if sys.platform != "win32":
            os.fchmod(self._descriptor, _OWNER_ONLY)
        content = self.path.read_bytes()
        content = self._set_torn_tail_aside(content)
        lines = content.split(b"\n")[:-1]
        if lines:
            self._check_header(lines[0])
        for number, line in enumerate(lines[1:], 2):
            self._take(line, number)
        if not lines:
            self._append({"journal": FORMAT, "version": VERSION})
            _sync_folder(self.path.parent)

    def _set_torn_tail_aside(self, content: bytes) -> bytes:
        """Return the content without the torn last line, which is kept in a file beside."""
        whole = content.rfind(b"\n") + 1
        if whole == len(content) and b"\0" in (last := content[:-1].rpartition(b"\n")[2]):
            whole -= len(last) + 1
        if whole == len(content):
            return content
        self.torn = self.path.with_name(self.path.name + ".torn")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        aside = os.open(self.torn, flags, _OWNER_ONLY)
        try:
            _write_all(aside, content[whole:].rstrip(b"\n") + b"\n")
            os.fsync(aside)
        finally:
            os.close(aside)
        _sync_folder(self.path.parent)
        os.ftruncate(self._descriptor, whole)
        os.fsync(self._descriptor)
        return content[:whole]

    def _check_header(self, line: bytes) -> None:
        header = self._parse(line, 1)
        if header.get("journal") != FORMAT:
            raise JournalCorrupt(self.path, 1, "this is no journal of deliveries")
        if header.get("version") != VERSION:
            raise JournalError(
                f"{self.path} is a journal of version {header.get('version')}; this program knows "
                f"version {VERSION}. Use the newer program, or another journal"
            )

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            members = json.loads(line)
            check = members.pop("check")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise JournalCorrupt(self.path, number, "this is no entry") from None
        if check != _check(members):
            raise JournalCorrupt(self.path, number, "the entry was changed (its check is wrong)")
        result: dict[str, Any] = members
        return result

    def _take(self, line: bytes, number: int) -> None:
        members = self._parse(line, number)
        try:
            match members["entry"]:
                case "opened":
                    self._book.opened(_delivery(members))
                case "write":
                    self._book.announced(members["delivery"], members["number"])
                case "result":
                    time = datetime.fromisoformat(members["time"])
                    self._book.closed(members["delivery"], members["result"], time)
                case other:
                    why = f"{other!r} is no kind of entry"
                    raise JournalError(why)  # noqa: TRY301 - said once for all that is wrong here
        except JournalError as error:
            raise JournalCorrupt(self.path, number, str(error)) from None
        except (KeyError, TypeError, ValueError):
            raise JournalCorrupt(self.path, number, "the entry lacks what it must hold") from None

    def _append(self, members: dict[str, Any]) -> None:
        if self._fault is not None:
            raise JournalError(self._fault)
        line = _encode({**members, "check": _check(members)}) + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            sentence = f"the journal {self.path} cannot be written: {error.strerror}"
            # After a failed fsync nobody knows what is on the disk: no further entry is trusted
            # to this descriptor, and opening the journal anew reads what there is.
            self._fault = f"{sentence}; it is not used any more in this run"
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise JournalError(sentence) from error


def _delivery(members: dict[str, Any]) -> Delivery:
    s0 = members["s0"]
    return Delivery(
        int(members["delivery"]),
        str(members["meterPAN"]),
        str(members["token"]),
        None
        if s0 is None
        else Snapshot(
            int(s0["tokenStatus"]),
            int(s0["tokenSequence"]),
            str(s0["lastToken"]),
            int(s0["lastTokenStatus"]),
        ),
        datetime.fromisoformat(members["time"]),
    )


def _encode(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def _check(members: dict[str, Any]) -> str:
    return f"{zlib.crc32(_encode(members)):08x}"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # a folder cannot be opened there; the file system journals its entries
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
