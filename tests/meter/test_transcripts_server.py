"""Whole conversations, replayed character by character against the meter's server."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from bench_meter import MeterBench

from vtc07.carrier.companion import MS, Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.status import TokenStatus
from vtc07.meter import ConstantLoad, MeterServer, MeterState, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
)

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "../shared/vectors/transcripts"
START_NS = 1000 * S
LONGEST_REACTION_NS = 1500 * MS


def _transcripts() -> list[Any]:
    found = sorted(TRANSCRIPTS.glob("*.jsonl"))
    if not found:
        reason = pytest.mark.skip(reason="the shared material is not beside this clone")
        return [pytest.param(None, marks=reason)]
    return [pytest.param(path, id=path.stem) for path in found]


def _companion(values: dict[str, Any]) -> Companion:
    """Return the shipped companion, with the values that the transcripts fix."""
    companion = load_companion("electricity")
    numbers = companion.token_entry.status
    assert companion.meter is not None
    assert companion.meter.credit_maximum == values["credit_maximum_wh"]
    assert numbers.number(TokenStatus.THIRD_KCT) == values["status_3rdKCT"]
    assert numbers.number(TokenStatus.FOURTH_KCT) == values["status_4thKCT"]
    lockout = companion.lockout
    assert (lockout.failures, lockout.first_s, lockout.longest_s) == (
        values["lockout_failures"],
        values["lockout_first_s"],
        values["lockout_longest_s"],
    )
    return companion


def _state(header: dict[str, Any], companion: Companion) -> MeterState:
    meter = header["meter"]
    state = manufacture(
        companion,
        MeterPAN(meter["meter_pan"]),
        DecoderKey.from_hex(EA(meter["ea"]), meter["decoder_key"]),
        KeyAttributes(
            KT(meter["kt"]),
            SGC(meter["sgc"]),
            TI(meter["ti"]),
            KRN(meter["krn"]),
            KEN(meter["ken"]),
            BaseDate(f"{meter['bdt']:02d}"),
        ),
        TID(meter["tid_store"]["tid"]),
        software_version=header["companion_values"]["softwareVersion"],
    )
    assert meter["tid_store"]["entries"] == len(state.tids)
    assert meter["credit_wh"] == state.account.balance
    return replace(state, powered_ns=header["clock"]["powered_s"] * S)


class Replay:
    """The meter's server and its driver on a virtual clock."""

    def __init__(self, header: dict[str, Any]) -> None:
        companion = _companion(header["companion_values"])
        bench = MeterBench(
            _state(header, companion),
            companion=companion,
            load=ConstantLoad((header["meter"]["load_w"],)),
            execution_ns=int(header["clock"]["execution_s"] * S),
        )
        for done in header["setup"]:
            status = bench.enter(done["token"])
            assert companion.token_entry.status.number(status) == done["result"]
        self.now_ns = bench.now_ns
        self.server = MeterServer(companion, bench.meter)
        self.sent: list[tuple[int, bytes]] = []
        self.turn()

    def turn(self) -> None:
        while (job := self.server.next_work()) is not None:
            job()
            self.server.work_done(None, self.now_ns)
        if chars := self.server.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns, chars))

    def run_until(self, end_ns: int) -> None:
        while (timer := self.server.next_timer()) is not None and timer <= end_ns:
            self.now_ns = max(timer, self.now_ns)
            self.server.handle_timer(self.now_ns)
            self.turn()
        self.now_ns = end_ns
        self.turn()

    def hear(self, message: bytes) -> None:
        # One by one: the server must not depend on how characters are grouped.
        for char in message:
            self.server.receive(bytes((char,)), self.now_ns)
            self.turn()


def _matches(got: bytes, line: dict[str, Any]) -> bool:
    """Compare an answer with its line, whose spans may hold other characters."""
    wanted = bytes.fromhex(line["hex"])
    spans = line.get("any", [])
    if not spans:
        return got == wanted
    if len(got) != len(wanted):
        return _matches_other_length(got, wanted, spans)
    free = {at for span in spans for at in range(span["at"], span["at"] + span["len"])}
    same = all(g == w for at, (g, w) in enumerate(zip(got, wanted, strict=True)) if at not in free)
    return same and _bcc_is_right(got)


def _matches_other_length(got: bytes, wanted: bytes, spans: list[dict[str, Any]]) -> bool:
    """Only a softwareVersion may have another length."""
    (text,) = [span for span in spans if span["what"].startswith("softwareVersion")]
    at, end = text["at"], text["at"] + text["len"]
    tail = wanted[end:-1]
    return got[:at] == wanted[:at] and got[:-1].endswith(tail) and _bcc_is_right(got)


def _bcc_is_right(message: bytes) -> bool:
    if message[:1] not in (b"\x01", b"\x02"):
        return True
    return reduce(lambda left, right: left ^ right, message[1:-1]) == message[-1]


def _replay(path: Path) -> None:
    header, *lines = map(json.loads, path.read_text().splitlines())
    replay = Replay(header)
    origin_ns = replay.now_ns
    # A client's line keeps its distance from the line before it, whoever said that one.
    said_ns, said_at = origin_ns, 0.0
    client = None
    for line in lines:
        if line["from"] == "client":
            replay.run_until(said_ns + round((line["t"] - said_at) * S))
            assert not replay.sent, f"sent at t={line['t']}, where silence is right: {replay.sent}"
            client = line
            said_ns, said_at = replay.now_ns, line["t"]
            if not line.get("lost"):
                replay.hear(bytes.fromhex(line["hex"]))
        elif line.get("silence"):
            assert not replay.sent
        else:
            heard_ns = replay.now_ns
            while not replay.sent:
                timer = replay.server.next_timer()
                assert timer is not None, f"no answer to {client}"
                assert timer <= heard_ns + LONGEST_REACTION_NS, f"no answer to {client}"
                replay.run_until(timer)
            (sent_ns, chars), *rest = replay.sent
            assert not rest
            replay.sent.clear()
            assert 200 * MS <= sent_ns - heard_ns <= LONGEST_REACTION_NS
            assert _matches(chars, line), f"{chars!r} is not {line['text']!r} ({line['note']})"
            said_ns, said_at = sent_ns, line["t"]
    replay.run_until(replay.now_ns + 3 * S)
    assert not replay.sent


@pytest.mark.parametrize("path", _transcripts())
def test_transcript(path: Path) -> None:
    _replay(path)


def test_a_wrong_character_would_be_noticed() -> None:
    right = "023030304228303033432a73290359"
    line = {"hex": right, "any": [{"at": 6, "len": 4, "what": "free"}, {"at": 14, "len": 1}]}
    assert _matches(bytes.fromhex(right), line)
    other = bytearray.fromhex(right)
    other[9] ^= 1  # within the span,
    assert not _matches(bytes(other), line)  # but the BCC does not follow
    other[14] ^= 1
    assert _matches(bytes(other), line)
    for at in (0, 1, 5, 10, 12, 13, 14):
        wrong = bytearray.fromhex(right)
        wrong[at] ^= 1
        assert not _matches(bytes(wrong), line)
