"""Recording: what stands in the journal, when it is durable, and what becomes of a bad journal."""

from __future__ import annotations

import json

import pytest
from hhu_bench import PAN, MeterLine, credit, wall_clock
from recorded_unit import pulled_at_the_ack, tokens, unit

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.endpoint import Procedure, perform
from vtc07.carrier.events import Failure, Identify, Write
from vtc07.carrier.grammar import ACK, DAMAGED, NAK
from vtc07.carrier.registers import Register, Value
from vtc07.durable.memory import disk_error
from vtc07.hhu.delivery import resolve_earlier, send
from vtc07.hhu.history.recording import MOST_KEPT
from vtc07.hhu.journal.entries import Entry, EntryKind
from vtc07.hhu.outcome import Delivered, NotTaken, NotTakenReason, Unresolved
from vtc07.hhu.reading import read
from vtc07.hhu.session import NoLink, Session
from vtc07.hhu.writing import write
from vtc07.links.link import Sender
from vtc07.links.simulated import DROPPED, UNPLUGGED
from vtc07.trace.message import TraceMessage
from vtc07.trace.recorder import Recorder


class Interrupted(BaseException):
    """Somebody pressed Ctrl-C."""


def plain(entry: Entry) -> str:
    """Everything of an entry that is not secret."""
    return json.dumps([dict(entry.members), entry.meter_pan, entry.route])


def test_a_command_is_durable_before_its_first_character(electricity: Companion) -> None:
    with unit(electricity) as made:
        table = electricity.table
        made.run(read(made.session, [table.named("creditBalance")]))
        made.run(write(made.session, [(table.named("lowCreditThreshold"), 5)]))
        made.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        made.run(made.session.sign_off())
        assert made.last_before_sending == {EntryKind.ASKED}
        commands = [e.members["command"] for e in made.entries(EntryKind.ASKED)]
    assert commands[0] == "Identify"
    assert commands[-1] == "Break"
    assert {"Read", "Write", "ReadSnapshot", "EnterToken"} <= set(commands)


def test_every_message_is_there_with_its_time_and_its_meaning(electricity: Companion) -> None:
    began_ns = 3 * S
    with unit(electricity) as made:
        made.meter.line.idle(began_ns)  # the clock of the line does not begin with the session
        made.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        made.recording.finish()
        found = made.entries(EntryKind.MESSAGE)
        asked = [e.members["at"] for e in made.entries(EntryKind.ASKED)]
    assert asked[0] == 0
    assert asked[1] == found[1].members["at"]  # at the end of the first answer
    assert len(found) == len(made.seen) > 6
    for entry, message in zip(found, made.seen, strict=True):
        members = entry.members
        assert entry.secrets.get("hex", members["hex"]) == message.chars.hex()
        assert (members["from"], members["at"]) == (message.sender, message.time_ns - began_ns)
        assert members.get("began", members["at"]) == message.began_ns - began_ns
        assert members["sound"] is True
        assert members["said"]
    assert found[0].members["said"] == ["IDRequest to any meter"]


def test_the_first_command_tells_the_session_and_answers_name_their_command(
    electricity: Companion,
) -> None:
    with unit(electricity) as made:
        made.recording.route = "monday"
        made.run(read(made.session, [electricity.table.named("KRN")]))
        first, *others = made.entries()[1:]
        assert first.kind is EntryKind.ASKED
        assert first.members["address"] == "bench"
        assert first.members["companion"] == "electricity"
        assert {e.members["session"] for e in others} == {first.number}
        assert {e.route for e in (first, *others)} == {"monday"}
        asked = [e.number for e in made.entries(EntryKind.ASKED)]
        answered = made.entries(EntryKind.ANSWERED)
        assert [e.members["asked"] for e in answered] == asked
        assert answered[-1].members["values"]["KRN"] == 1
        assert (answered[0].meter_pan, answered[-1].members["answer"]) == (None, "RegistersRead")


