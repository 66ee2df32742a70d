"""The program as a whole: help, versions, streams, exit codes, a fast start, serial ports."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_bench import FAST, PROGRAM, credit, done, here, new_meter, one_sentence, start, vtc07

import needs
from vtc07 import __version__
from vtc07.cli.failure import EXIT_CODES, ExitCode, judge
from vtc07.cli.lazy import LazyGroup
from vtc07.cli.main import main

__all__ = ["here"]


def _commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)


ALL = dict(_commands(main))


def test_every_command_is_there() -> None:
    names = {" ".join(path) for path in ALL}
    kinds = (
        "credit", "currency", "meter-test", "extended-read", "power-limit",
        "phase-unbalance-limit", "clear-credit", "clear-tamper", "tariff-rate", "water-factor",
        "extended",
    )  # fmt: skip
    assert names >= {
        "demo", "identify", "read", "write", "send", "token issue", "token keychange",
        "token decode", "meter new", "meter serve", "meter show", "meter enter", "companion list",
        "companion show", "companion check", *(f"token issue {kind}" for kind in kinds),
    }  # fmt: skip


CLI_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [("simulate",), ("meter", "serve"), ("meter", "set")], ids=" ".join
)
def test_every_option_of_these_is_in_the_page_of_commands(path: tuple[str, ...]) -> None:
    options = {name for each in ALL[path].params for name in each.opts if name.startswith("--")}
    assert {name for name in options if not re.search(rf"{name}(?![\w-])", CLI_PAGE)} == set()


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_with_examples(path: tuple[str, ...]) -> None:
    shown = done(*path, "--help").out
    assert shown.startswith("Usage: vtc07 " + " ".join(path))
    examples = [line for line in shown.splitlines() if line.startswith("    vtc07 ")]
    assert examples
    # An example is a command that exists, with options that exist.
    options = {
        name
        for parameter in ALL[path].params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for example in examples:
        words = example.split()[1:]
        assert any(tuple(words[: len(known)]) == known for known in ALL), example
        if tuple(words[: len(path)]) == path and not isinstance(ALL[path], click.Group):
            inner = example.partition("$(")[0].split()
            given = {word for word in inner if word.startswith("--")}
            assert given <= options, example


@pytest.mark.parametrize(
    "path", [path for path, command in ALL.items() if not isinstance(command, click.Group)],
    ids=" ".join,
)  # fmt: skip
def test_everything_but_the_demonstration_has_json(path: tuple[str, ...]) -> None:
    options = {name for parameter in ALL[path].params for name in parameter.opts}
    assert ("--json" in options) or path == ("demo",)


def test_the_short_help_of_a_group_fits_its_members() -> None:
    assert isinstance(main, LazyGroup)
    groups = [main, *(c for c in ALL.values() if isinstance(c, LazyGroup))]
    for group in groups:
        for name, (_, said) in group.members.items():
            command = group.get_command(click.Context(group), name)
            assert command is not None
            assert command.name == name
            assert said.endswith(".")


def test_version() -> None:
    assert done("--version").out == f"vtc07 {__version__}\n"


def test_without_a_command_there_is_help_and_exit_code_2() -> None:
    for group in ((), ("token",), ("meter",), ("token", "issue"), ("companion",)):
        result = vtc07(*group)
        assert result.code == 2
        assert "Commands:" in result.everything


def test_every_error_of_the_project_is_one_that_exists() -> None:
    for name in EXIT_CODES:
        module, _, attribute = name.rpartition(".")
        error = getattr(importlib.import_module(module), attribute)
        assert issubclass(error, Exception)


def test_a_defect_of_ours_is_not_taken_for_a_mistake_of_the_user() -> None:
    assert judge(ZeroDivisionError()) is None
    assert judge(ValueError("x")) is None
    missing = FileNotFoundError(2, "No such file", "x.toml")
    assert judge(missing) == ("x.toml cannot be used: No such file; check name and rights", 2)


def test_exit_codes_are_as_documented() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0, "REFUSED": 1, "USAGE": 2, "NO_LINK": 3, "UNRESOLVED": 4, "INTERRUPTED": 130,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (("--help",), ("vtc07.tokens", "vtc07.carrier", "vtc07.meter", "vtc07.hhu", "rich")),
        (("--version",), ("vtc07.tokens", "vtc07.carrier", "rich")),
        (("token", "--help"), ("vtc07.carrier", "vtc07.meter", "rich")),
        (
            ("token", "decode", "00000002200248007208"),
            ("vtc07.carrier", "vtc07.meter", "vtc07.hhu", "vtc07.links", "platformdirs"),
        ),
        (("token", "issue", "meter-test", "1"), ("vtc07.carrier", "vtc07.meter", "rich")),
        (("companion", "list"), ("vtc07.meter", "vtc07.hhu", "vtc07.links", "vtc07.tokens.codec")),
        (("read", "tcp://127.0.0.1:0"), ("vtc07.meter", "cryptography")),
        (
            ("read", "tcp://127.0.0.1:0", "--no-journal"),
            ("vtc07.meter", "cryptography", "sqlite3", "vtc07.hhu.history.recording"),
        ),
    ],
)
def test_a_command_imports_only_what_it_needs(
    arguments: tuple[str, ...], never: tuple[str, ...], here: Path
) -> None:
    code = (
        "import json, sys\n"
        "from vtc07.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    modules = set(json.loads(run.stdout.splitlines()[-1]))
    assert "vtc07.cli.main" in modules
    assert not modules & set(never)


def test_data_and_messages_keep_to_their_streams(here: Path) -> None:
    made = done("meter", "new", "m.meter")
    assert "warning" not in made.out
    assert "MeterPAN" not in made.err
    sent = done("send", "sim:m.meter", credit("1.0", "--test-key"))
    assert (sent.err, len(sent.out.splitlines())) == ("", 2)


def test_no_colour_and_no_cut_lines_where_no_terminal_is(here: Path) -> None:
    run = subprocess.run(
        [*PROGRAM, "companion", "show", "electricity"], capture_output=True, check=True,
        env={**os.environ, "COLUMNS": "40", "TERM": "xterm-256color"},
    )  # fmt: skip
    assert b"\x1b" not in run.stdout + run.stderr
    assert b"key change pending, power limit tripped, store fault, default key" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("companion", "show", "electricity", "--json"), 0), (("companion", "check", "no.toml"), 2)],
)
def test_a_reader_that_goes_away_changes_no_exit_code(
    here: Path, arguments: tuple[str, ...], code: int
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [*PROGRAM, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert run.returncode == code
    assert "BrokenPipe" not in run.stderr
    assert "Exception" not in run.stderr


def test_companions_are_listed_shown_and_checked(here: Path) -> None:
    listed = done("companion", "list", "--json").json["companions"]
    names = [companion["name"] for companion in listed]
    assert {"electricity", "water", "gas", "time"} <= set(names)
    for name in names:
        shown = done("companion", "show", name, "--json").json
        assert shown["register_count"] == len(shown["registers"])
        assert done("companion", "check", name).out == f"{name}: good\n"
    assert done("companion", "show", "water", "--json").json["flag"] == "VTW"
    assert "0080..00B1" in done("companion", "show", "water").out
    (here / "bad.toml").write_text('extends = "water"\n[timing]\nattempts = 0\nnot_known = 1\n')
    result = vtc07("companion", "check", "water", "bad.toml", "--json")
    assert result.code == 2
    good, bad = result.json["companions"]
    assert (good["good"], good["problems"], bad["good"]) == (True, [], False)
    assert {(p["line"], p["key"]) for p in bad["problems"]} == {
        (3, "timing.attempts"), (4, "timing.not_known"),
    }  # fmt: skip
    people = vtc07("companion", "check", "bad.toml")
    assert "bad.toml, line 3: timing.attempts" in people.out
    assert "2 problems found" in one_sentence(people.err)


@contextlib.contextmanager
def _null_modem() -> Iterator[tuple[str, str]]:
    """Two pseudo-terminals with a wire between them."""
    import tty

    ends = [os.openpty() for _ in range(2)]
    for _, slave in ends:
        tty.setraw(slave)
    stop_read, stop_write = os.pipe()

    def wire() -> None:
        import select

        masters = [master for master, _ in ends]
        while True:
            ready, _, _ = select.select([*masters, stop_read], [], [])
            if stop_read in ready:
                return
            for master in ready:
                chars = os.read(master, 1000)
                os.write(masters[1 - masters.index(master)], chars)

    thread = threading.Thread(target=wire)
    thread.start()
    try:
        yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    finally:
        os.write(stop_write, b"x")
        thread.join()
        for descriptor in (stop_read, stop_write, *ends[0], *ends[1]):
            os.close(descriptor)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_meter_at_a_serial_port(here: Path) -> None:
    needs.module("serialx")
    (here / "fast.toml").write_text(FAST)
    new_meter("m.meter", "--companion", "fast.toml")
    with _null_modem() as (meter_port, client_port):
        process = start("meter", "serve", "m.meter", "--listen", meter_port)
        try:
            assert process.stdout is not None
            assert process.stdout.readline().endswith(f"listening on {meter_port}\n")
            sent = done("send", client_port, credit("3.0", "--test-key"), "--json").json
            assert sent["tokens"][0]["status"] == "Accept"
            assert done("identify", client_port, "--json").json["companion"] == "electricity"
        finally:
            process.terminate()
            process.communicate()
    assert process.returncode == 0
    missing = vtc07("meter", "serve", "m.meter", "--listen", "/dev/vtc07-not-there")
    assert (missing.code, missing.out) == (3, "")


def test_the_documentation_names_every_command_and_variable() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    kinds = {path[-1] for path in ALL if path[:2] == ("token", "issue") and len(path) == 3}
    for path, command in ALL.items():
        if isinstance(command, click.Group):
            continue
        wanted = f"`{path[-1]}`" if path[-1] in kinds else "vtc07 " + " ".join(path)
        assert wanted in text
    source = Path(importlib.import_module("vtc07.cli").__file__ or "").parent
    code = "".join(path.read_text(encoding="utf-8") for path in source.glob("*.py"))
    for variable in set(re.findall(r"VTC07_[A-Z_]+", code)):
        assert f"`{variable}`" in text
