from __future__ import annotations

from dataclasses import replace

import pytest
from hhu_bench import (
    OTHER_PAN,
    PAN,
    MeterLine,
    ScriptedMeter,
    new_meter,
    no_answer,
    without,
)

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import (
    ClientEvent,
    Command,
    CommandRefused,
    EnterToken,
    Failure,
    Identify,
    Identity,
    Read,
    RegistersRead,
    RegisterValue,
    Write,
)
from vtc07.carrier.registers import Register, Value, ValueRefused
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.plan import CannotRead, Pace, answer_length, data_set_length
from vtc07.hhu.progress import Progress, Reconnecting
from vtc07.hhu.reading import read
from vtc07.hhu.session import AnotherMeter, NoLink, Session
from vtc07.hhu.writing import write


def test_identify_over_the_line(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    meter = bench.run(Session(electricity, address=PAN).identify())
    assert meter.meter_pan == PAN
    assert meter.warnings == ()
    assert meter.value("serverStatus") == 0x0003
    assert meter.value("tableID") == electricity.table.table_id
    assert meter.value("lastToken") is None


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (Identity("XYZ", "3", "0100000103FF", (1, 0, 1, 0xFF)), ["XYZ"]),
        (Identity("VTc", "3", "0100000103FF", (1, 0, 1, 0xFF)), []),
        (Identity("VTC", "3", "0200070103FF", (2, 7, 1, 0xFF)), ["tableID is 2", "FOIN is 7"]),
        (Identity("VTC", "3", "0100000203FF", (1, 0, 2, 0xFF)), ["protocolVersion is 2"]),
        (Identity("ABC", "3", "something else", None), ["ABC", "not laid out"]),
    ],
)
def test_what_does_not_fit_the_companion_is_said(
    electricity: Companion, identity: Identity, said: list[str]
) -> None:
    bench = ScriptedMeter(electricity)
    bench.identity = identity
    meter = bench.run(Session(electricity).identify())
    assert len(meter.warnings) == len(said)
    for warning, word in zip(meter.warnings, said, strict=True):
        assert word in warning
    assert (meter.value("tableID") is None) == (identity.values is None)


