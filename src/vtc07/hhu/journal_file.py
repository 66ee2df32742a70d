"""The journal in a file: JSON Lines, append-only, one process at a time.

Form. The first line names format and version; each further line is one entry with the CRC-32 of
its other members under ``check``, so that no flipped digit passes for a token. A line is appended
with one write and is durable (fsync of the file, of the folder too when the file is new) before
the caller goes on.

What a crash can leave. A power failure may leave part of the last line, without its line end or
with NULs in place of what was not yet on the disk. Its entry was never durable, so nothing was
done that relied on it. Such a tail is moved to a file beside the journal (its name with
``.torn`` behind), to which it is appended, and only then cut off. A last entry that lacks nothing
but its line end is kept, as its check fits: at worst a meter is asked once more. Anything else
that is not an entry is no crash's work: the journal is refused, with file and line, and nothing
is changed; a file that does not begin as a journal gets no lock file beside it either.

One process at a time. Symbolic links are followed first, then a file beside the journal (its name
with ``.lock`` behind, which stays) is locked, and then the file itself, which may have a second
name by a hard link; where the system cannot lock it so (Windows), a file with a second name is
refused. Before each entry it is made sure that the name still leads to the open file and that
nobody else has written to it.

Rights. File, lock and torn tails are readable and writable by their owner alone: a token that was
not taken is still money.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
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

if sys.platform != "win32":
    import fcntl

FORMAT = "vtc07 journal"
VERSION = 1
_OWNER_ONLY = 0o600
_LONGEST_HEADER = 4096


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
        # Both are fixed now: the working folder may change while the journal is open.
        self._name = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links
        self._file = Path(os.path.realpath(path))  # does not raise for links in a circle
        self._book = DeliveryBook()
        self._fault: str | None = None
        self._descriptor = -1
        self._size = 0
        #: where a torn tail was moved, None where there was none
        self.torn: Path | None = None
        self._lock = FileLock(f"{self._file}.lock", timeout=0, mode=_OWNER_ONLY, thread_local=False)
        try:
            self._refuse_what_is_no_journal()
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self._open()
        except Timeout:
            raise self._locked() from None
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

    def _refuse_what_is_no_journal(self) -> None:
        """Look at the kind of file and its first line, before a lock file is made beside it."""
        try:
            regular = stat.S_ISREG(self._file.stat().st_mode)
        except FileNotFoundError:
            return
        if not regular:
            raise JournalError(
                f"the journal {self.path} cannot be used: it is no ordinary file; name another"
            )
        with self._file.open("rb") as file:
            first = file.readline(_LONGEST_HEADER)
        if first and not _may_be_torn_header(first):
            self._check_header(_entry_in(first) or first)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._file, flags, _OWNER_ONLY)
        self._lock_the_file_itself()
        with open(self._descriptor, "rb", closefd=False) as file:
            content = file.read()
        whole = _end_of_whole_lines(content)
        lines, tail = content[:whole].split(b"\n")[:-1], content[whole:]
        entry = _entry_in(tail)
        if entry is not None:
            lines.append(entry)
        if lines or (tail and not _may_be_torn_header(tail)):
            self._check_header(lines[0] if lines else tail)
        for number, line in enumerate(lines[1:], 2):
            self._take(line, number)
        # Here it is known to be a journal in order; only from here on is anything changed.
        _give_to_owner_alone(self._descriptor)
        if entry is not None:
            self._cut(whole + len(entry))
            _write_all(self._descriptor, b"\n")
            os.fsync(self._descriptor)
        elif tail:
            self._set_aside(tail)
            self._cut(whole)
        self._size = os.fstat(self._descriptor).st_size
        self._require_in_place()
        if not lines:
            self._append(_HEADER)
            _sync_folder(self._file.parent)

    def _lock_the_file_itself(self) -> None:
        if sys.platform == "win32":
            if os.fstat(self._descriptor).st_nlink > 1:
                raise JournalError(
                    f"the journal {self.path} has a second name (a hard link), by which another "
                    "program could use it at the same time; remove that name"
                )
        else:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._locked() from None

    def _locked(self) -> JournalLocked:
        return JournalLocked(
            f"another program is using the journal {self.path}; wait until it has ended"
        )

    def _set_aside(self, tail: bytes) -> None:
        """Keep a torn last line in a file beside."""
        self.torn = self._file.with_name(self._file.name + ".torn")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        aside = os.open(self.torn, flags, _OWNER_ONLY)
        try:
            _give_to_owner_alone(aside)
            _write_all(aside, tail.rstrip(b"\n") + b"\n")
            os.fsync(aside)
        finally:
            os.close(aside)
        _sync_folder(self._file.parent)

    def _cut(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        os.fsync(self._descriptor)

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
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
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
        self._require_in_place()
        line = _line(members)
        try:
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            sentence = f"the journal {self.path} cannot be written: {error.strerror}"
            # After a failed fsync nobody knows what is on the disk: no further entry is trusted
            # to this descriptor, and opening the journal anew reads what there is.
            self._fault = f"{sentence}; it is not used any more in this run"
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise JournalError(sentence) from error
        self._size += len(line)

    def _require_in_place(self) -> None:
        """Refuse to go on if the name leads elsewhere now, or if somebody else wrote."""
        ours = os.fstat(self._descriptor)
        try:
            in_place = os.path.samestat(ours, self._name.stat())
        except OSError:
            in_place = False
        if not in_place:
            raise JournalError(
                f"the journal {self.path} was deleted, moved or replaced while it was in use, and "
                "nothing is written to it any more; put it back in its place before tokens are "
                "sent, or check by hand the meters that it names"
            )
        if ours.st_size != self._size:
            raise JournalError(
                f"the journal {self.path} was written to by another program while it was in use; "
                "find out which, and restore the file from a copy before tokens are sent"
            )


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


def _line(members: dict[str, Any]) -> bytes:
    return _encode({**members, "check": _check(members)}) + b"\n"


_HEADER: dict[str, Any] = {"journal": FORMAT, "version": VERSION}


def _may_be_torn_header(line: bytes) -> bool:
    """Whether it is the beginning of a header, or has NULs in place of parts of it."""
    header = _line(_HEADER)
    return (
        line != header
        and len(line) <= len(header)
        and all(there in (0, meant) for there, meant in zip(line, header, strict=False))
    )


def _end_of_whole_lines(content: bytes) -> int:
    """Return how much of it is lines, without a last one that is cut short or has NULs."""
    whole = content.rfind(b"\n") + 1
    if whole == len(content) and b"\0" in (last := content[:-1].rpartition(b"\n")[2]):
        whole -= len(last) + 1
    return whole


def _entry_in(tail: bytes) -> bytes | None:
    """Return the entry in a tail that has its check, but no line end or another character there."""
    for entry in (tail.rstrip(b"\0\n"), tail[:-1]):
        with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError, RecursionError):
            members = json.loads(entry)
            if members.pop("check") == _check(members) and entry.endswith(b"}"):
                return entry
    return None


def _give_to_owner_alone(descriptor: int) -> None:
    if sys.platform != "win32":
        os.fchmod(descriptor, _OWNER_ONLY)


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
