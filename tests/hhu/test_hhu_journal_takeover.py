"""A journal of version 1 becomes one of today."""

from __future__ import annotations

import hashlib
import stat
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from journal_bench import (
    AT,
    DONE,
    OLD,
    OTHER,
    PAN,
    S0,
    SECOND,
    TOKEN,
    ended,
    opened,
    version_1,
    written,
)

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal import takeover as journal_takeover
from vtc07.hhu.journal.deliveries import JournalCorrupt, JournalError
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.lines import HEADER
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.verify import verify
from vtc07.hhu.outcome import (
    Busy,
    Delivered,
    NoLink,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "j").write_bytes(OLD)
    return tmp_path / "j"


def _is_taken_over(path: Path, old: bytes = OLD) -> None:
    with FileJournal(path) as journal:
        first, second, third = journal.deliveries()
        assert (first.meter_pan, first.token, first.s0, first.writes) == (PAN, TOKEN, S0, 1)
        assert first.ended == Result("Delivered", "delivered: Accept", TokenStatus.ACCEPT)
        assert (first.opened, first.closed) == (AT, AT)
        assert (second.meter_pan, second.token, second.s0) == (OTHER, SECOND, None)
        assert second.result == "refused: CRCError"
        assert (third.token, third.s0, third.writes, third.ended) == (SECOND, S0, 2, None)
        begun = next(journal.entries())
        assert begun.kind is EntryKind.BEGUN
        assert begun.members["from_version"] == 1
        assert begun.members["from_sha256"] == hashlib.sha256(old).hexdigest()
    kept = path.with_name("j.v1")
    assert kept.read_bytes() == old
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert verify(path).good


def test_everything_in_it_is_there_and_the_original_is_kept(path: Path) -> None:
    _is_taken_over(path)
    assert {file.name for file in path.parent.iterdir()} == {"j", "j.v1", "j.lock"}
    _is_taken_over(path)  # the second time it is one of today


def test_an_open_delivery_of_it_is_closed_afterwards_and_numbers_go_on(path: Path) -> None:
    with FileJournal(path) as journal:
        (still_open,) = journal.unresolved(PAN)
        journal.announce_write(3, 3, AT)
        journal.close_delivery(still_open.number, DONE, AT)
        assert journal.unresolved() == ()
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 4
    assert verify(path).good


def test_it_can_be_read_without_being_taken_over(path: Path) -> None:
    with open_for_reading(path) as journal:
        assert journal.version == 1
        assert [d.number for d in journal.deliveries()] == [1, 2, 3]
        assert [d.number for d in journal.unresolved(PAN)] == [3]
    assert path.read_bytes() == OLD
    assert [file.name for file in path.parent.iterdir()] == ["j"]
    found = verify(path)
    assert found.good
    assert "version 1" in str(found.notes[0])


class _Crash(BaseException):
    pass


def _crash_at(step: int) -> bool:
    """Take over a journal and crash before the ``step``-th line that writes; False: no crash."""
    file, left = journal_takeover.__file__, step
    writing = ("take_over", "_set_aside", "_keep")

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != file or frame.f_code.co_name not in writing:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                raise _Crash
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        FileJournal(Path("j")).close()
    except _Crash:
        return True
    finally:
        sys.settrace(before)
    return False


def test_a_crash_at_any_step_of_it_leaves_a_journal_that_is_taken_over_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tail = b'{"entry":"res'
    content = OLD + tail
    step, crashed = 0, True
    while crashed:
        for file in tmp_path.iterdir():
            file.unlink()
        Path("j").write_bytes(content)
        crashed = _crash_at(step)
        assert Path("j").exists()
        _is_taken_over(Path("j"), content)
        assert Path("j.torn").read_bytes() == tail + b"\n"
        assert not Path("j.new").exists()
        step += 1
    assert step > 20


def test_a_kept_original_is_never_overwritten(path: Path) -> None:
    other = version_1(opened(1))
    path.with_name("j.v1").write_bytes(other)
    path.with_name("j.v1-2").write_bytes(other)
    FileJournal(path).close()
    assert path.with_name("j.v1").read_bytes() == other
    assert path.with_name("j.v1-2").read_bytes() == other
    assert path.with_name("j.v1-3").read_bytes() == OLD


def test_a_last_line_torn_at_any_character_is_set_aside_and_the_rest_is_whole(
    tmp_path: Path,
) -> None:
    path, aside = tmp_path / "j", tmp_path / "j.torn"
    content = version_1(opened(1), ended(1, "delivered: Accept"))
    start = content[:-1].rindex(b"\n") + 1
    for cut in (*range(start, start + 3), *range(start + 3, len(content) - 1, 7), len(content) - 2):
        path.write_bytes(content[:cut])
        aside.unlink(missing_ok=True)
        with FileJournal(path) as journal:
            (delivery,) = journal.unresolved()
            assert delivery.token == TOKEN
            assert journal.torn == (aside if cut > start else None)
        assert not aside.exists() or aside.read_bytes() == content[start:cut] + b"\n"


