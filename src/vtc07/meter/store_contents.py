"""All that a store holds, row by row, and the proof that it is all and of one moment.

Each row carries an authenticator of its own. One more row, the check, authenticates the commit
number and a hash over the authenticators of all rows, and is written anew by every commit: a row
that was put back from an older time, taken away or added is good by itself, but not in this
company. The hash runs over what is in memory, in the order of the names, so it needs no cleverness
to be cheap (some 200 rows of 50 bytes), and a plain hash leaves nothing to prove about combining
authenticators.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from typing import Final, Self

from vtc07.meter.companion_source import CompanionSource
from vtc07.meter.encoding import Difference, Records, RecordsBroken
from vtc07.meter.store_key import SealBroken, StoreKey

_SECRET: Final = "secret"  # noqa: S105 - a kind of record, not a secret
_TOKEN: Final = "token"  # noqa: S105 - likewise
_EVENT: Final = "event"
_NUMBER_BYTES: Final = 8
_TYPES: Final = (str, str, bytes, bytes)
_length: Final = Struct(">I").pack

#: The kind of a record that is a fact of `vtc07.meter.encoding`.
FACT: Final = "fact"
#: The kind of a record that is one file of the companion; the names are 0, 1 and so on.
COMPANION: Final = "companion"
#: The name of the check.
CHECK: Final = ("check", "contents")

Name = tuple[str, str]
#: Kind, name, value as stored, authenticator.
Row = tuple[str, str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a store between two commits.

    ``rows``: all but the check, by name, as they are stored. ``secrets``: what the sealed ones
    hold, in clear. ``names`` and ``bound``: the names in order, and what the check says of each.
    ``number``: commits so far, the making of the store is the first.
    """

    rows: Mapping[Name, Row] = field(repr=False)
    secrets: Mapping[Name, bytes] = field(repr=False)
    names: list[Name] = field(repr=False)
    bound: list[bytes] = field(repr=False)
    number: int
    check: Row = field(repr=False)

    @classmethod
    def first(cls, clear: Mapping[Name, bytes], key: StoreKey) -> Self:
        """Return what a new store is to hold."""
        nothing = cls({}, {}, [], [], 0, _row(CHECK, b"", key))
        return nothing.followed_by(clear, key)[0]

    @classmethod
    def read(cls, stored: list[Row], key: StoreKey) -> Self:
        """Verify all that a store holds; SealBroken if anything was changed since a commit."""
        rows = {(row[0], row[1]): row for row in stored}
        check = rows.pop(CHECK, None)
        if check is None:
            raise SealBroken("no check")
        _verify(check, key)
        secrets = {}
        for name, row in rows.items():
            _verify(row, key)
            if name[0] == _SECRET:
                secrets[name] = key.unseal(row[2], " ".join(name))
        number = int.from_bytes(check[2][:_NUMBER_BYTES], "big")
        names = sorted(rows)
        bound = [_bound(rows[name]) for name in names]
        if check[2] != _check_value(number, bound):
            raise SealBroken("the records are not those of the last commit")
        return cls(rows, secrets, names, bound, number, check)

    @property
    def clear(self) -> dict[Name, bytes]:
        """All values by name, secrets in clear."""
        return {name: self.secrets.get(name, row[2]) for name, row in self.rows.items()}

    def followed_by(
        self, changed: Mapping[Name, bytes | None], key: StoreKey
    ) -> tuple[Self, list[Row], list[Name]]:
        """Return the contents after one commit more, the rows to put, and the names to delete.

        ``changed``: values in clear by name, None for those that are to go; what has the value
        that it had is left alone. The check is among the rows.
        """
        rows, secrets = dict(self.rows), dict(self.secrets)
        names, bound = list(self.names), list(self.bound)
        put, gone = [], []
        for name, value in changed.items():
            before = rows.get(name)
            if before is not None and value == self.secrets.get(name, before[2]):
                continue
            at = bisect_left(names, name)
            if value is None:
                if before is not None:
                    del rows[name], names[at], bound[at]
                    secrets.pop(name, None)
                    gone.append(name)
                continue
            row = _row(name, value, key)
            if before is None:
                names.insert(at, name)
                bound.insert(at, _bound(row))
            else:
                bound[at] = _bound(row)
            rows[name] = row
            if name[0] == _SECRET:
                secrets[name] = value
            put.append(row)
        number = self.number + 1
        check = _row(CHECK, _check_value(number, bound), key)
        return type(self)(rows, secrets, names, bound, number, check), [*put, check], gone

    def changes_since(self, other: Contents) -> tuple[list[Row], list[Name]]:
        """Return the rows to put, the check among them, and the names to delete."""
        put = [row for name, row in self.rows.items() if other.rows.get(name) is not row]
        return [*put, self.check], [name for name in other.rows if name not in self.rows]


