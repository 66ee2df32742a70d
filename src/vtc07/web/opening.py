"""Opening the user's browser at the application, with the token in nobody's arguments."""

from __future__ import annotations

import contextlib
import html
import os
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from vtc07.cli.output import Output


@contextlib.contextmanager
def opened_in_browser(url: str, output: Output) -> Iterator[None]:
    """Have the browser open an address, until the end.

    What a program is given as its arguments everybody on the machine can read, so the browser is
    given a file instead, its owner's alone, that leads to the address. It goes at the end.
    """
    with tempfile.TemporaryDirectory(prefix="vtc07-") as folder:
        file = Path(folder) / "vtc07.html"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - made with its rights
            stream.write(
                '<!doctype html><html lang="en"><meta charset="utf-8"><title>vtc07</title>'
                '<meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">'
                f'<a href="{html.escape(url)}">vtc07</a></html>\n'
            )

        def open_it() -> None:
            try:
                is_open = webbrowser.open(file.as_uri())
            except (OSError, webbrowser.Error):
                is_open = False
            if not is_open:
                output.warning("no browser could be opened; open the address above in one")

        # A browser in the terminal keeps whoever calls it until it ends.
        threading.Thread(target=open_it, name="browser", daemon=True).start()
        yield
