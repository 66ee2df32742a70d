"""No key is ever shown: not in a register, a log, a repr, an error, or the bytes of a store."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_meter import ATTRIBUTES, KEYS, MeterBench, credit, new_meter

from vtc07.meter import (
    Changes,
    CompanionSource,
    MeterServer,
    MeterState,
    SQLiteStore,
    StoreError,
    StoreKey,
)
from vtc07.meter.encoding import encode
from vtc07.tokens import EA, DecoderKey, StaTables, key_change_sections

STORE_KEY = bytes(range(150, 182))
NEW = {
    EA.MISTY1: bytes.fromhex("d1c2b3a4958677685a4b3c2d1e0ff1e2"),
    EA.STA: bytes.fromhex("d1c2b3a495867768"),
}
TABLES = StaTables(
    tuple((3 * n + 5) % 16 for n in range(16)),
    tuple((7 * n + 2) % 16 for n in range(16)),
    tuple((5 * n + 11) % 64 for n in range(64)),
)


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield the shapes in which bytes may slip out, whole and by words of 32 bits."""
    words = [secret[at : at + 4] for at in range(0, len(secret), 4)]
    for piece in (secret, *words):
        yield from (piece, piece.hex().encode(), piece.hex().upper().encode())
        yield str(int.from_bytes(piece, "big")).encode()
        yield repr(piece)[2:-1].encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield ", ".join(map(str, secret)).encode()
    yield ",".join(map(str, secret)).encode()


def secrets_of(ea: EA) -> list[bytes]:
    found = [form for key in (KEYS[ea], NEW[ea], STORE_KEY) for form in forms(key)]
    if ea is EA.STA:
        for table in (TABLES.sub1, TABLES.sub2, TABLES.perm):
            found.append(bytes(table))
            found.append(",".join(map(str, table)).encode())
            found.append(", ".join(map(str, table)).encode())
    return found


def require_clean(shown: bytes | str, ea: EA, where: str) -> None:
    content = shown if isinstance(shown, bytes) else shown.encode()
    for secret in secrets_of(ea):
        assert secret not in content, f"a secret stands in {where}"


def everything_shown(bench: MeterBench) -> str:
    """Return all that a meter shows: registers, logs, and the repr of all its parts."""
    names = [register.name for register in bench.companion.table if register.read_level is not None]
    parts = [str(bench.read(name)) for name in names]
    state = bench.meter.state
    server = MeterServer(bench.companion, bench.meter)
    things: list[object] = [bench.meter, server, bench.store, *bench.events]
    things += [getattr(state, name) for name in MeterState.__dataclass_fields__]
    things += [*vars(bench.meter).values(), state, Changes(state, state), encode(state)]
    parts += [f"{thing!r} {thing!s}" for thing in things]
    return "\n".join(parts)


@pytest.mark.parametrize("ea", [EA.MISTY1, EA.STA])
def test_no_key_is_ever_shown(tmp_path: Path, ea: EA) -> None:
    path = tmp_path / "meter"
    state = new_meter(ea=ea)
    if ea is EA.STA:
        key = DecoderKey(ea, state.key.material, TABLES)
        state = MeterState(state.nameplate, key, state.attributes, state.tids)
    store_key = StoreKey(STORE_KEY)
    require_clean(repr(store_key), ea, "the store key's repr")
    store = SQLiteStore.create(path, state, CompanionSource.of("electricity"), store_key)
    bench = MeterBench(store=store)
    new = DecoderKey(ea, NEW[ea], TABLES)
    sections = key_change_sections(new, ATTRIBUTES, ro=False, three_kct=ea is EA.STA)
    for count, section in enumerate(sections, 1):
        assert bench.enter(section).taken
        require_clean(everything_shown(bench), ea, f"a meter with {count} sections")
        for file in tmp_path.iterdir():
            require_clean(file.read_bytes(), ea, f"{file.name} with {count} sections")
    assert bench.meter.state.key == new
    bench.enter(credit(1, 5))
    bench.enter("00000000000000000000")
    require_clean(everything_shown(bench), ea, "a meter under its new key")
    bench.meter.power_off(bench.now_ns)
    bench.work()
    store.close()
    for file in tmp_path.iterdir():
        require_clean(file.read_bytes(), ea, file.name)

    content = path.read_bytes()
    errors = []
    for wrong, length in ((bytes(32), len(content)), (STORE_KEY, len(content) - 4096)):
        path.write_bytes(content[:length])
        with pytest.raises(StoreError) as raised:
            SQLiteStore.open(path, StoreKey(wrong))
        errors.append("".join(traceback.format_exception(raised.value)))
    require_clean("\n".join(errors), ea, "an error and its causes")


def test_the_search_would_find_a_key() -> None:
    """The search above is worth something: it finds each shape of a key that is shown."""
    for shown in (
        KEYS[EA.MISTY1],
        f"key={KEYS[EA.MISTY1].hex()}",
        f"{KEYS[EA.MISTY1]!r}",
        f"nkho={int.from_bytes(NEW[EA.MISTY1][4:8], 'big')}",
        base64.b64encode(b"" + NEW[EA.MISTY1]),
        list(KEYS[EA.MISTY1]).__repr__(),
    ):
        with pytest.raises(AssertionError, match="a secret stands"):
            require_clean(shown, EA.MISTY1, "here")
