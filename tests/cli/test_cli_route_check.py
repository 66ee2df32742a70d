"""`vtc07 route check` as people and programs meet it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_bench import PAN, done, vtc07

TOKEN = "56493153725450313471"
OTHER = "600727000000000009"
GOOD = f"meter,place,deliver,read\n{PAN},A,{TOKEN},creditBalance\n{OTHER},B,,KRN\n"
BAD = f"meter,place,deliver,read\n{PAN},A,{TOKEN[:-1]},\n6.00727E+17,B,,creditBalnce\n{PAN},,,\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_good_route_is_told_by_its_counts() -> None:
    Path("monday.csv").write_text(GOOD)
    ended = done("route", "check", "monday.csv", "--companion", "electricity")
    assert ended.out == "2 stops, 2 meters, 1 token, 0 key changes, 0 errors, 0 warnings\n"
    assert ended.err == ""


def test_everything_wrong_is_told_with_its_line_and_what_to_do() -> None:
    Path("monday.csv").write_text(BAD)
    ended = vtc07("route", "check", "monday.csv")
    assert ended.code == 2
    lines = ended.out.splitlines()
    assert [line.split(": ")[:2] for line in lines if not line.startswith("    ")][:-1] == [
        ["line 2", "error"],
        ["line 3", "error"],
        ["line 3", "warning"],
        ["line 4", "warning"],
        ["line 4", "warning"],
    ]
    assert "token 1 has 19 digits, and a token has 20" in ended.out
    assert "import the column as text" in ended.out
    assert "did you mean creditBalance" in ended.out
    assert TOKEN[:-1] not in ended.out
    assert lines[-1].endswith("2 errors, 3 warnings")
    assert ended.err.startswith("error: monday.csv has 2 errors: mend them before the day begins")


def test_warnings_alone_end_well() -> None:
    Path("monday.csv").write_text(f"meter,read\n{PAN},creditBalnce\n")
    assert "1 warning" in done("route", "check", "monday.csv").out
    ended = vtc07("route", "check", "monday.csv", "--companion", "electricity")
    assert ended.code == 2
    assert "1 error, 0 warnings" in ended.out


def test_json_has_everything_for_programs() -> None:
    Path("monday.csv").write_text(BAD)
    ended = vtc07("route", "check", "monday.csv", "--json")
    assert ended.code == 2
    document = ended.json
    assert document["route"] == "monday"
    assert document["format"] == "csv"
    assert (document["stops"], document["errors"], document["warnings"]) == (3, 2, 3)
    assert len(document["digest"]) == 64
    first = document["findings"][0]
    assert first["line"] == 2
    assert (first["severity"], first["kind"]) == ("error", "token-length")
    assert set(first) == {"line", "severity", "kind", "what", "advice"}
    assert ended.error["exit_code"] == 2


def test_a_spoiled_column_is_shown_in_part() -> None:
    lines = "".join(f"{PAN[:-1]}{n % 10},KRN\n" for n in range(100))
    Path("monday.csv").write_text(f"meter,read\n{lines}")
    ended = vtc07("route", "check", "monday.csv")
    assert ended.code == 2
    assert ended.out.count("error: the check digits of meter") == 20
    assert "70 more findings of the kind meter-check-digit; --all shows every one" in ended.err
    everything = vtc07("route", "check", "monday.csv", "--all")
    assert everything.out.count("error: the check digits of meter") == 90
    assert len(vtc07("route", "check", "monday.csv", "--json").json["findings"]) == 99


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.csv",), "none.csv cannot be used: No such file or directory"),
        (("monday.csv", "--companion", "steam"), "steam"),
        ((".",), "1 error"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_sentence(
    arguments: tuple[str, ...], said: str
) -> None:
    Path("monday.csv").write_text(GOOD)
    ended = vtc07("route", "check", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_file_that_is_no_route_says_what_it_is() -> None:
    Path("monday.xlsx").write_bytes(b"PK\x03\x04\x14\x00")
    ended = vtc07("route", "check", "monday.xlsx")
    assert ended.code == 2
    assert "the file: error: it is a spreadsheet program's own file, no route" in ended.out
    assert "save it as 'CSV UTF-8'" in ended.out


def test_a_json_route_is_told_by_its_stops() -> None:
    Path("monday.json").write_text('{"stops": [{"meter": "1", "read": ["KRN"]}]}')
    ended = vtc07("route", "check", "monday.json")
    assert ended.out.startswith("stop 1: error: meter 1 has 1 digit")
    document = vtc07("route", "check", "monday.json", "--json").json
    assert document["findings"][0]["stop"] == 1