def written_with(stored: list[Row], key: StoreKey) -> bool:
    """Whether any row at all was written with this key."""
    for row in stored:
        try:
            _verify(row, key)
        except SealBroken:
            continue
        return True
    return False


def named(records: Records, companion: CompanionSource) -> dict[Name, bytes]:
    """Give all that a store keeps about a meter its name."""
    values = {(FACT, name): text.encode() for name, text in records.facts.items()}
    values |= {(_SECRET, name): value for name, value in records.secrets.items()}
    values |= {(_TOKEN, str(number)): text.encode() for number, text in records.token_log.items()}
    values |= {(_EVENT, str(number)): text.encode() for number, text in records.event_log.items()}
    for place, (source, text) in enumerate(companion.files):
        values[COMPANION, str(place)] = f"{source}\n{text}".encode()
    return values


def named_changes(difference: Difference) -> dict[Name, bytes | None]:
    """Give all that changed of a meter the name that `named` gives it."""
    values: dict[Name, bytes | None] = {
        (FACT, name): text.encode() for name, text in difference.facts.items()
    }
    values |= {(_SECRET, name): value for name, value in difference.secrets.items()}
    for kind, log in ((_TOKEN, difference.token_log), (_EVENT, difference.event_log)):
        for number, text in log.items():
            values[kind, str(number)] = None if text is None else text.encode()
    return values


def unnamed(values: Mapping[Name, bytes]) -> tuple[Records, CompanionSource]:
    """Reverse `named`; RecordsBroken where that is not possible."""
    facts: dict[str, str] = {}
    secrets: dict[str, bytes] = {}
    logs: dict[str, dict[int, str]] = {_TOKEN: {}, _EVENT: {}}
    files: dict[int, bytes] = {}
    try:
        for (kind, name), value in values.items():
            if kind == FACT:
                facts[name] = value.decode()
            elif kind == _SECRET:
                secrets[name] = value
            elif kind in logs:
                logs[kind][int(name)] = value.decode()
            elif kind == COMPANION:
                files[int(name)] = value
            else:
                raise RecordsBroken("it holds a record of an unknown kind")
    except ValueError as error:
        # The cause may hold a value: it is left out.
        what = str(error) if isinstance(error, RecordsBroken) else "a record cannot be read"
        raise RecordsBroken(what) from None
    if sorted(files) != list(range(len(files))):
        raise RecordsBroken("it holds no whole companion")
    companion = companion_of([files[place] for place in sorted(files)])
    return Records(facts, secrets, logs[_TOKEN], logs[_EVENT]), companion


def companion_of(files: list[bytes]) -> CompanionSource:
    """Return the companion that these records hold, in order; RecordsBroken if there is none."""
    try:
        parted = [file.decode().partition("\n") for file in files]
    except UnicodeDecodeError:
        parted = []
    if not parted:
        raise RecordsBroken("it holds no whole companion")
    return CompanionSource(tuple((source, text) for source, _, text in parted))


def authentic(row: Row, key: StoreKey) -> bytes:
    """Return the value of a row as it is stored; SealBroken unless it was written with this key."""
    _verify(row, key)
    return row[2]


def _row(name: Name, value: bytes, key: StoreKey) -> Row:
    bound = " ".join(name)
    if name[0] == _SECRET:
        value = key.seal(value, bound)
    return *name, value, key.authenticator(value, bound)


def _verify(row: Row, key: StoreKey) -> None:
    kind, name, value, authenticator = row
    if tuple(map(type, row)) != _TYPES:  # a column may hold anything
        raise SealBroken("not a record")
    key.verify(value, f"{kind} {name}", authenticator)


def _bound(row: Row) -> bytes:
    """Return what the check says of a row: kind, name, authenticator, each with its length."""
    kind, name, authenticator = row[0].encode(), row[1].encode(), row[3]
    return (
        _length(len(kind)) + kind + _length(len(name)) + name
        + _length(len(authenticator)) + authenticator
    )  # fmt: skip


def _check_value(number: int, bound: list[bytes]) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big") + sha256(b"".join(bound)).digest()