def test_nothing_but_the_secrets_tells_a_token(electricity: Companion) -> None:
    first, second = credit(1), credit(2)
    with unit(electricity) as made:
        made.run(send(made.session, made.journal, tokens(first, second), wall_clock=wall_clock))
        log = [electricity.table.named(f"tokenLog.{n}") for n in range(1, 6)]
        made.run(read(made.session, [*log, electricity.table.named("lastToken")]))
        everything = made.entries()
    shown = "".join(plain(entry) for entry in everything)
    hidden = "".join(text for entry in everything for text in entry.secrets.values())
    for token in (first, second):
        grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
        assert token not in shown
        assert token.encode().hex() not in shown
        assert grouped not in shown
        assert token.encode().hex() in hidden
        assert grouped in hidden


def test_messages_belong_to_the_delivery_that_they_are_about(electricity: Companion) -> None:
    with unit(electricity) as made:
        made.run(
            send(made.session, made.journal, tokens(credit(1), credit(2)), wall_clock=wall_clock)
        )
        made.run(made.session.sign_off())
        for number in (1, 2):
            kinds = [e.kind for e in made.entries(delivery=number)]
            assert kinds[:3] == [EntryKind.OPENED, EntryKind.WRITE, EntryKind.ASKED]
            assert kinds[-1] is EntryKind.RESULT
            entered = made.entries(EntryKind.ASKED, delivery=number)
            assert [e.members["command"] for e in entered].count("EnterToken") == 1
        last = made.entries()[-1]
        assert (last.members["answer"], last.delivery) == ("SignedOff", None)


def test_a_delivery_that_is_looked_into_later_gets_those_messages_too(
    electricity: Companion,
) -> None:
    with unit(electricity, fault=pulled_at_the_ack) as made:
        report = made.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        assert isinstance(report.outcomes[0], Unresolved)
        before = len(made.entries(delivery=1))
        notes = made.entries(EntryKind.NOTE)
        assert [e.members["reopened"] for e in notes] == [True, True, True]
        failed = [e.members.get("failure") for e in made.entries(EntryKind.ANSWERED)]
        assert failed.count(Failure.NO_ANSWER.value) >= 3
        made.meter.line.fault = None
        made.meter.line.plug()
        report = made.run(resolve_earlier(made.session, made.journal, wall_clock=wall_clock))
        assert isinstance(report.earlier[0].outcome, Delivered)
        after = made.entries(delivery=1)[before:]
    assert {EntryKind.ASKED, EntryKind.MESSAGE, EntryKind.ANSWERED} < {e.kind for e in after}
    assert after[-1].kind is EntryKind.RESULT


def test_recording_changes_nothing_on_the_line(electricity: Companion) -> None:
    table = electricity.table

    def visit(session: Session) -> Procedure[int]:
        yield from read(session, [table.named("creditBalance"), table.named("tokenLog.3")])
        yield from write(session, [(table.named("lowCreditThreshold"), 5)], verify=True)
        yield from session.sign_off()
        return 7

    with unit(electricity) as made:
        assert made.run(visit(made.session)) == 7
        recorded = made.seen
    silent: list[TraceMessage] = []
    line = MeterLine(electricity, observers=[Recorder(silent.append, start_ns=0).character])
    assert line.run(visit(Session(electricity))) == 7
    assert recorded == silent


def test_errors_of_the_session_go_to_the_procedure(electricity: Companion) -> None:
    with unit(electricity, fault=lambda *_: DROPPED) as made, pytest.raises(NoLink):
        made.run(made.session.identify())
    with unit(electricity) as made:
        with pytest.raises(ValueError, match="no address"):
            made.run(perform(Identify("no such address!")))
        made.run(perform(Identify("")))
        made.run(made.session.sign_off())
        answers = [e.members["answer"] for e in made.entries(EntryKind.ANSWERED)]
    assert answers == ["NotSent", "Identified", "SignedOff"]


def test_an_interruption_keeps_what_had_passed(electricity: Companion) -> None:
    def stop(sender: Sender, char: int, _place: int, _ns: int) -> int:
        if sender == "server" and char == 0x30:
            raise Interrupted
        return char

    with unit(electricity, fault=stop) as made:
        with pytest.raises(Interrupted):
            made.run(made.session.identify())
        made.recording.finish()
        kinds = [e.kind for e in made.entries()[1:]]
        assert kinds[:3] == [EntryKind.ASKED, EntryKind.MESSAGE, EntryKind.ANSWERED]
        assert made.entries(EntryKind.ANSWERED)[0].members["answer"] == "Interrupted"
        (torn,) = made.entries(EntryKind.MESSAGE)[1:]
        assert torn.members["sound"] is False
        assert "frame" not in torn.members


