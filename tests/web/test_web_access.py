"""Sessions, passwords and pauses of the web application, without a network."""

from __future__ import annotations

import pytest

from vtc07.web.access import IDLE_NS, MOST_SESSIONS, Access, Sessions
from vtc07.web.password import LONGEST, PasswordHash, Pauses

SECOND = 1_000_000_000


def test_a_session_of_a_user_is_nobody_elses() -> None:
    sessions = Sessions()
    own, anybodys = sessions.begin(0, 1000), sessions.begin(0)
    assert sessions.known([own], 1, 1000) == own
    assert sessions.known([own], 1, 1001) is None
    assert sessions.known([own], 1) is None
    assert sessions.known([own, anybodys], 1, 1001) == anybodys
    assert sessions.known([anybodys], 1) == anybodys


def test_sessions_are_bounded_and_the_one_used_least_goes() -> None:
    sessions = Sessions()
    cookies = [sessions.begin(n) for n in range(MOST_SESSIONS)]
    sessions.use(cookies[0], 1000)
    assert len(set(cookies)) == MOST_SESSIONS
    newest = sessions.begin(1001)
    assert len(sessions) == MOST_SESSIONS
    assert sessions.known([cookies[1]], 1002) is None
    assert sessions.known([cookies[0]], 1002) == cookies[0]
    assert sessions.known(["x", newest], 1002) == newest
    sessions.end(newest)
    assert sessions.known([newest], 1002) is None
    assert sessions.known([cookies[0]], 10**20) == cookies[0]  # without a password: no end


def test_a_session_ends_without_use() -> None:
    sessions = Sessions(IDLE_NS)
    cookie = sessions.begin(0)
    assert IDLE_NS == 12 * 3600 * SECOND
    assert sessions.known([cookie], IDLE_NS - 1)
    sessions.use(cookie, IDLE_NS - 1)
    assert sessions.known([cookie], 2 * IDLE_NS - 2)
    assert sessions.known([cookie], 2 * IDLE_NS - 1) is None
    assert len(sessions) == 0


def test_secrets_are_in_no_repr() -> None:
    password = PasswordHash.of("correct horse battery")
    access = Access(frozenset(), "c", token="t0ken", password=password)
    cookie = access.sessions.begin(0)
    for secret in (
        "t0ken",
        password.salt.hex(),
        password.digest.hex(),
        repr(password.digest),
        cookie,
    ):
        assert secret not in repr(access) + repr(password)
    assert not Access(frozenset(), "c").lets_in("")
    assert not Access(frozenset(), "c").lets_in("None")


def test_a_password_is_known_by_its_hash_alone() -> None:
    kept = PasswordHash.of("grüße aus Ulm")
    again = PasswordHash.parse(kept.line + "\n")
    assert again == kept
    assert "Ulm" not in kept.line
    assert again.is_of("grüße aus Ulm")
    assert again.is_of("gru\u0308\u00dfe aus Ulm")  # typed on another keyboard
    for wrong in ("", "grüße aus ulm", "grüße aus Ulm ", "x" * LONGEST):
        assert not again.is_of(wrong)
    assert PasswordHash.of("grüße aus Ulm").salt != kept.salt


@pytest.mark.parametrize(
    "line",
    ["", "secret", "scrypt:1:2:3", "scrypt:32768:8:1::", "scrypt:32767:8:1:{s}:{d}",
     "scrypt:1073741824:8:1:{s}:{d}", "scrypt:32768:-8:1:{s}:{d}", "scrypt:32768:8:0:{s}:{d}",
     "scrypt:32768:8:1:{s}:zz", "bcrypt:32768:8:1:{s}:{d}", "scrypt:32768:8:1:{s}:{d}:{d}",
     "scrypt:32768:8:99999999:{s}:{d}", "scrypt:٣٢٧٦٨:8:1:{s}:{d}", "scrypt:32768:8:1:{s}:00"],
)  # fmt: skip
def test_what_is_no_hash_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        PasswordHash.parse(line.format(s="00" * 16, d="00" * 32))


def test_pauses_grow_and_are_bounded() -> None:
    pauses = Pauses()
    now, waited = 0, []
    for _ in range(14):
        assert pauses.left_ns(now) == 0
        pauses.take_wrong(now)
        waited.append(pauses.left_ns(now) // SECOND)
        now += pauses.left_ns(now)
    assert waited == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    assert pauses.wrong < 20  # counted no further than it matters
    pauses.take_right()
    pauses.take_wrong(now)
    assert pauses.left_ns(now) == 0


def test_a_pause_does_not_grow_by_waiting_and_is_forgotten_at_last() -> None:
    pauses = Pauses()
    for _ in range(4):
        pauses.take_wrong(0)
    assert pauses.left_ns(0) == 2 * SECOND
    assert pauses.left_ns(2 * SECOND - 1) == 1
    assert pauses.left_ns(2 * SECOND) == 0
    pauses.take_wrong(3601 * SECOND)
    assert pauses.left_ns(3601 * SECOND) == 0
    assert pauses.wrong == 1
