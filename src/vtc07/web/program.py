"""``vtc07 web``: serves the application until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.journalling import JournalOptions, now, opened
from vtc07.cli.language import CATALOGUES, VARIABLES, texts_for
from vtc07.cli.link_options import AUTO
from vtc07.cli.output import Output
from vtc07.web.ending import Ending
from vtc07.web.listening import (
    Reach,
    hosts_of,
    listen,
    origin_of,
    password_of,
    require_safe,
    tls_of,
)
from vtc07.web.opening import opened_in_browser

if TYPE_CHECKING:
    import socket
    import ssl

    from vtc07.screens.meter_line import Target
    from vtc07.web.access import Access
    from vtc07.web.desk import Desk
    from vtc07.web.setting import Setting

#: What is still being answered at the end has so long, in s; open pages end at once.
_SOON_S: Final = 1
_OPTIONAL: Final = ("starlette", "uvicorn", "h11", "jinja2", "python_multipart", "anyio")


@dataclass(frozen=True, slots=True)
class Options:
    """How the application is served, as the command line says it.

    ``address``: connected to at once; ``companion``: of the meters, as for `vtc07 read`; ``bench``:
    with virtual meters, and a journal of its own; ``opens_browser``: the user's.
    """

    port: int = 8070
    reach: Reach = field(default_factory=Reach)
    address: str | None = None
    companion: str = AUTO
    language: str | None = None
    journal: str | None = None
    bench: bool = False
    opens_browser: bool = False


def run(output: Output, options: Options) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Failure where something that is needed is missing, wrong or taken, and at the end, with exit
    code 4, where tokens were on their way and their deliveries stand open. JournalError where the
    journal cannot be used: nothing is sent without it.
    """
    _require_optional()
    texts_for(options.language, os.environ)
    require_safe(options.reach)
    if options.bench and options.journal is not None:
        raise Failure(
            "the bench keeps a journal of its own, that goes with it, so that training never mixes "
            "with real deliveries; leave out --journal"
        )
    tls, password = tls_of(options.reach, output), password_of(options.reach, output)
    target = _target(options)
    with contextlib.ExitStack() as resources:
        ending = Ending()
        resources.enter_context(ending.by_signals())
        setting = resources.enter_context(_setting(options, output, has_password=bool(password)))
        listener = resources.enter_context(listen(options.reach, options.port))
        port = listener.getsockname()[1]
        scheme = "http" if tls is None else "https"

        from vtc07.web.access import IDLE_NS, Access, Sessions, new_token  # noqa: PLC0415 - as above

        access = Access(
            hosts=hosts_of(options.reach, port, scheme),
            cookie=f"__Host-vtc07-{port}" if tls else f"vtc07-{port}",
            is_secure=tls is not None,
            is_remote=options.reach.is_remote,
            token=new_token() if password is None else None,
            password=password,
            sessions=Sessions(None if password is None else IDLE_NS),
        )
        origin = origin_of(options.reach, port, scheme)
        serving = _Serving(output, options, setting, access, origin, listener, tls, ending, target)
        asyncio.run(serving.serve())
        serving.tell_what_is_open()