@pytest.mark.parametrize("good", range(8))
def test_a_journal_that_fails_ends_the_recording_and_not_the_session(
    electricity: Companion, good: int
) -> None:
    """The disk is full after so many entries."""
    table = electricity.table
    transactions = 0

    def full(statement: str, done: bool) -> None:
        nonlocal transactions
        if statement == "COMMIT" and not done:
            if transactions >= good:
                raise disk_error("SQLITE_FULL", "database or disk is full")
            transactions += 1

    with unit(electricity) as made:
        made.place.hook = full
        found = made.run(read(made.session, [table.named("KRN"), table.named("SGC")]))
        made.run(made.session.sign_off())
        made.recording.finish()
        assert found.value("SGC") == "123456"
        problems = made.recording.problems
    assert len(problems) == (1 if good < 6 else 0)
    if problems:
        assert "not recorded" in problems[0]
        assert "full" in problems[0]


def test_a_delivery_is_strict_where_the_recording_is_not(electricity: Companion) -> None:
    def full(statement: str, done: bool) -> None:
        if statement == "COMMIT" and not done:
            raise disk_error("SQLITE_FULL", "database or disk is full")

    with unit(electricity) as made:
        made.run(made.session.identify())
        made.place.hook = full
        report = made.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        (outcome,) = report.outcomes
        assert isinstance(outcome, NotTaken)
        assert outcome.reason is NotTakenReason.JOURNAL
        assert made.meter.state.tokens_executed == 0
        assert len(made.recording.problems) == 1


def test_a_message_that_the_line_damaged_is_kept_as_it_came(electricity: Companion) -> None:
    hit = False

    def once(sender: Sender, char: int, place: int, _ns: int) -> int:
        nonlocal hit
        if sender == "server" and place == 30 and not hit:
            hit = True
            return DAMAGED
        return char

    with unit(electricity, fault=once) as made:
        made.run(made.session.identify())
        unsound = [e for e in made.entries(EntryKind.MESSAGE) if not e.members["sound"]]
    assert len(unsound) == 1
    ((at, arrived),) = unsound[0].members["damage"]
    assert arrived == DAMAGED
    assert 0 < at < len(unsound[0].members["hex"]) // 2
    assert "unreadable" in unsound[0].secrets["said"]


# --- registers that are written ------------------------------------------------------------------


def test_a_register_is_written_down_before_it_is_written(electricity: Companion) -> None:
    table = electricity.table
    wanted: list[tuple[Register, Value]] = [
        (table.named("lowCreditThreshold"), 500),
        (table.named("installationReference"), "a"),
    ]
    with unit(electricity) as made:
        results = made.run(
            write(
                made.session, wanted, verify=True,
                journal=made.journal, wall_clock=wall_clock, route="monday",
            )
        )  # fmt: skip
        assert all(result.good for result in results)
        kinds = [e.kind for e in made.entries() if e.kind in (EntryKind.SETTING, EntryKind.SET)]
        assert kinds == [EntryKind.SETTING, EntryKind.SETTING, EntryKind.SET, EntryKind.SET]
        first, second = made.entries(EntryKind.SETTING)
        following = next(e for e in made.entries() if e.number == first.number + 1)
        assert following.members["command"] == "Write"
        assert (first.meter_pan, first.route) == (PAN, "monday")
        assert first.members == {
            "register": "lowCreditThreshold", "address": "0030", "value": 500,
        }  # fmt: skip
        done = made.entries(EntryKind.SET)
        assert [e.members["setting"] for e in done] == [first.number, second.number]
        assert [e.members["read_back"] for e in done] == [500, "a"]
        assert [e.members["written"] for e in done] == [True, True]


