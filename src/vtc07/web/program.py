"""``vtc07 web``: serves the application until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.cli.failure import Failure
from vtc07.cli.journalling import JournalOptions, now, opened
from vtc07.cli.language import CATALOGUES, texts_for
from vtc07.cli.output import Output

_SOON_S: Final = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How the application is served, as the command line says it."""

    host: str = "127.0.0.1"
    port: int = 8070
    address: str | None = None
    language: str | None = None
    journal: str | None = None
    bench: bool = False


def run(output: Output, options: Options) -> None:
    """Serve until Ctrl-C. Failure where something that is needed is missing or taken."""
    try:
        import jinja2  # noqa: F401, PLC0415 - an optional part
        import starlette  # noqa: F401, PLC0415 - likewise
        import uvicorn  # noqa: F401, PLC0415 - likewise
    except ImportError:
        raise Failure('the web application needs an optional part: pip install "vtc07[web]"') from (
            None
        )
    from vtc07.web.setting import Setting  # noqa: PLC0415 - an optional part

    texts_for(options.language, os.environ)
    catalogues = os.environ.get(CATALOGUES)
    journal = JournalOptions(options.journal)
    with opened(journal, output) as kept:
        setting = Setting(
            journal=kept,
            wall_clock=now,
            state=JournalOptions(None).path.parent,
            language=options.language,
            catalogues=Path(catalogues) if catalogues else None,
        )
        listener = _listen(options)
        with listener:
            asyncio.run(_serve(setting, listener, output))


def _listen(options: Options) -> socket.socket:
    try:
        return socket.create_server((options.host, options.port))
    except OSError as error:
        raise Failure(
            f"port {options.port} of {options.host} cannot be listened on: {error.strerror}; "
            "choose another one with --port, 0 for any"
        ) from None


async def _serve(setting: object, listener: socket.socket, output: Output) -> None:
    import uvicorn  # noqa: PLC0415 - an optional part

    from vtc07.web.application import application  # noqa: PLC0415 - likewise
    from vtc07.web.desk import Desk  # noqa: PLC0415 - likewise
    from vtc07.web.guard import Access  # noqa: PLC0415 - likewise
    from vtc07.web.setting import Setting  # noqa: PLC0415 - likewise

    assert isinstance(setting, Setting)
    host, port = listener.getsockname()[:2]
    desk, access = Desk(setting), Access()
    names = {f"{host}:{port}", f"localhost:{port}"}
    app = application(desk, access, hosts=names, cookie=f"vtc07-{port}", secure=False)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SOON_S,
            lifespan="off",
        )
    )
    url = f"http://{host}:{port}/enter?token={access.token}"
    if output.as_json:
        output.document({"url": url})
    else:
        output.line(url)
    serving = asyncio.create_task(server.serve([listener]))
    while not (serving.done() or server.should_exit):
        await asyncio.sleep(0.1)
    await desk.close()
    await serving


#: As the command line calls it.
Run = Callable[[Output, Options], None]
