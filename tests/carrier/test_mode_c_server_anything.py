"""Whatever is said to a mode C server, it goes on, and opens nothing without its password."""

from __future__ import annotations

from functools import cache

from bench_mode_c_server import B0, PASSWORD, ModeCBench, command
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import Connected, Disconnected, TokenEntered, WriteRequested
from vtc07.carrier.exchange.messages import CommandMessage

CODES = ("R1", "R2", "R3", "R4", "R5", "R6", "W1", "W2", "W3", "W4", "W5", "E2", "P2", "X9")
ADDRESSES = ("0004", "0010", "1.8.0", "f.f", "0030", "C.2.9", "000F", "FFFF", "", "0" * 17)
VALUES = ("", "1", "FFFF", "0", "56493153725450313471", "7", "x" * 128, "1*Wh", "a)(b")

told = st.one_of(
    st.builds(
        lambda code, address, value, partial: CommandMessage(
            code, f"{address}({value})", partial
        ).to_chars(),
        st.sampled_from(CODES),
        st.sampled_from(ADDRESSES),
        st.sampled_from(VALUES),
        st.booleans(),
    ),
    st.sampled_from(
        [b"/?!\r\n", b"/?1!\r\n", b"\x06051\r\n", b"\x06050\r\n", b"\x06061\r\n", b"\x06\xff"]
    ),
    st.sampled_from([b"\x06", b"\x15", B0, b"\x01B1\x03p", b"\x01", b"\xff", b"\x01R1\x02"]),
    st.sampled_from([command("P1", "(wrong)"), command("P1"), command("P1", "()")]),
    st.binary(max_size=40),
)
steps = st.lists(st.tuples(told, st.sampled_from([0, 30, 250, 400, 2_500, 125_000])), max_size=25)


@cache
def companion() -> Companion:
    return load_companion("electricity-mode-c")


def run(bench: ModeCBench, script: list[tuple[bytes, int]]) -> None:
    most = bench.companion.limits.data_message + 20_000
    for chars, wait_ms in script:
        bench.say(chars, wait_ms)
        assert bench.server.held <= most
        assert bench.server.connected or bench.server.level == 0
    opened = [type(e) for e in bench.events if isinstance(e, Connected | Disconnected)]
    assert opened == [Connected, Disconnected] * (len(opened) // 2) + [Connected] * (
        len(opened) % 2
    )


@settings(max_examples=150)
@given(steps)
def test_without_the_password_only_tokens_are_entered(script: list[tuple[bytes, int]]) -> None:
    bench = ModeCBench(companion())
    run(bench, script)
    assert bench.server.level == 0
    assert not any(isinstance(event, WriteRequested) for event in bench.events)
    assert all(len(e.token) == 20 for e in bench.events if isinstance(e, TokenEntered) and e.token)


@settings(max_examples=75)
@given(steps)
@example([(command("W1", "0030(7)"), 400)])
def test_with_the_password_only_what_it_opens_is_written(script: list[tuple[bytes, int]]) -> None:
    bench = ModeCBench(companion())
    assert bench.open() == b"\x06"
    run(bench, script)
    written = {e.register.name for e in bench.events if isinstance(e, WriteRequested)}
    assert written <= {"lowCreditThreshold", "installationReference", "lowCreditAlarmEnabled"}


@settings(max_examples=75)
@given(steps)
def test_afterwards_a_session_is_as_good_as_any(script: list[tuple[bytes, int]]) -> None:
    bench = ModeCBench(companion())
    run(bench, script)
    bench.advance(125_000)
    assert not bench.server.connected
    assert bench.open(PASSWORD) == b"\x06"
    assert bench.ask("R1", "0010()").startswith(b"\x020010(")