def test_a_refused_register_and_one_of_which_nothing_is_known(electricity: Companion) -> None:
    table = electricity.table
    flag, threshold = table.named("lowCreditAlarmEnabled"), table.named("lowCreditThreshold")
    with unit(electricity) as made:
        made.run(
            write(made.session, [(flag, 2), (threshold, 1)],
                  journal=made.journal, wall_clock=wall_clock)
        )  # fmt: skip
        (refused,) = made.entries(EntryKind.SET)
        assert refused.members["written"] is False
        assert refused.members["error"] == "value refused"
        made.meter.line.fault = pulled_at_the_ack
        with pytest.raises(NoLink):
            made.run(
                write(made.session, [(threshold, 1)], journal=made.journal, wall_clock=wall_clock)
            )
        # Whether it was written is unknown, and so it stays without a SET.
        assert len(made.entries(EntryKind.SETTING)) == 2
        assert len(made.entries(EntryKind.SET)) == 1


def test_what_is_known_of_the_first_register_is_not_lost_with_the_line(
    electricity: Companion,
) -> None:
    table = electricity.table
    acks = 0

    def second(sender: Sender, char: int, _place: int, _ns: int) -> int:
        nonlocal acks
        acks += sender == "server" and char == ACK
        return UNPLUGGED if acks == 2 else char

    with unit(electricity, fault=second) as made:
        wanted: list[tuple[Register, Value]] = [
            (table.named("lowCreditThreshold"), 1),
            (table.named("installationReference"), "b"),
        ]
        with pytest.raises(NoLink):
            made.run(
                write(made.session, wanted, verify=True,
                      journal=made.journal, wall_clock=wall_clock)
            )  # fmt: skip
        first, _ = made.entries(EntryKind.SETTING)
        (known,) = made.entries(EntryKind.SET)
    assert (known.members["setting"], known.members["written"]) == (first.number, True)


def test_a_register_that_cannot_be_written_down_is_not_written(electricity: Companion) -> None:
    table = electricity.table
    threshold = table.named("lowCreditThreshold")
    with unit(electricity) as made:
        made.meter.run(made.session.identify())

        def full(statement: str, done: bool) -> None:
            if statement == "COMMIT" and not done:
                raise disk_error("SQLITE_FULL", "database or disk is full")

        made.place.hook = full
        (result,) = made.meter.run(
            write(made.session, [(threshold, 9)], journal=made.journal, wall_clock=wall_clock)
        )
        assert not result.written
        assert "full" in result.not_sent
        told = made.meter.run(read(made.session, [threshold]))
    assert told.value("lowCreditThreshold") == 0


def test_a_journal_without_the_time_of_day_is_a_mistake(electricity: Companion) -> None:
    with unit(electricity) as made, pytest.raises(ValueError, match="wall_clock"):
        made.run(write(made.session, [], journal=made.journal))


def test_of_a_flooded_line_the_first_and_the_last_messages_are_kept(electricity: Companion) -> None:
    flood = 5 * MOST_KEPT
    with unit(electricity) as made:
        made.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        (asked, *_) = made.entries(EntryKind.ASKED)
        before = len(made.entries())
        for number in range(flood):
            made.recording.recorder.character("server", NAK, NAK, made.meter.line.now_ns + number)
        made.recording.finish()
        found = made.entries()[before:]
    (note,) = (entry for entry in found if entry.kind is EntryKind.NOTE)
    messages = [entry for entry in found if entry.kind is EntryKind.MESSAGE]
    assert asked.number < note.number
    assert len(messages) + note.members["left_out"] == flood
    assert (found.index(note), len(messages)) == (MOST_KEPT, 2 * MOST_KEPT)
    assert messages[0].members["at"] < messages[-1].members["at"]


def test_why_a_command_cannot_be_said_tells_no_token(electricity: Companion) -> None:
    token = credit(3)
    threshold = electricity.table.named("lowCreditThreshold")
    with unit(electricity) as made:
        made.run(made.session.identify())
        with pytest.raises(ValueError, match=token):
            made.run(perform(Write(threshold, token)))
        made.recording.finish()
        (told,) = (
            entry
            for entry in made.entries(EntryKind.ANSWERED)
            if entry.members["answer"] == "NotSent"
        )
        everything = "".join(plain(entry) for entry in made.entries())
    assert "is not a whole number" in told.members["error"]
    assert token not in everything