def test_three_reconnections_a_second_apart_and_then_no_link(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.failing = no_answer
    heard: list[Progress] = []
    with pytest.raises(NoLink, match=f"meter {PAN}: no answer") as caught:
        bench.run(Session(electricity, address=PAN, on_progress=heard.append).identify())
    assert caught.value.failure is Failure.NO_ANSWER
    assert bench.reopened == 3
    assert bench.commands == [Identify(PAN)] * 4
    assert [b - a for a, b in zip(bench.times, bench.times[1:], strict=False)] == [7 * S] * 3
    assert [p for p in heard if isinstance(p, Reconnecting)] == [
        Reconnecting(n, 3) for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("name", "factor", "said"),
    [("electricity", 1, False), ("electricity-mode-c", 1, True), ("electricity-mode-c", 4, True)],
)
def test_who_may_have_cut_a_session_short_is_told_when_to_try_again(
    name: str, factor: int, said: bool
) -> None:
    companion = load_companion(name)
    bench = ScriptedMeter(companion)
    bench.failing = no_answer
    timing = companion.timing.stretched(factor)
    with pytest.raises(NoLink) as caught:
        bench.run(Session(companion, timing=timing).identify())
    assert (f"try again in {timing.inactivity_ns // S} s" in str(caught.value)) == said


def test_a_link_that_does_not_open_is_tried_again(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.reopens.extend((False, False, True))
    lost = True

    def failing(command: Command) -> ClientEvent | None:
        nonlocal lost
        if lost and isinstance(command, Read) and command.start.name == "creditBalance":
            lost = False
            return no_answer(command, Failure.LINK_LOST)
        return None

    bench.failing = failing
    session = Session(electricity, address=PAN)
    bench.run(session.identify())
    found = bench.run(read(session, [electricity.table.named("creditBalance")]))
    assert found.value("creditBalance") == 0
    assert bench.reopened == 3
    names = [c.start.name if isinstance(c, Read) else "" for c in bench.commands]
    assert names == ["", "meterPAN", "creditBalance", "", "meterPAN", "creditBalance"]


def test_a_command_that_always_fails_ends_although_the_meter_answers_all_else(
    electricity: Companion,
) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    bench.failing = lambda c: (
        no_answer(c) if isinstance(c, Read) and c.start.name == "FOIN" else None
    )
    with pytest.raises(NoLink):
        bench.run(session.command(Read(electricity.table.named("FOIN"))))
    assert bench.reopened == 3
    assert session.meter is not None or bench.count(Identify) == 4


def test_another_meter_after_a_reconnection_is_noticed(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())

    def failing(command: Command) -> ClientEvent | None:
        if isinstance(command, Read) and command.start.name == "FOIN":
            bench.registers["meterPAN"] = OTHER_PAN
            return no_answer(command)
        return None

    bench.failing = failing
    with pytest.raises(AnotherMeter) as caught:
        bench.run(session.command(Read(electricity.table.named("FOIN"))))
    assert (caught.value.expected, caught.value.found) == (PAN, OTHER_PAN)
    assert PAN in str(caught.value)


@pytest.mark.parametrize("how", ["address", "meter_pan"])
def test_the_meter_that_is_meant_is_compared(electricity: Companion, how: str) -> None:
    bench = ScriptedMeter(electricity, OTHER_PAN)
    session = (
        Session(electricity, address=PAN)
        if how == "address"
        else Session(electricity, meter_pan=PAN)
    )
    with pytest.raises(AnotherMeter):
        bench.run(session.identify())


def test_an_all_zero_address_says_no_meter_pan(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    assert bench.run(Session(electricity, address="0" * 18).identify()).meter_pan == PAN


def test_impossible_addresses_are_refused(electricity: Companion) -> None:
    with pytest.raises(ValueError, match="address"):
        Session(electricity, address="1" * 33)
    with pytest.raises(ValueError, match="MeterPAN"):
        Session(electricity, meter_pan="12345")


def test_a_companion_without_a_meter_pan(electricity: Companion) -> None:
    companion = without(electricity, "meterPAN")
    bench = ScriptedMeter(companion)
    assert bench.run(Session(companion).identify()).meter_pan is None
    assert bench.count(Read) == 0


def test_a_meter_that_refuses_its_meter_pan_is_warned_of(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.failing = lambda c: (
        CommandRefused(c, ErrorCode.ACCESS_DENIED, "ER04") if isinstance(c, Read) else None
    )
    meter = bench.run(Session(electricity).identify())
    assert meter.meter_pan is None
    assert any("ER04" in warning for warning in meter.warnings)


def test_a_token_entry_is_no_ordinary_command(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    with pytest.raises(TypeError, match="never repeated"):
        bench.run(Session(electricity).command(EnterToken("1" * 20)))
    assert bench.commands == []


# --- reading ------------------------------------------------------------------------------------


def test_the_whole_table_over_the_line(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    session = Session(electricity)
    everything = [r for r in electricity.table if r.read_level is not None]
    found = bench.run(read(session, everything))
    assert [v.register for v in found.values] == everything
    assert found.value("meterPAN") == PAN
    assert found.value("tokenLog.50") == ""
    sets = (data_set_length(v.register, len(v.register.encode(v.value))) for v in found.values)
    limit = electricity.limits.data_message
    assert found.messages == -(-answer_length(sets, electricity.limits) // limit) > 1


def test_values_of_a_group_are_of_one_message(electricity: Companion) -> None:
    """A meter that changes between two messages shows whether they were."""
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    group = [electricity.table.named(n) for n in ("tokenSequence", "lastToken", "tokenStatus")]
    wanted = [*group, electricity.table.named("eventLog.100"), electricity.table.named("FOIN")]
    reads = 0

    def failing(command: Command) -> ClientEvent | None:
        nonlocal reads
        if not isinstance(command, Read):
            return None
        reads += 1
        bench.registers.update(tokenStatus=reads, tokenSequence=reads, lastToken=f"{reads:020d}")
        # A server whose answers are as short as they may be: three registers.
        found = electricity.table.readable_from(command.start, min(command.count, 3))
        values = tuple(
            RegisterValue(r, bench.registers.get(r.name, 0 if r.data_type.is_number else ""))
            for r in found
        )
        return RegistersRead(values, bench.now_ns, bench.now_ns)

    bench.failing = failing
    found = bench.run(read(session, wanted, together=[group]))
    status = found.value("tokenStatus")
    assert isinstance(status, int)
    assert (found.value("tokenSequence"), found.value("lastToken")) == (status, f"{status:020d}")
    assert [v.register for v in found.values] == wanted


def test_an_answer_too_short_for_a_group_is_said(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    group = [electricity.table.named(n) for n in ("tokenStatus", "lastTokenStatus")]

    def failing(command: Command) -> ClientEvent | None:
        if isinstance(command, Read):
            value = RegisterValue(command.start, 0)
            return RegistersRead((value,), bench.now_ns, bench.now_ns)
        return None

    bench.failing = failing
    with pytest.raises(CannotRead, match="too short"):
        bench.run(read(session, group, together=[group]))


def test_a_refused_register_does_not_keep_the_others_away(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    table = electricity.table
    bench.failing = lambda c: (
        CommandRefused(c, ErrorCode.NO_SUCH_REGISTER, "ER03")
        if isinstance(c, Read) and c.start.name == "tableID"
        else None
    )
    found = bench.run(read(session, [table.named("tableID"), table.named("meterPAN")]))
    assert [v.register.name for v in found.values] == ["meterPAN"]
    (refused,) = found.refused
    assert (refused.register.name, refused.error_text) == ("tableID", "ER03")


# --- writing ------------------------------------------------------------------------------------


def test_registers_are_written_and_read_back_over_the_line(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    table = electricity.table
    values: list[tuple[Register, Value]] = [
        (table.named("lowCreditThreshold"), 5000),
        (table.named("installationReference"), "Pole 17"),
    ]
    results = bench.run(write(session, values, verify=True))
    assert [(r.written, r.read_back, r.good) for r in results] == [
        (True, 5000, True),
        (True, "Pole 17", True),
    ]
    assert bench.state.settings.low_credit_threshold == 5000


def test_the_first_refused_write_ends_it(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    table = electricity.table
    values = [
        (table.named("lowCreditAlarmEnabled"), 2),  # 0 or 1: the meter's to refuse
        (table.named("lowCreditThreshold"), 5000),
    ]
    (result,) = bench.run(write(session, values))
    assert (result.written, result.error) == (False, ErrorCode.VALUE_REFUSED)
    assert not result.good
    assert bench.state.settings.low_credit_threshold == 0


def test_a_register_not_to_be_written_is_the_meters_to_refuse_and_goes_first(
    electricity: Companion,
) -> None:
    bench = MeterLine(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    table = electricity.table
    values: list[tuple[Register, Value]] = [
        (table.named("lowCreditThreshold"), 5000),
        (table.named("creditBalance"), 1_000_000),
    ]
    (result,) = bench.run(write(session, values))
    assert result.register.name == "creditBalance"
    assert (result.written, result.error) == (False, ErrorCode.ACCESS_DENIED)
    assert bench.state.settings.low_credit_threshold == 0
    assert bench.state.account.balance == 0


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("tokenEntry", "0" * 20, ValueError, "delivered"),
        ("lowCreditThreshold", -1, ValueRefused, "0 to"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_sent(
    electricity: Companion, name: str, value: int | str, error: type[Exception], said: str
) -> None:
    bench = ScriptedMeter(electricity)
    table = electricity.table
    values = [(table.named("lowCreditThreshold"), 1), (table.named(name), value)]
    with pytest.raises(error, match=said):
        bench.run(write(Session(electricity), values))
    assert bench.count(Write) == 0


# --- what a session does not say twice ----------------------------------------------------------


def test_a_reading_brings_the_meter_pan_along(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    found = bench.run(read(session, [electricity.table.named("DRN")]))
    assert [v.register.name for v in found.values] == ["DRN"]
    assert bench.commands[1:] == [Read(electricity.table.named("meterPAN"), 2)]
    assert session.meter is not None
    assert session.meter.meter_pan == PAN
    assert session.compared


def test_nothing_read_of_another_meter_is_returned(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity, OTHER_PAN)
    with pytest.raises(AnotherMeter):
        bench.run(read(Session(electricity, meter_pan=PAN), [electricity.table.named("DRN")]))


def test_a_meter_swapped_before_the_comparison_leaves_no_value_behind(
    electricity: Companion,
) -> None:
    """The first message is of one meter; the link is lost; another one answers, and is the one."""
    bench = ScriptedMeter(electricity, OTHER_PAN)
    bench.registers["tableID"] = 99  # the first meter's
    reads = 0

    def failing(command: Command) -> ClientEvent | None:
        nonlocal reads
        if not isinstance(command, Read):
            return None
        reads += 1
        if reads == 2:  # a new head: the next meter is another one
            bench.registers.update(meterPAN=PAN, tableID=1)
            return no_answer(command)
        return None

    bench.failing = failing
    session = Session(electricity, character_ns=33_333_334)
    wanted = [electricity.table.named(name) for name in ("tableID", "DRN")]
    told: list[tuple[RegisterValue, ...]] = []
    found = bench.run(read(session, wanted, on_values=told.append))
    assert found.value("tableID") == 1
    assert 99 not in {each.value for values in told for each in values}
    assert session.meter is not None
    assert session.meter.meter_pan == PAN


def test_values_are_told_as_they_arrive(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity, character_ns=33_333_334)
    bench.run(session.identify())
    wanted = [electricity.table.named(name) for name in ("creditBalance", "tableID", "DRN")]
    told: list[tuple[RegisterValue, ...]] = []
    found = bench.run(read(session, wanted, on_values=told.append))
    assert len(told) == found.messages > 1
    assert [len(values) for values in told] == sorted({len(values) for values in told})
    assert told[-1] == found.values


def test_a_meter_that_refuses_its_meter_pan_is_read_all_the_same(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.failing = lambda c: (
        CommandRefused(c, ErrorCode.ACCESS_DENIED, "ER04")
        if isinstance(c, Read) and c.start.name == "meterPAN"
        else None
    )
    session = Session(electricity)
    found = bench.run(read(session, [electricity.table.named("tableID")]))
    assert [v.register.name for v in found.values] == ["tableID"]
    assert found.refused == ()
    assert session.meter is not None
    assert any("ER04" in warning for warning in session.meter.warnings)


def test_whoever_told_the_meter_pan_before_does_not_refuse_it_now(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    bench.run(session.sign_off())
    bench.failing = lambda c: (
        CommandRefused(c, ErrorCode.ACCESS_DENIED, "ER04")
        if isinstance(c, Read) and c.start.name == "meterPAN"
        else None
    )
    with pytest.raises(AnotherMeter):
        bench.run(read(session, [electricity.table.named("tableID")]))


def test_after_another_meter_nothing_is_read_before_the_comparison(electricity: Companion) -> None:
    """Real meters: the head is on another one now, and whoever asks again learns it again."""
    bench = MeterLine(electricity)
    session = Session(electricity)
    wanted = [electricity.table.named("creditBalance")]
    bench.run(read(session, wanted))
    right, neighbour = bench.line.server, "600727000000000009"
    bench.line.server = MeterLine(electricity, state=new_meter(electricity, neighbour)).line.server
    for _ in range(2):
        with pytest.raises(AnotherMeter):
            bench.run(read(session, wanted))
    bench.line.server = right
    assert len(bench.run(read(session, wanted)).values) == 1
    assert session.meter is not None
    assert session.meter.meter_pan == PAN


def test_after_no_link_nothing_is_read_before_the_comparison(electricity: Companion) -> None:
    """Another meter answers the IDRequest, and its MeterPAN does not come through at first."""
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    bench.registers["meterPAN"] = OTHER_PAN
    bench.failing = lambda c: no_answer(c) if isinstance(c, Read) else None
    foin = Read(electricity.table.named("FOIN"))
    with pytest.raises(NoLink):
        bench.run(session.command(foin))
    bench.failing = lambda _command: None
    with pytest.raises(AnotherMeter):
        bench.run(session.command(foin))


def test_values_of_a_meter_that_refuses_its_meter_pan_and_of_one_that_tells_it(
    electricity: Companion,
) -> None:
    """They are of two meters, so they are no one's."""
    bench = ScriptedMeter(electricity)

    def failing(command: Command) -> ClientEvent | None:
        if not isinstance(command, Read):
            return None
        if command.start.name == "meterPAN" and not bench.reopened:
            return CommandRefused(command, ErrorCode.ACCESS_DENIED, "ER04")
        if command.start.name == "installationReference" and not bench.reopened:
            return no_answer(command)
        return None

    bench.failing = failing
    names = ("tableID", "installationReference")
    with pytest.raises(AnotherMeter, match="refuses to tell its MeterPAN is meant"):
        bench.run(
            read(
                Session(electricity, character_ns=33_333_334),
                [electricity.table.named(name) for name in names],
            )
        )


def test_a_write_to_a_hailed_meter_compares_it_first(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity, OTHER_PAN)
    session = Session(electricity, meter_pan=PAN)
    bench.run(session.hail())
    with pytest.raises(AnotherMeter):
        bench.run(write(session, [(electricity.table.named("lowCreditThreshold"), 5)]))
    assert bench.count(Write) == 0


def test_a_hailed_session_compares_the_meter_pan_once(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.hail())
    assert bench.commands == [Identify()]
    bench.run(session.ready())
    bench.run(session.ready())
    assert bench.count(Read) == 1


@pytest.mark.parametrize(("flag", "reaction_ms"), [("VTC", 200), ("VTc", 20)])
def test_the_pace_is_what_the_meter_announces(
    electricity: Companion, flag: str, reaction_ms: int
) -> None:
    bench = ScriptedMeter(electricity)
    bench.identity = replace(bench.identity, flag=flag)
    session = Session(electricity, character_ns=0)
    bench.run(session.hail())
    assert session.pace == Pace(0, reaction_ms * S // 1000)
