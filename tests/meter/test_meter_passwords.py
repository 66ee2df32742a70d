"""The password of a meter's port: how it is kept, what wrong ones cost, and that it is durable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench_meter import PAN, MeterBench, iter_events, new_meter
from bench_mode_c import ACK, B0, PASSWORD, WRONG, Fragile, ModeCLine
from bench_store import KEY
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import PasswordPolicy, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import (
    AccessJudged,
    CompanionSource,
    CompanionUnfit,
    ManufactureRefused,
    MemoryDatabase,
    MemoryStore,
    Meter,
    MeterServer,
    PowerLost,
    SQLiteStore,
    disk_error,
)
from vtc07.meter.encoding import RecordsBroken, decode, encode, encode_changes
from vtc07.meter.passwords import PasswordGuard, PasswordHash, PasswordRefused

POLICY = PasswordPolicy(opens=2, failures=3, first_s=60, growth=2, longest_s=200)
SOURCE = CompanionSource.of("electricity-mode-c")


# --- the hash ------------------------------------------------------------------------------------


def test_a_hash_is_scrypt_under_a_salt_of_its_own() -> None:
    first, second = PasswordHash.of(PASSWORD), PasswordHash.of(PASSWORD)
    assert len(first.salt) == len(second.salt) == 16
    assert first.salt != second.salt
    assert first.digest != second.digest
    for kept in (first, second):
        assert kept.matches(PASSWORD)
        wanted = hashlib.scrypt(
            PASSWORD.encode(), salt=kept.salt, n=2**kept.log2_n, r=kept.r, p=kept.p, dklen=32
        )
        assert kept.digest == wanted


@pytest.mark.parametrize(
    "offered", ["", WRONG, PASSWORD[:-1], PASSWORD + "0", PASSWORD.lower(), PASSWORD + " ", "\x00"]
)
def test_nothing_else_matches(offered: str) -> None:
    assert not PasswordHash.of(PASSWORD).matches(offered)


@pytest.mark.parametrize(
    "password", ["0", "00000000", "x" * 32, " a b ", 'q"#$%&+,-.:;<=>?@[]^_{|}~']
)
def test_what_may_be_a_password(password: str) -> None:
    assert PasswordHash.of(password).matches(password)


@pytest.mark.parametrize("password", ["", "x" * 33, "a(b", "a)b", "a*b", "a/b", "a!b", "ä", "a\nb"])
def test_what_no_client_could_send_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused, match="1 to 32 characters") as raised:
        PasswordHash.of(password)
    assert not password or password not in str(raised.value)


def test_it_comes_back_from_its_bytes() -> None:
    kept = PasswordHash.of(PASSWORD)
    assert PasswordHash.from_bytes(kept.to_bytes()) == kept
    stored = replace(kept, log2_n=10)
    assert PasswordHash.from_bytes(stored.to_bytes()).log2_n == 10  # of another edition


def test_the_largest_of_other_editions_can_be_compared() -> None:
    kept = PasswordHash.of(PASSWORD)
    assert not PasswordHash.from_bytes(replace(kept, log2_n=15).to_bytes()).matches(PASSWORD)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"",
        lambda b: b[:-1],
        lambda b: b + b"\x00",
        lambda b: b"\x00" + b[1:],
        lambda b: b"\x28" + b[1:],  # 2^40: no memory would do
        lambda b: b"\x10" + b[1:],  # 2^16: more than a comparison may have
        lambda b: b[:1] + b"\xff" + b[2:],
        lambda b: b[:2] + b"\x00" + b[3:],
    ],
)
def test_bytes_that_are_no_hash(change: Callable[[bytes], bytes]) -> None:
    state = new_meter("electricity-mode-c", password=PASSWORD)
    records = encode(state)
    broken = change(records.secrets["password"])
    with pytest.raises(RecordsBroken):
        decode(replace(records, secrets={**records.secrets, "password": broken}))


# --- the guard -----------------------------------------------------------------------------------


def test_delays_grow_up_to_the_longest_and_a_right_one_ends_it() -> None:
    guard, delays = PasswordGuard(), []
    for _ in range(7):
        guard = guard.after(right=False, policy=POLICY)
        delays.append(guard.remaining_ns // S)
        guard = guard.elapsed(guard.remaining_ns)
    assert delays == [0, 0, 60, 120, 200, 200, 200]
    assert guard.failures == 7
    assert guard.after(right=True, policy=POLICY) == PasswordGuard()


@given(st.lists(st.integers(0, 50 * S), max_size=20))
def test_time_passes_whatever_its_pieces(pieces: list[int]) -> None:
    guard = whole = PasswordGuard(3, 60 * S, 60)
    for piece in pieces:
        guard = guard.elapsed(piece)
    assert guard == whole.elapsed(sum(pieces))
    assert guard.delaying is (sum(pieces) < 60 * S)


# --- manufacture ---------------------------------------------------------------------------------


def test_a_meter_of_direct_mode_has_no_password() -> None:
    with pytest.raises(ManufactureRefused, match="no password") as raised:
        new_meter("electricity", password=PASSWORD)
    assert PASSWORD not in str(raised.value)


def test_a_password_that_is_none() -> None:
    with pytest.raises(ManufactureRefused, match="1 to 32 characters") as raised:
        new_meter("electricity-mode-c", password=f"{PASSWORD}*")
    assert PASSWORD not in str(raised.value)


def test_a_meter_without_a_password_is_opened_by_none() -> None:
    line = ModeCLine(new_meter("electricity-mode-c"))
    before = line.state
    for password in ("", PASSWORD, "00000000"):
        assert line.give(password) == B0
    assert line.state.password_guard == before.password_guard  # there was nothing to guess


# --- at the port ---------------------------------------------------------------------------------


def delays(line: ModeCLine) -> list[str]:
    """Return the event log's words about passwords, oldest first."""
    line.bench.now_ns = max(line.now_ns, line.bench.now_ns)
    return [said for said in line.bench.events_logged() if said.startswith("password")]


