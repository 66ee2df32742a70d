"""All that a store holds, row by row, and the proof that it is all and of one moment.

Each row carries an authenticator of its own. One more row, the check, authenticates the commit
number and a hash over the authenticators of all rows, and is written anew by every commit: a row
that was put back from an older time, taken away or added is good by itself, but not in this
company. The hash runs over what is in memory (some 200 rows, 16 bytes each), so it needs no
cleverness to be cheap, and a plain hash leaves nothing to prove about combining authenticators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self

from vtc07.meter.companion_source import CompanionSource
from vtc07.meter.encoding import Records, RecordsBroken
from vtc07.meter.store_key import SealBroken, StoreKey

_FACT: Final = "fact"
_SECRET: Final = "secret"  # noqa: S105 - a kind of record, not a secret
_TOKEN: Final = "token"  # noqa: S105 - likewise
_EVENT: Final = "event"
_COMPANION: Final = "companion"
_NUMBER_BYTES: Final = 8

#: The name of the check.
CHECK: Final = ("check", "contents")

Name = tuple[str, str]
#: Kind, name, value as stored, authenticator.
Row = tuple[str, str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a store between two commits.

    ``clear``: values by name, secrets in clear. ``rows``: the same as they are stored, without
    the check. ``number``: commits so far, the making of the store is the first.
    """

    clear: Mapping[Name, bytes] = field(repr=False)
    rows: Mapping[Name, Row] = field(repr=False)
    number: int
    check: Row = field(repr=False)

    @classmethod
    def first(cls, clear: Mapping[Name, bytes], key: StoreKey) -> Self:
        """Return what a new store is to hold."""
        return cls._of(
            clear, {name: _row(name, value, key) for name, value in clear.items()}, 1, key
        )

    @classmethod
    def read(cls, stored: list[Row], key: StoreKey) -> Self:
        """Verify all that a store holds; SealBroken if anything was changed since a commit."""
        rows = {(row[0], row[1]): row for row in stored}
        check = rows.pop(CHECK, None)
        if check is None:
            raise SealBroken("no check")
        _verify(check, key)
        clear = {}
        for name, row in rows.items():
            _verify(row, key)
            clear[name] = key.unseal(row[2], " ".join(name)) if name[0] == _SECRET else row[2]
        number = int.from_bytes(check[2][:_NUMBER_BYTES], "big")
        if check[2] != _check_value(number, rows):
            raise SealBroken("the records are not those of the last commit")
        return cls(clear, rows, number, check)

    def followed_by(self, clear: Mapping[Name, bytes], key: StoreKey) -> Self:
        """Return the contents after one commit more; rows that stay are the same objects."""
        rows = {
            name: self.rows[name] if self.clear.get(name) == value else _row(name, value, key)
            for name, value in clear.items()
        }
        return self._of(clear, rows, self.number + 1, key)

    def changes_since(self, before: Contents) -> tuple[list[Row], list[Name]]:
        """Return the rows to put, the check among them, and the names to delete."""
        put = [row for name, row in self.rows.items() if before.rows.get(name) is not row]
        return [*put, self.check], [name for name in before.rows if name not in self.rows]

    @classmethod
    def _of(
        cls, clear: Mapping[Name, bytes], rows: Mapping[Name, Row], number: int, key: StoreKey
    ) -> Self:
        return cls(clear, rows, number, _row(CHECK, _check_value(number, rows), key))


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
    values = {(_FACT, name): text.encode() for name, text in records.facts.items()}
    values |= {(_SECRET, name): value for name, value in records.secrets.items()}
    values |= {(_TOKEN, str(number)): text.encode() for number, text in records.token_log.items()}
    values |= {(_EVENT, str(number)): text.encode() for number, text in records.event_log.items()}
    for place, (source, text) in enumerate(companion.files):
        values[_COMPANION, str(place)] = f"{source}\n{text}".encode()
    return values


def unnamed(values: Mapping[Name, bytes]) -> tuple[Records, CompanionSource]:
    """Reverse `named`; RecordsBroken where that is not possible."""
    facts: dict[str, str] = {}
    secrets: dict[str, bytes] = {}
    logs: dict[str, dict[int, str]] = {_TOKEN: {}, _EVENT: {}}
    files: dict[int, tuple[str, str]] = {}
    try:
        for (kind, name), value in values.items():
            if kind == _FACT:
                facts[name] = value.decode()
            elif kind == _SECRET:
                secrets[name] = value
            elif kind in logs:
                logs[kind][int(name)] = value.decode()
            elif kind == _COMPANION:
                source, _, text = value.decode().partition("\n")
                files[int(name)] = (source, text)
            else:
                raise RecordsBroken("it holds a record of an unknown kind")
    except ValueError as error:
        # The cause may hold a value: it is left out.
        what = str(error) if isinstance(error, RecordsBroken) else "a record cannot be read"
        raise RecordsBroken(what) from None
    if not files or sorted(files) != list(range(len(files))):
        raise RecordsBroken("it holds no whole companion")
    companion = CompanionSource(tuple(files[place] for place in sorted(files)))
    return Records(facts, secrets, logs[_TOKEN], logs[_EVENT]), companion


def _row(name: Name, value: bytes, key: StoreKey) -> Row:
    bound = " ".join(name)
    if name[0] == _SECRET:
        value = key.seal(value, bound)
    return *name, value, key.authenticator(value, bound)


def _verify(row: Row, key: StoreKey) -> None:
    kind, name, value, authenticator = row
    if list(map(type, row)) != [str, str, bytes, bytes]:  # a column may hold anything
        raise SealBroken("not a record")
    key.verify(value, f"{kind} {name}", authenticator)


def _check_value(number: int, rows: Mapping[Name, Row]) -> bytes:
    parts = [part for name in sorted(rows) for part in (*map(str.encode, name), rows[name][3])]
    whole = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return number.to_bytes(_NUMBER_BYTES, "big") + sha256(whole).digest()
