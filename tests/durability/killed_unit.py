"""A hand-held unit's commands as processes that are killed at a statement of their journal.

This program waits for commands on stdin, a line of JSON each, and runs each one in a child of its
own (SIGKILL takes nothing else with it). The child's journal is counted statement by statement,
before and after each; at the one that is asked for the child kills itself.

``{"arguments": [...], "kill_at": N or null}`` is answered by ``{"killed": ..., "code": ...,
"stdout": ..., "stderr": ..., "places": [[SQL, after], ...]}``; ``places``: where it can be killed,
as far as it came.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from vtc07.cli import main as cli
from vtc07.hhu.journal import file as journal_file

#: What the commands import by themselves; here once for all children.
_PRELOADED: Final = (
    "vtc07.cli.send",
    "vtc07.cli.read",
    "vtc07.cli.hhu_resume",
    "vtc07.cli.route_run",
    "vtc07.links.blocking",
    "rich.status",
    "rich.table",
)
_VERBS: Final = ("BEGIN", "INSERT", "UPDATE", "CREATE", "COMMIT")


class _Counted(journal_file._Connection):
    """The real connection to the journal's file; it kills its process where it is told to."""

    kill_at: int | None = None
    places: list[tuple[str, bool]] = []  # noqa: RUF012 - of this process
    note: int = -1

    def execute(self, sql: str, *parameters: Any) -> Any:
        self._at(sql, after=False)
        rows = super().execute(sql, *parameters)
        self._at(sql, after=True)
        return rows

    def _at(self, sql: str, *, after: bool) -> None:
        if not sql.startswith(_VERBS):
            return
        if len(self.places) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.places.append((" ".join(sql.split()[:3]), after))
        os.write(self.note, json.dumps(self.places[-1]).encode() + b"\n")


def _run(arguments: Sequence[str], kill_at: int | None, folder: Path) -> None:
    """Be the command, in a child."""
    streams = {1: "stdout", 2: "stderr", 3: "places"}
    for number, name in streams.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        if descriptor != number:
            os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    _Counted.kill_at, _Counted.note, _Counted.places = kill_at, 3, []
    journal_file._Connection = _Counted  # type: ignore[misc]
    sys.argv = ["vtc07", *arguments]
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _answer(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    child = os.fork()
    if child == 0:
        _run(asked["arguments"], asked["kill_at"], folder)
    _, status = os.waitpid(child, 0)
    return {
        "killed": os.WIFSIGNALED(status),
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "stdout": (folder / "stdout").read_text(),
        "stderr": (folder / "stderr").read_text(),
        "places": [json.loads(line) for line in (folder / "places").read_text().splitlines()],
    }


def main() -> None:
    """Answer commands until stdin ends."""
    for name in _PRELOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="vtc07-") as folder:
        for line in sys.stdin:
            print(json.dumps(_answer(json.loads(line), Path(folder))), flush=True)


if __name__ == "__main__":
    main()