def test_the_right_password_opens_level_2() -> None:
    line = ModeCLine()
    line.sign_on()
    assert line.ask("W1", "0030(7)").startswith(b"\x02(ER04)")
    assert line.ask("P1", f"({PASSWORD})") == ACK
    assert line.ask("W1", "0030(7)") == ACK
    assert line.state.settings.low_credit_threshold == 7
    assert line.ask("W1", "0020(7)").startswith(b"\x02(ER04)")  # money is no password's


def test_wrong_ones_are_counted_and_then_delayed() -> None:
    line = ModeCLine()
    for count in (1, 2):
        assert line.give(WRONG) == B0
        assert line.state.password_guard == PasswordGuard(failures=count)
    assert delays(line) == []
    assert line.give(WRONG) == B0
    assert line.state.password_guard.failures == 3
    assert delays(line) == ["password,60"]
    # The sign-on works, reads and tokens too; even the right password is not compared.
    assert line.give(PASSWORD) == B0
    line.sign_on()
    assert line.read("0004") == ["0"]
    assert line.state.password_guard.failures == 3
    line.run(60)
    assert line.give(PASSWORD) == ACK
    assert line.state.password_guard == PasswordGuard()


def test_each_further_delay_is_longer() -> None:
    line = ModeCLine()
    for _ in range(3):
        line.give(WRONG)
    for _ in range(7):
        line.run(3_700)
        assert line.give(WRONG) == B0
    wanted = [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert delays(line) == [f"password,{delay}" for delay in wanted]
    line.run(3_601)
    assert line.give(PASSWORD) == ACK
    for _ in range(3):
        line.give(WRONG)
    assert delays(line)[-1] == "password,60"


def test_a_delay_is_powered_time_and_survives_losses_of_power() -> None:
    line = ModeCLine()
    for _ in range(3):
        line.give(WRONG)
    line.run(35)
    assert 20 * S <= line.state.password_guard.remaining_ns <= 30 * S  # stored every 10 s
    remaining = line.state.password_guard.remaining_ns
    line.now_ns += 3_600 * S  # without power
    line.power_cycle()
    assert remaining - S < line.bench.meter.state.password_guard.remaining_ns <= remaining
    assert line.give(PASSWORD) == B0
    line.run(31)
    assert line.give(PASSWORD) == ACK


def test_in_a_delay_nothing_is_compared() -> None:
    line = ModeCLine()
    compared = []
    meter = line.bench.meter

    def proof() -> int | None:
        compared.append(True)
        return None

    for request in range(10):
        meter.judge_access(request, proof, line.now_ns)
        line.bench.work()
    assert len(compared) == 3
    judged = [event for event in line.bench.events if isinstance(event, AccessJudged)]
    assert judged == [AccessJudged(request, None) for request in range(10)]
    assert meter.state.password_guard.failures == 3


def test_attempts_that_wait_are_refused_once_a_delay_begins() -> None:
    line = ModeCLine()
    meter = line.bench.meter
    compared = []
    for request in range(5):
        meter.judge_access(request, lambda: compared.append(True), line.now_ns)
    while (job := meter.next_work()) is not None:
        job()
        meter.work_done(None, line.now_ns)
    assert len(compared) == 3
    judged = [event for event in iter_events(meter) if isinstance(event, AccessJudged)]
    assert judged == [AccessJudged(request, None) for request in range(5)]


def test_nothing_is_answered_before_it_is_durable() -> None:
    """A right one and a wrong one alike: whoever cuts the power has learned nothing."""
    for password, answer, failures in ((PASSWORD, ACK, 0), (WRONG, B0, 1)):
        line = ModeCLine()
        line.sign_on()
        line.held = True
        assert line.ask("P1", f"({password})") == b""
        comparison = line.server.next_work()
        assert comparison is not None
        assert line.server.next_work() is None
        comparison()
        line.server.work_done(None, line.now_ns)
        assert line.server.bytes_to_send(line.now_ns) == b""
        commit = line.server.next_work()
        assert commit is not None
        assert line.server.bytes_to_send(line.now_ns) == b""
        commit()
        line.server.work_done(None, line.now_ns)
        assert line.server.bytes_to_send(line.now_ns) == answer
        assert line.state.password_guard.failures == failures


def test_a_session_that_ends_meanwhile_is_counted_all_the_same() -> None:
    line = ModeCLine()
    line.sign_on()
    line.held = True
    line.ask("P1", f"({WRONG})")
    line.server.connection_lost(line.now_ns)
    line.held = False
    assert line.run(1) == b""
    assert line.state.password_guard.failures == 1


def test_a_store_that_fails() -> None:
    line = ModeCLine()
    assert isinstance(line.store, Fragile)
    line.sign_on()
    line.store.broken = True
    assert line.ask("P1", f"({PASSWORD})") == B0
    assert line.give(PASSWORD) == B0  # nothing is compared that could not be counted
    line.store.broken = False
    line.power_cycle()
    assert line.give(PASSWORD) == ACK


def test_an_orderly_end_counts_what_was_offered() -> None:
    line = ModeCLine()
    line.sign_on()
    line.held = True
    line.ask("P1", f"({WRONG})")
    line.server.power_off(line.now_ns)
    line.held = False
    line.work()
    assert line.state.password_guard.failures == 1
    assert not line.state.powered


def test_a_store_that_fails_for_a_token_leaves_no_password_without_an_answer() -> None:
    line = ModeCLine()
    assert isinstance(line.store, Fragile)
    line.sign_on()
    assert line.ask("W1", f"000F({'0' * 20})") == ACK
    line.held = True
    assert line.ask("P1", f"({PASSWORD})") == b""
    comparison = line.server.next_work()
    assert comparison is not None
    comparison()
    line.now_ns += S  # the token is due, and goes first
    line.server.work_done(None, line.now_ns)
    line.store.broken = True
    line.held = False
    assert line.run(1) == B0
    assert line.bench.meter.store_fault


def test_the_rest_of_a_delay_is_stored_until_it_ends_and_no_longer() -> None:
    made = new_meter("electricity-mode-c", password=PASSWORD)
    store = Fragile(replace(made, password_guard=PasswordGuard(3, 55 * S, 60)))
    line = ModeCLine(store=store)
    at_power_up = store.commits
    line.run(500)
    assert store.commits - at_power_up == 5


def test_another_password_is_another_record() -> None:
    made = new_meter("electricity-mode-c", password=PASSWORD)
    other = replace(made, password=PasswordHash.of(WRONG))
    assert encode_changes(made, made).secrets == {}
    assert encode_changes(made, other).secrets == {"password": encode(other).secrets["password"]}
    assert encode_changes(made, replace(made, password=None)).secrets == {"password": None}


def test_it_goes_beside_a_token() -> None:
    line = ModeCLine()
    line.sign_on()
    assert line.ask("W1", f"000F({'0' * 20})") == ACK
    assert line.ask("P1", f"({PASSWORD})") == ACK
    assert line.ask("W1", "0032(1)") == ACK
    line.run(1)
    assert line.read("0005") == ["1"]


# --- losses of power, at every statement of the store --------------------------------------------


@pytest.fixture(scope="module")
def counted() -> bytes:
    """The image of a meter's store after two wrong passwords."""
    with MemoryDatabase() as database:
        made = new_meter("electricity-mode-c", password=PASSWORD)
        with SQLiteStore.create_in(database, made, SOURCE, KEY) as store:
            line = ModeCLine(store=store)
            for _ in range(2):
                assert line.give(WRONG) == B0
        return database.image()


def offered(
    image: bytes, password: str, hook: Callable[[str, bool], None]
) -> tuple[bytes | None, PasswordGuard]:
    """Offer a password; return the answer, None where power failed, and what the store has then."""
    answer: bytes | None = None
    with MemoryDatabase(image) as database:
        store = SQLiteStore.open_in(database, KEY)
        line = ModeCLine(store=store)
        line.sign_on()
        database.hook = hook
        try:
            answer = line.ask("P1", f"({password})")
        except PowerLost:
            assert line.server.bytes_to_send(line.now_ns + S) == b""
        database.hook = None
        store.close() if answer is not None else database.lose_power()
        with SQLiteStore.open_in(database, KEY) as again:
            guard = again.load().password_guard
            seen = MeterBench(companion=line.companion, store=again)
            logged = [said for said in seen.events_logged() if said.startswith("password")]
            assert logged == (["password,60"] if guard.delaying else [])
    return answer, guard


@pytest.mark.parametrize(("password", "answer"), [(WRONG, B0), (PASSWORD, ACK)])
def test_power_lost_at_every_statement(counted: bytes, password: str, answer: bytes) -> None:
    statements: list[str] = []
    said, after = offered(counted, password, lambda sql, done: statements.append(sql))
    assert said == answer
    assert after.failures == (3 if password == WRONG else 0)
    assert statements
    guards = []
    for at in range(len(statements)):
        left = iter(range(at))

        def cut(sql: str, done: bool, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise PowerLost

        said, guard = offered(counted, password, cut)
        assert said is None  # nobody has learned anything
        guards.append(guard)
    assert set(guards) == {PasswordGuard(failures=2), after}


def test_a_disk_that_fails(counted: bytes) -> None:
    def fail(sql: str, done: bool) -> None:
        if sql == "COMMIT" and not done:
            raise disk_error()

    for password in (WRONG, PASSWORD):
        said, guard = offered(counted, password, fail)
        assert said == B0
        assert guard == PasswordGuard(failures=2)


# --- the secure algorithm ------------------------------------------------------------------------


class Backwards:
    """An algorithm that nobody should use."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.operands = iter(["first", "second", "third", "fourth", "fifth", "sixth"])

    def operand(self) -> str:
        return next(self.operands)

    def check(self, operand: str, result: str) -> int | None:
        self.asked.append((operand, result))
        if result == "fault":
            raise ArithmeticError(result)
        return 2 if result == operand[::-1] else None


def test_a_secure_algorithm_of_a_maker() -> None:
    algorithm = Backwards()
    line = ModeCLine(algorithm=algorithm)
    assert line.sign_on()[:-1] == b"\x01P0\x02(first)\x03"
    assert line.ask("P2", "(tsrif)") == ACK
    assert line.ask("W1", "0032(1)") == ACK
    assert line.sign_on()[:-1] == b"\x01P0\x02(second)\x03"
    assert line.ask("P2", "(tsrif)") == B0
    assert algorithm.asked == [("first", "tsrif"), ("second", "tsrif")]
    assert line.state.password_guard.failures == 1


def test_wrong_results_and_wrong_passwords_are_counted_together() -> None:
    algorithm = Backwards()
    line = ModeCLine(algorithm=algorithm)
    for code, said in (("P2", "(wrong)"), ("P1", f"({WRONG})"), ("P2", "(fault)")):
        line.sign_on()
        assert line.ask(code, said) == B0
    assert line.state.password_guard.failures == 3
    line.sign_on()
    assert line.ask("P2", "(htruof)") == B0  # in the delay nothing is compared
    assert len(algorithm.asked) == 2


def test_without_an_algorithm_every_result_is_wrong_and_costs_nothing() -> None:
    line = ModeCLine()
    assert line.sign_on() == b"\x01P0\x02()\x03`"
    assert line.ask("P2", "()") == B0
    assert line.state.password_guard == PasswordGuard()


def test_an_algorithm_needs_rules_for_wrong_results() -> None:
    line = ModeCLine()
    companion = line.companion
    assert companion.mode_c is not None
    without = replace(companion, mode_c=replace(companion.mode_c, password=None))
    for unfit in (without, load_companion("electricity")):
        with pytest.raises(CompanionUnfit, match="password"):
            MeterServer(unfit, line.bench.meter, algorithm=Backwards())


# --- what is never shown -------------------------------------------------------------------------


def test_the_password_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "meter"
    made = new_meter("electricity-mode-c", password=PASSWORD)
    assert made.password is not None
    with SQLiteStore.create(path, made, SOURCE, KEY) as store:
        line = ModeCLine(store=store)
        line.sign_on()
        line.held = True
        line.ask("P1", f"({PASSWORD})")  # while it is on its way
        shown = [repr(vars(line.bench.meter)), repr(vars(line.server)), repr(line.server.core)]
        shown += [repr(vars(line.server.core))]
        line.held = False
        line.run(1)
        assert line.ask("W1", "0032(1)") == ACK
        for _ in range(4):
            line.give(WRONG)
        line.bench.now_ns = line.now_ns
        names = [r.name for r in line.companion.table if r.read_level is not None]
        shown += [str(line.bench.read(name)) for name in names]
        state = line.bench.meter.state
        things: list[object] = [state, state.password, state.password_guard, encode(state)]
        things += [store, line.bench.meter, line.server, *vars(line.bench.meter).values()]
        shown += [f"{thing!r} {thing!s}" for thing in things]
    everything = "\n".join(shown).encode() + path.read_bytes()
    hashed = made.password
    for secret in (PASSWORD, WRONG):
        for form in (secret.encode(), secret.encode().hex().encode()):
            assert form not in everything
    for kept in (hashed.salt, hashed.digest):
        for form in (kept, kept.hex().encode(), repr(kept)[2:-1].encode()):
            assert form not in everything


# --- with a hand-held unit at the other end ------------------------------------------------------


@pytest.mark.parametrize("opens", ["password", "algorithm"])
def test_a_hand_held_unit_opens_it(opens: str) -> None:
    companion = load_companion("electricity-mode-c")
    pace = companion.link.character_ns
    meter = Meter(companion, MemoryStore(new_meter(companion, password=PASSWORD)), now_ns=0)
    algorithm = Backwards()
    client = ModeCClient(
        companion,
        character_ns=pace,
        password=PASSWORD if opens == "password" else None,
        algorithm=None if opens == "password" else lambda operand: operand[::-1],
    )
    server = MeterServer(companion, meter, character_ns=pace, algorithm=algorithm)
    line = SimulatedLine(client, server, speed=companion.link.speed)
    session = Session(companion, address=PAN.digits)
    register = companion.table.named("lowCreditThreshold")
    (written,) = line.run(write(session, [(register, 25)], verify=True))
    assert written.good
    assert meter.committed.settings.low_credit_threshold == 25
    assert algorithm.asked == ([] if opens == "password" else [("first", "tsrif")])
