"""What all issuing has in common: the key, the time, the refusals, the printing of a token.

IEC 62055-41 leaves it to the point of sale to refuse what the meter would (an expired key, credit
under a default key); a token that cannot be accepted is not issued here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from vtc07.cli import describe, parameters
from vtc07.cli.failure import Failure
from vtc07.cli.keys import ChosenKey, KeyOptions, choose, key_options
from vtc07.cli.output import Output, json_option
from vtc07.tokens import KT, RND, TID, Token, TokenData, decode, encode


@dataclass(frozen=True, slots=True)
class Issuing:
    """One token about to be issued: its key, TID and RND."""

    output: Output
    chosen: ChosenKey
    tid: TID
    rnd: int

    def token(self, token: Token) -> None:
        """Encode the token and print it."""
        issue_token(token, self.chosen, self.output)


def issuing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a key and of the time; they arrive as ``options``."""

    @click.option(
        "--at",
        type=parameters.INSTANT,
        help="Time of issue, ISO 8601, UTC where no zone is given; by default now.",
    )
    @click.option(
        "--rnd",
        type=parameters.RANDOM,
        help="The 4 random bits, 0 to 15; by default from the clock's milliseconds.",
    )
    @click.option(
        "--taken",
        type=parameters.TAKEN,
        multiple=True,
        help="TID given to this meter before, not to be given again; may be repeated.",
    )
    def with_time(
        *args: Any, at: Any, rnd: Any, taken: Any, key_options: Any, **kwargs: Any
    ) -> Any:
        return function(*args, options=IssuingOptions(key_options, at, rnd, taken), **kwargs)

    with_time.__name__ = function.__name__
    with_time.__doc__ = function.__doc__
    parameters_of_function = getattr(function, "__click_params__", [])
    with_time.__click_params__ = [*parameters_of_function, *with_time.__click_params__]  # type: ignore[attr-defined]
    return json_option(key_options(with_time))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class IssuingOptions:
    """The options of issuing as given."""

    key: KeyOptions
    at: datetime | None
    rnd: RND | None
    taken: tuple[TID, ...]

    def begin(self, output: Output, *, gives_credit: bool = False) -> Issuing:
        """Choose key, TID and RND; Failure where the key may not carry such a token."""
        chosen = choose(self.key, output)
        attributes = chosen.attributes
        if gives_credit and attributes.kt is KT.DDTK:
            raise Failure(
                "no credit may be issued under a DDTK (KT 1): change the meter to a DUTK with "
                "token keychange first"
            )
        at = self.at or datetime.now(UTC)
        tid = TID.of(at, attributes.base_date).next_free(self.taken)
        if attributes.ken.expired_for(tid):
            raise Failure(
                f"the key has expired: KEN {attributes.ken} allows no TID of "
                f"{tid.issued_at(attributes.base_date):%Y-%m-%d %H:%M} UTC; change the meter to a "
                "key with a higher KEN"
            )
        rnd = time.time_ns() // 1_000_000 & 15 if self.rnd is None else int(self.rnd)
        return Issuing(output, chosen, tid, rnd)


def issue_token(token: Token, chosen: ChosenKey | None, output: Output) -> None:
    """Encode a token and print it: digits to stdout, meaning to stderr, or both as JSON."""
    key = None if chosen is None else chosen.key
    data = encode(token, key)
    base_date = None if chosen is None else chosen.attributes.base_date
    document = token_document(data, describe.describe(decode(data, key), base_date, key))
    if chosen is not None:
        document["key"] = key_document(chosen)
    if output.as_json:
        output.document(document)
        return
    meaning = {k: v for k, v in document.items() if k not in ("token", "grouped", "key")}
    output.progress(describe.sentence(meaning))
    output.line(data.grouped)


def token_document(data: TokenData, meaning: dict[str, Any]) -> dict[str, Any]:
    """Return a token with its meaning."""
    return {"token": data.digits, "grouped": data.grouped, **meaning}


def key_document(chosen: ChosenKey) -> dict[str, Any]:
    """Return what may be told of a key."""
    attributes = chosen.attributes
    document: dict[str, Any] = {
        "ea": chosen.key.ea.code,
        "kt": int(attributes.kt),
        "ken": int(attributes.ken),
        "base_date": attributes.base_date.code,
    }
    if chosen.sgc_known:
        document["sgc"] = str(attributes.sgc)
    if chosen.vending_key is not None:
        document |= {
            "dkga": f"{int(chosen.vending_key.dkga):02d}",
            "ti": str(attributes.ti),
            "krn": int(attributes.krn),
            "test_key": chosen.test_key,
        }
    if chosen.meter_pan is not None:
        document["meter_pan"] = str(chosen.meter_pan)
    return document
