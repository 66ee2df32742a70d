"""A receipt as it is typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vtc07.hhu.diagnosis.facts import Receipt
from vtc07.screens.receipt_entry import FIELDS, ReceiptError, receipt_of


def test_nothing_typed_is_nothing_given() -> None:
    assert receipt_of({}, UTC) == Receipt()
    assert receipt_of({name: "  " for name, _ in FIELDS}, UTC) == Receipt()


def test_every_field_is_taken() -> None:
    found = receipt_of(
        {
            "token": "1234 5678 9012 3456 7890",
            "meter": "6007 2700 0000 0000 09",
            "sgc": "123456",
            "ti": "7",
            "krn": "2",
            "kt": "2",
            "issued": "2026-03-01 12:30",
        },
        UTC,
    )
    assert found == Receipt(
        meter="600727000000000009",
        sgc="123456",
        krn=2,
        kt=2,
        ti="07",
        issued=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        token="1234 5678 9012 3456 7890",
    )
    assert found.token is not None
    assert found.token not in repr(found)


def test_a_time_without_zone_is_of_this_machine() -> None:
    issued = receipt_of({"issued": "2026-03-01T12:30"}, None).issued
    assert issued == datetime(2026, 3, 1, 12, 30).astimezone()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("token", "1234"),
        ("meter", "600727000000000008"),
        ("meter", "12"),
        ("sgc", "12345"),
        ("ti", "100"),
        ("krn", "0"),
        ("krn", "x"),
        ("krn", "1" * 5000),
        ("kt", "4"),
        ("issued", "yesterday"),
    ],
)
def test_a_field_that_cannot_be_is_named(field: str, text: str) -> None:
    with pytest.raises(ReceiptError) as raised:
        receipt_of({"sgc": "123456", field: text}, UTC)
    assert raised.value.field == field
    assert len(str(raised.value)) < 300
