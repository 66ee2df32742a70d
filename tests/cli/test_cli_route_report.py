"""``vtc07 route report``: of routes that were run, to the terminal and to files."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from cli_bench import PROGRAM, contents, credit, done, here, new_meter, one_sentence, vtc07

from vtc07.cli.report_files import report_file
from vtc07.cli.route_report import report as command
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.lines import HEADER, entry_line
from vtc07.hhu.report.csv import COLUMNS

__all__ = ["here"]

JOURNAL = "day.journal"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def pan_of(store: str) -> str:
    return str(done("identify", f"sim:{store}", "--json", "--no-journal").json["meter_pan"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A route of two meters, one of which was worked at, made once, and the token it was given."""
    folder = tmp_path_factory.mktemp("worked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for place in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            patch.setenv(place, str(folder / place))
        new_meter()
        digits = credit("5.0", "--test-key")
        with Path("monday.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["meter", "place", "deliver", "read", "notes"])
            writer.writerow([pan_of("m.meter"), "São João 1", digits, "creditBalance", "=1+1"])
            writer.writerow(["600727111111111153", "Elsewhere", "", "creditBalance", "<script>"])
        done("route", "run", "monday.csv", "sim:m.meter", "--journal", JOURNAL)
    return folder, digits


@pytest.fixture
def token(here: Path, made: tuple[Path, str]) -> str:
    """The same for a test of its own; returns the token."""
    folder, digits = made
    shutil.copytree(folder, here, dirs_exist_ok=True)
    return digits


def report(*options: str, code: int = 0) -> Any:
    result = vtc07("route", "report", "monday.csv", "--journal", JOURNAL, *options)
    assert result.code == code, result.everything
    return result


@pytest.mark.usefixtures("token")
def test_the_summary_comes_to_the_terminal() -> None:
    shown = report()
    lines = shown.out.splitlines()
    assert lines[0].startswith("monday: 1 of 2 meters done; ")
    assert ["done", "1", "50", "%"] in [line.split() for line in lines]
    assert ["tokens", "1", "0", "0", "0"] in [line.split() for line in lines]
    expected = lines[-1].split("--expect ")[1]
    done("hhu", "verify", "--journal", JOURNAL, "--expect", expected)
    assert shown.err == ""


@pytest.mark.usefixtures("token")
def test_three_files_tell_the_same(here: Path) -> None:
    shown = report("--csv", "r.csv", "--json", "r.json", "--html", "r.html")
    assert shown.out.startswith("monday: 1 of 2 meters done")
    assert shown.err.splitlines() == [
        "note: r.csv was written", "note: r.json was written", "note: r.html was written"
    ]  # fmt: skip
    raw = (here / "r.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")  # for spreadsheets, which take it for another encoding
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    document = json.loads((here / "r.json").read_text(encoding="utf-8"))
    page = (here / "r.html").read_text(encoding="utf-8")
    assert [row["place"] for row in rows] == ["São João 1", "São João 1", "Elsewhere"]
    assert rows[0]["notes"] == "'=1+1"
    assert document["summary"]["stops"]["done"] == 1
    assert document["stops"][0]["place"] == "São João 1"
    assert "São João 1" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    digest = document["journal"]["digest"]
    assert f"vtc07 hhu verify --expect {digest}" in page
    for name in ("r.csv", "r.json", "r.html"):
        assert stat.S_IMODE((here / name).stat().st_mode) == 0o600


def test_masked_no_file_holds_the_token(here: Path, token: str) -> None:
    report("--csv", "r.csv", "--json", "r.json", "--html", "r.html", "--mask")
    grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    for name in ("r.csv", "r.json", "r.html"):
        text = (here / name).read_text(encoding="utf-8")
        assert token not in text
        assert grouped not in text
        assert f"#### #### #### #### {token[-4:]}".replace(" ", "") in text.replace(" ", "")
    report("--html", "r.html")
    assert grouped in (here / "r.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("token")
def test_json_on_stdout_wherever_the_option_stands() -> None:
    behind = report("--json").json
    before = done("route", "report", "--journal", JOURNAL, "--json", "monday.csv").json
    del behind["made"], before["made"]
    assert before == behind
    assert behind["stops"][0]["tasks"][0]["result"] == "done"
    assert report("--json", "-").json["route"]["name"] == "monday"


@pytest.mark.usefixtures("token")
def test_a_table_or_a_page_on_stdout_is_alone_there() -> None:
    table = report("--csv", "-").out
    assert table.startswith("route,line,meter,")
    assert len(list(csv.reader(io.StringIO(table, newline="")))) == 4
    page = report("--html", "-").out
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")


@pytest.mark.usefixtures("token")
def test_a_period(here: Path) -> None:
    today = datetime.now().astimezone().date().isoformat()
    whole = report("--json").json
    assert report("--day", "2001-02-03", "--json").json["stops"] == []
    for options in (["--from", "2001-01-01"], ["--from", today, "--to", "2999-01-01"]):
        found = report(*options, "--json").json
        assert [stop["line"] for stop in found["stops"]] == [2]
        assert found["summary"]["tasks"] == whole["summary"]["tasks"]
    before = report("--to", "2001-01-01T10:00+00:00", "--json").json
    assert before["summary"]["stops"]["not visited"] == 2
    assert datetime.fromisoformat(before["to"]) == datetime(2001, 1, 1, 10, tzinfo=UTC)
    assert "period: 2001-02-03" in report("--day", "2001-02-03").out


@pytest.mark.usefixtures("token")
def test_a_page_in_a_language_of_ones_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalog("sw")
    catalogue.add("Summary", "Muhtasari")
    catalogue.add("Route report: {route}", "Ripoti ya njia: {route}")
    (here / "own").mkdir()
    with (here / "own" / "sw.mo").open("wb") as file:
        write_mo(file, catalogue)
    monkeypatch.setenv("VTC07_CATALOGUES", "own")
    english = report("--html", "r.html").out
    assert '<html lang="en">' in (here / "r.html").read_text(encoding="utf-8")
    assert report("--html", "r.html", "--language", "sw").out == english
    page = (here / "r.html").read_text(encoding="utf-8")
    assert '<html lang="sw">' in page
    assert "<h2>Muhtasari</h2>" in page
    assert "<title>Ripoti ya njia: monday</title>" in page
    monkeypatch.setenv("LANG", "sw_KE.UTF-8")
    report("--html", "r.html")
    assert "<h2>Muhtasari</h2>" in (here / "r.html").read_text(encoding="utf-8")
    monkeypatch.setenv("VTC07_CATALOGUES", "nowhere")
    assert "nowhere, which is no folder" in one_sentence(report("--html", "-", code=2).err)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--day", "2001-02-03", "--to", "2001-02-04"], "--day is a whole day"),
        (["--from", "2001-02-04", "--to", "2001-02-03"], "--from is not before --to"),
        (["--csv", "x", "--html", "x"], "two reports would be written to x"),
        (["--csv", "-", "--json"], "two reports would be written to stdout"),
        (["--csv", "monday.csv"], "monday.csv is what the report is made of"),
        (["--html", "./day.journal"], "./day.journal is what the report is made of"),
        (["--html", "m.meter"], "m.meter exists and is no report of this kind"),
        (["--html", "r.csv"], "r.csv exists and is no report of this kind"),
        (["--csv", "."], ". is not a file"),
        (["--csv", "nowhere/r.csv"], "there is no folder"),
        (["--language", "xx"], "there are no texts in language 'xx'"),
        (["--from", "yesterday"], "'yesterday' is no time"),
    ],
)
@pytest.mark.usefixtures("token")
def test_what_is_wrong_is_said_and_no_file_is_touched(
    here: Path, options: list[str], sentence: str
) -> None:
    report("--csv", "r.csv")
    before = contents(here)
    result = report(*options, code=2)
    lines = result.err.splitlines()
    said = json.loads(lines[-1])["error"] if "--json" in options else one_sentence(result.err)
    assert sentence in said
    assert result.out == ""
    assert contents(here) == before


def test_without_a_route_it_says_what_is_missing(here: Path) -> None:
    result = vtc07("route", "report")
    assert (result.code, result.out) == (2, "")
    assert "Missing argument 'ROUTE'" in result.err


@pytest.mark.usefixtures("token")
def test_without_a_journal_there_is_nothing_to_tell(here: Path) -> None:
    result = vtc07("route", "report", "monday.csv", "--journal", "none.journal")
    assert result.code == 2
    assert "none.journal" in one_sentence(result.err)
    assert not (here / "none.journal").exists()


def _half_a_page() -> None:
    with report_file("r.html", marks="vtc07") as file:
        file.write("half a page")
        raise OSError("the disk is full")


@pytest.mark.usefixtures("token")
def test_an_earlier_report_is_replaced_whole_or_not_at_all(here: Path) -> None:
    report("--html", "r.html")
    first = (here / "r.html").read_text(encoding="utf-8")
    report("--html", "r.html", "--mask")
    second = (here / "r.html").read_text(encoding="utf-8")
    assert first != second
    with pytest.raises(OSError, match="full"):
        _half_a_page()
    assert (here / "r.html").read_text(encoding="utf-8") == second
    assert [path.name for path in here.glob(".r.html*")] == []


def test_the_journal_may_be_in_use_and_what_comes_meanwhile_is_left_out(
    here: Path, token: str
) -> None:
    with FileJournal(Path(JOURNAL)) as journal:
        end = journal.head()
        first = report("--json").json
        journal.record(NewEntry(EntryKind.NOTE, datetime.now(UTC), {"note": token[:4]}))
        second = report("--json").json
    assert first["journal"] == {
        "name": JOURNAL, "entry": end.number, "digest": end.digest.hex()
    }  # fmt: skip
    assert second["journal"]["entry"] == end.number + 1


@pytest.mark.usefixtures("token")
def test_what_a_terminal_would_obey_is_not_sent_to_it(here: Path) -> None:
    Path("monday.csv").rename("mon\x1b[31mday.csv")
    result = vtc07("route", "report", "mon\x1b[31mday.csv", "--journal", JOURNAL)
    assert result.code == 0
    assert "\x1b" not in result.out


def test_a_journal_of_version_1_is_told_without_a_digest_to_check_by(
    here: Path, token: str
) -> None:
    at = {"delivery": 1, "time": "2026-03-01T12:30:00+00:00"}
    opened = {"entry": "opened", **at, "meterPAN": pan_of("m.meter"), "token": token, "s0": None}
    written = {"entry": "write", **at, "number": 1}
    ended = {"entry": "result", **at, "meaning": "done", "result": "delivered: Accept"}
    old = HEADER + b"".join(entry_line(entry) for entry in (opened, written, ended))
    Path("old.journal").write_bytes(old)
    shown = vtc07("route", "report", "monday.csv", "--journal", "old.journal", "--html", "r.html")
    assert shown.code == 0, shown.err
    assert "--expect" not in shown.out + (here / "r.html").read_text(encoding="utf-8")
    found = vtc07("route", "report", "monday.csv", "--journal", "old.journal", "--json").json
    assert found["journal"] == {"name": "old.journal", "entry": 0, "digest": ""}
    assert found["stops"][0]["tasks"][0]["result"] == "done"
    assert Path("old.journal").read_bytes() == old


@pytest.mark.usefixtures("token")
def test_a_page_on_stdout_is_utf_8_whatever_the_system_is(here: Path) -> None:
    command = [*PROGRAM, "route", "report", "monday.csv", "--journal", JOURNAL, "--html", "-"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    page = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert "São João 1" in page.decode("utf-8")
    assert "✓" in page.decode("utf-8")


def test_a_reader_that_goes_away_ends_nothing_with_a_traceback(here: Path, token: str) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "route", "report", "monday.csv", "--journal", JOURNAL, "--html", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdout, process.stderr:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, "Traceback" in err) == (0, False)
    assert token not in err


def test_the_page_about_routes_names_every_column_and_every_option() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "routes.md"
    reports = page.read_text(encoding="utf-8").split("## Reports\n")[1]
    options, columns = reports.split("### Columns of the table\n")
    named = [
        name
        for line in columns.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([a-z_]+)`", line.split("|")[1])
    ]
    assert sorted(named) == sorted(COLUMNS)
    for parameter in command.params:
        for name in parameter.opts:
            assert not name.startswith("--") or f"`{name}" in options
