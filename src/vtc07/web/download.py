"""A file that is made for one answer: for its owner alone, streamed, and gone with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from vtc07.screens.kept_routes import harmless_name

_PIECE: Final = 1 << 16
_PREFIX: Final = "download-"
#: What is older was left behind, in s: no file takes so long to be made.
_OLD_S: Final = 3600


class Download(StreamingResponse):
    """Streams a file that is open and has no name any more, and closes it whatever comes.

    ``file_name``: by which the browser keeps it; ``shown``: in the browser, not to be kept.
    """

    def __init__(
        self,
        file: BinaryIO,
        media_type: str,
        file_name: str,
        *,
        shown: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._file = file
        kind = "inline" if shown else "attachment"
        name = harmless_name(file_name)
        plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
        size = os.fstat(file.fileno()).st_size
        super().__init__(
            self._pieces(),
            media_type=media_type,
            headers={
                "Content-Disposition": f'{kind}; filename="{plain}"; '
                f"filename*=UTF-8''{quote(name, safe='')}",
                "Content-Length": str(size),
                **(headers or {}),
            },
        )

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(self._file.read, _PIECE):
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def made(state: Path, name: str, make: Callable[[Path], Path]) -> BinaryIO:
    """Have a file made in a folder for its owner alone, and return it open, without a name.

    ``state``: the folder in which that one is; ``make``: gets the path ``name`` in it, returns the
    file that it made. To be called beside the event loop. What ``make`` raises comes through.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_left_behind(state)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=state))
    try:
        return make(folder / name).open("rb")
    finally:
        # Some systems keep a file that is open; it goes with the others that were left behind.
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(state: Path) -> None:
    """Remove what programs left that ended in the middle: tokens may stand in it."""
    with contextlib.suppress(OSError):
        for folder in state.glob(f"{_PREFIX}*"):
            if folder.stat().st_mtime < time.time() - _OLD_S:
                shutil.rmtree(folder, ignore_errors=True)