def _require_optional() -> None:
    try:
        for name in _OPTIONAL:
            __import__(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _OPTIONAL:
            raise
        raise Failure('the web application needs an optional part: pip install "vtc07[web]"') from (
            None
        )


def _target(options: Options) -> Target | None:
    """Return what to connect to at once; Failure where that is no address, or not of the bench."""
    from vtc07.carrier.companion_file import load_companion  # noqa: PLC0415 - slow to import
    from vtc07.screens.meter_line import Target  # noqa: PLC0415 - likewise
    from vtc07.screens.way import WayError  # noqa: PLC0415 - likewise

    if options.companion != AUTO:
        load_companion(options.companion)
    if options.address is None:
        return None
    try:
        target = Target.typed(options.address, options.companion)
    except WayError as error:
        raise Failure(str(error)) from None
    if options.bench and not target.address.startswith("inner:"):
        raise Failure(
            f"the bench meets its own virtual meters alone; for {target.address} leave out --bench"
        )
    return target


@contextlib.contextmanager
def _setting(options: Options, output: Output, *, has_password: bool) -> Iterator[Setting]:
    """Open the journal, the bench's own one with the bench, and give what all is started with."""
    from vtc07.web.setting import Setting  # noqa: PLC0415 - an optional part

    catalogues = os.environ.get(CATALOGUES)
    with contextlib.ExitStack() as resources:
        state = JournalOptions(None).path.parent
        journal = JournalOptions(options.journal)
        if options.bench:
            folder = tempfile.TemporaryDirectory(prefix="vtc07-bench-", ignore_cleanup_errors=True)
            state = Path(resources.enter_context(folder))
            journal = JournalOptions(str(state / "bench.journal"))
        kept = resources.enter_context(opened(journal, output))
        yield Setting(
            journal=kept,
            wall_clock=now,
            state=state,
            language=options.language or os.environ.get(VARIABLES[0]) or None,
            catalogues=Path(catalogues) if catalogues else None,
            companion=options.companion,
            is_bench=options.bench,
            has_password=has_password,
        )


@dataclass(slots=True)
class _Serving:
    """The application while it is served."""

    output: Output
    options: Options
    setting: Setting
    access: Access
    origin: str
    listener: socket.socket
    tls: ssl.SSLContext | None
    ending: Ending
    target: Target | None
    _at_work: set[str | None] = field(default_factory=set)

    async def serve(self) -> None:
        """Serve until the end is asked for."""
        from vtc07.web.defect import report  # noqa: PLC0415 - an optional part
        from vtc07.web.desk import Desk  # noqa: PLC0415 - likewise

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: _report(report, context))
        desk = Desk(self.setting)
        with contextlib.ExitStack() as resources:
            if self.options.bench:
                from vtc07.web.bench.bench import Bench  # noqa: PLC0415 - only with the bench

                bench = Bench(functools.partial(_changed, loop, desk))
                resources.callback(bench.close)
                desk.bench = bench
            if self.target is not None:
                self.access.landing = _begin(desk, self.target)
            elif desk.bench is not None:
                self.access.landing = "/bench"
            await self._answer(desk, resources)

    async def _answer(self, desk: Desk, resources: contextlib.ExitStack) -> None:
        from vtc07.web.application import application  # noqa: PLC0415 - an optional part
        from vtc07.web.server import Server  # noqa: PLC0415 - likewise

        server = Server(application(desk, self.access), self.listener, self.tls, soon_s=_SOON_S)
        serving = asyncio.create_task(server.serve())
        await server.begun()
        url = self.origin + "/"
        if self.access.token is not None:
            url = f"{self.origin}/enter?token={self.access.token}"
        self._tell(url)
        if self.options.opens_browser:
            resources.enter_context(opened_in_browser(url, self.output))
        asked = asyncio.create_task(self.ending.wait())
        await asyncio.wait((asked, serving), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        self._at_work = {
            meter_pan
            for station in desk.stations.values()
            if station.work is not None and station.work.carries_tokens
            # A route is at another meter than the one that its place has met before.
            for meter_pan in desk.meters_of(station) or {station.target.meter_pan}
        }
        server.end()
        await desk.close()
        await serving

    def _tell(self, url: str) -> None:
        if self.output.as_json:
            # One line, so that a program can read it while the application is served.
            self.output.line(json.dumps({"url": url}))
        else:
            self.output.line(url)
        sys.stdout.flush()

    def tell_what_is_open(self) -> None:
        """Failure, with exit code 4, where a token was on its way and its delivery stands open."""
        journal = self.setting.journal
        numbers = {
            delivery.number
            for meter_pan in self._at_work
            for delivery in journal.unresolved(meter_pan)
        }
        if not numbers:
            return
        which = ", ".join(str(number) for number in sorted(numbers))
        raise Failure(
            f"tokens were being delivered: delivery {which} stands open in the journal "
            f"{journal.path}, for nobody can tell from here whether the meter took the token; give "
            "it to nobody before that is known: start vtc07 web again, connect to the meter and "
            "choose Open deliveries, or use vtc07 hhu resume; nothing is entered twice",
            ExitCode.UNRESOLVED,
        )


def _begin(desk: Desk, target: Target) -> str:
    """Begin to look at the meter at a target; return the path of its page."""
    from vtc07.web.pages.connect import begin_looking  # noqa: PLC0415 - an optional part

    station = desk.station_at(target)
    begin_looking(station, target)
    return f"/at/{station.name}"


def _changed(loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
    """Tell open pages of a change; from any thread."""
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(desk.changed)


def _report(report: Callable[[BaseException], None], context: dict[str, Any]) -> None:
    """Tell of what nobody else deals with, without its words."""
    error = context.get("exception")
    # A connection that breaks while it is written to is nobody's defect.
    if isinstance(error, BaseException) and not isinstance(error, OSError):
        report(error)