def test_torn_tails_gather_in_the_file_beside(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for tail in (b'{"entry', b"\0\0\0", b'{"entry":"opened"\0\0\n'):
        path.write_bytes(HEADER + tail)
        FileJournal(path).close()
    kept = (tmp_path / "j.torn").read_bytes()
    assert kept == b'{"entry\n\0\0\0\n{"entry":"opened"\0\0\n'


@pytest.mark.parametrize("entries", [(), (opened(1),), (opened(1), ended(1, "delivered: Accept"))])
def test_a_last_entry_without_its_line_end_is_kept(
    entries: tuple[dict[str, Any], ...], tmp_path: Path
) -> None:
    path = tmp_path / "j"
    content = version_1(*entries)
    for end in (b"", *(bytes([0x0A ^ 1 << bit]) for bit in range(8)), b"\0", b"\0\n", b"\0\0"):
        path.write_bytes(content[:-1] + end)
        with FileJournal(path) as journal:
            assert len(journal.deliveries()) == min(1, len(entries)), end
            assert len(journal.unresolved()) == (len(entries) == 1), end
            assert journal.torn is None


@pytest.mark.parametrize("torn", [b'{"journal":"vt', b"{" + bytes(20), bytes(4)])
def test_a_torn_header_begins_a_new_journal(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(torn)
    with FileJournal(path) as journal:
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 1
    assert (tmp_path / "j.torn").read_bytes() == torn + b"\n"


def test_a_changed_character_anywhere_else_is_refused_with_file_and_line(path: Path) -> None:
    for place in range(len(OLD) - 1):
        changed = bytearray(OLD)
        changed[place] ^= 0x01
        if OLD[place : place + 1] == b"\n" or changed[place] == 0x0A:
            continue
        path.write_bytes(changed)
        for opening in (FileJournal, open_for_reading):
            with pytest.raises(JournalCorrupt) as caught:
                opening(path)
            assert caught.value.line == OLD[:place].count(b"\n") + 1
            assert f"{path}, line {caught.value.line}" in str(caught.value)
            assert TOKEN not in str(caught.value)
        assert path.read_bytes() == changed
    assert not path.with_name("j.v1").exists()


def test_a_line_left_out_or_repeated_is_noticed(path: Path) -> None:
    lines = OLD.splitlines(keepends=True)
    for content, line in (
        (b"".join(lines[:1] + lines[2:]), 2),
        (b"".join(lines[:2] + lines[1:]), 3),
        (b"".join(lines) + lines[-1], len(lines) + 1),
    ):
        path.write_bytes(content)
        with pytest.raises(JournalCorrupt, match=f"line {line}:"):
            FileJournal(path)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    "entry",
    [
        {**written(1, 1), "time": "noon"},
        {**written(1, 1), "time": "2026-03-01T12:30:00"},
        {**written(1, 1), "number": True},
        {**written(1, 1), "delivery": 1.0},
        {**opened(2), "delivery": 1 << 70},
        {**opened(2), "meterPAN": None},
        {**opened(2), "token": "\ud800"},
        {**opened(2), "s0": {}},
        {**ended(1, "x"), "result": {}},
        {**ended(1, "x"), "time": 5},
        {**ended(1, "x"), "entry": TOKEN},
        opened(0),
    ],
    ids=str,
)
def test_an_entry_that_nobody_wrote_so_is_refused_though_its_check_fits(
    entry: dict[str, Any], path: Path
) -> None:
    path.write_bytes(content := version_1(opened(1), entry))
    for opening in (FileJournal, open_for_reading):
        with pytest.raises(JournalCorrupt, match="line 3") as caught:
            opening(path)
        assert TOKEN not in str(caught.value)
    assert path.read_bytes() == content


def test_deliveries_out_of_their_order_are_refused(path: Path) -> None:
    path.write_bytes(version_1(opened(5), opened(4)))
    with pytest.raises(JournalCorrupt, match="delivery 4 does not follow"):
        FileJournal(path)
    path.write_bytes(version_1(opened(1), opened(5)))
    with FileJournal(path) as journal:
        assert [d.number for d in journal.deliveries()] == [1, 5]
    assert verify(path).good
    assert verify(path).deliveries == 2


def test_a_newer_journal_of_lines_is_named(path: Path) -> None:
    from vtc07.hhu.journal.lines import entry_line

    path.write_bytes(entry_line({"journal": "vtc07 journal", "version": 3}))
    with pytest.raises(JournalError, match="version 3"):
        FileJournal(path)
    path.write_bytes(entry_line({"journal": "vtc07 journal", "version": TOKEN}))
    with pytest.raises(JournalCorrupt, match="no journal of deliveries"):
        FileJournal(path)


@pytest.mark.parametrize(
    "outcome",
    [
        *(Delivered(status, 7) for status in TokenStatus if status.taken),
        Delivered(TokenStatus.USED_ERROR, now_or_before=True),
        *(Refused(status) for status in TokenStatus if status.is_result and not status.taken),
        *(NotTaken(reason, detail="so") for reason in NotTakenReason),
        NotTaken(NotTakenReason.LOCKOUT, lockout_remaining_s=12),
        *(Unresolved(reason, "so") for reason in UnresolvedReason),
        Busy(),
        NotSent(),
        NoLink("nobody answers"),
    ],
    ids=str,
)
def test_the_words_of_an_outcome_say_what_it_was(outcome: Outcome) -> None:
    told = Result.of(outcome)
    words = Result.in_words(str(outcome))
    assert (words.outcome, words.text, words.meaning) == (told.outcome, told.text, outcome.meaning)
    assert (words.status, words.reason) == (told.status, told.reason)
    assert (words.taken, words.now_or_before) == (told.taken, told.now_or_before)
    assert Result.from_members(told.members) == told


def test_words_that_were_never_written_are_no_result() -> None:
    for text in ("delivered: CRCError", "delivered: whatever", "fine", ""):
        assert Result.in_words(text).taken is None
