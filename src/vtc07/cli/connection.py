"""From ADDRESS to a session: links, companions, the simulated meter, the trace."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, LinkSettings, Timing
from vtc07.carrier.companion_file import companion_by_identity, load_companion
from vtc07.carrier.endpoint import Procedure, perform, wait
from vtc07.carrier.events import ClientEvent, CommandFailed, Identified, Identify, Identity
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.grammar import ADDRESS
from vtc07.cli.companion import require_direct
from vtc07.cli.failure import Failure
from vtc07.cli.output import Output
from vtc07.hhu.progress import OnProgress
from vtc07.hhu.session import Meter, NoLink, Session, mismatches
from vtc07.links.address import SerialAddress, SimulatedAddress, parse
from vtc07.links.link import LinkUnavailable, Observer

if TYPE_CHECKING:
    from vtc07.links.address import TCPAddress
    from vtc07.links.blocking import ClientDriver
    from vtc07.links.link import Link
    from vtc07.links.simulated import LineObserver
    from vtc07.meter import SQLiteStore
    from vtc07.trace.message import TraceMessage
    from vtc07.trace.recorder import Recorder

T = TypeVar("T")

AUTO = "auto"
#: The companion whose IDRequest asks a meter who it is; an IDRequest is the same in all.
_ASKING = "electricity"


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """What the options of a command say about the way to the meter."""

    address: str
    companion: str
    meter_address: str
    speed: int | None
    attempts: int | None
    profile: str | None
    wake_up: bool
    trace: str | None
    store_key_file: str | None

    @property
    def how_to_wake(self) -> WakeUp:
        """How the meter is woken before it is asked."""
        return WakeUp.NORMAL if self.wake_up else WakeUp.NONE


def link_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ADDRESS and the options of the link; they arrive as ``link``."""

    def gathered(*args: Any, **kwargs: Any) -> Any:
        names = LinkOptions.__slots__
        options = LinkOptions(**{name: kwargs.pop(name) for name in names})
        return function(*args, link=options, **kwargs)

    gathered.__name__ = function.__name__
    gathered.__doc__ = function.__doc__
    gathered.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]
    for decorate in (
        click.option(
            "--store-key-file",
            metavar="FILE",
            help="sim: only: key of the store; else VTC07_STORE_KEY, else STORE.key beside it.",
        ),
        click.option(
            "--trace",
            metavar="FILE",
            help="Record what goes over the line as JSON Lines; tokens stand in it.",
        ),
        click.option(
            "--attempts",
            type=click.IntRange(1, 20),
            help="Attempts at a command; by default the companion's.",
        ),
        click.option(
            "--wake-up",
            is_flag=True,
            help="The meter is on a battery: wake it before it is asked.",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            help="Longer time limits for a slow path, as the companion names them: gsm.",
        ),
        click.option(
            "--speed",
            type=click.IntRange(50, 4_000_000),
            help="Speed of the line in Bd; by default the companion's.",
        ),
        click.option(
            "--meter-address",
            default="",
            metavar="ADDRESS",
            help="MeterPAN, DRN or device address of the meter; by default whichever answers.",
        ),
        click.option(
            "--companion",
            default=AUTO,
            show_default=True,
            metavar="NAME|FILE|auto",
            help="The meter's companion; auto: the shipped one that it names itself.",
        ),
        click.argument("address", metavar="ADDRESS"),
    ):
        gathered = decorate(gathered)
    return gathered


def profiled(companion: Companion, profile: str | None) -> Companion:
    """Return a companion with the timers of one of its profiles; Failure for an unknown one."""
    if profile is None:
        return companion
    factor = companion.profiles.get(profile)
    if factor is None:
        known = ", ".join(companion.profiles) or "none"
        raise Failure(
            f"companion {companion.name} has no profile {profile!r}; the profiles it has: {known}"
        )
    return replace(companion, timing=companion.timing.stretched(factor))


class UnknownCompanion(Failure):
    """A meter answered that none of the shipped companions describes: ``identity``."""

    def __init__(self, identity: Identity, sentence: str) -> None:
        super().__init__(sentence)
        self.identity = identity


class Connection:
    """The way to one meter, and the session on it once the first procedure runs.

    A context manager: at its end the link is closed, and a simulated meter is switched off in
    good order and its store closed.
    """

    def __init__(self, options: LinkOptions, output: Output, on_progress: OnProgress) -> None:
        self._options = options
        self._output = output
        self._on_progress = on_progress
        self._resources = contextlib.ExitStack()
        self._session: Session | None = None
        self._runner: Callable[[Procedure[Any]], Any] | None = None
        self._driven: ClientDriver | None = None
        self._kept: Link | None = None
        self._recorder: Recorder | None = None
        self._store: SQLiteStore | None = None
        self._companion: Companion | None = None
        self.address = parse(options.address)
        address = re.sub(r"[ -]", "", options.meter_address)
        if not re.fullmatch(ADDRESS, address):
            raise Failure(
                f"{options.meter_address!r} is no address of a meter: a MeterPAN, a DRN, or up to "
                "32 digits and letters are wanted"
            )
        self.meter_address = address

    def __enter__(self) -> Self:
        try:
            self._prepare()
        except BaseException:
            self._resources.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

    def _prepare(self) -> None:
        options = self._options
        if options.companion != AUTO:
            self._companion = require_direct(load_companion(options.companion))
        if isinstance(self.address, SimulatedAddress):
            from vtc07.cli.stores import open_store  # noqa: PLC0415 - sim: only

            store = open_store(self.address.store, options.store_key_file, self._output)
            self._store = self._resources.enter_context(store)
            if self._companion is None:
                self._companion = store.companion()
        elif options.store_key_file is not None:
            raise Failure("--store-key-file is for sim:STORE only; leave it out")

    # --- what a command needs ------------------------------------------------------------------

    @property
    def companion(self) -> Companion:
        """The meter's companion; with ``auto`` on a real link the meter is asked for it."""
        if self._companion is None:
            self._companion = self._ask_for_companion()
        return self._companion

    @property
    def session(self) -> Session:
        """The session; the link is not opened before a procedure runs."""
        if self._session is None:
            companion = self.companion
            try:
                self._session = Session(
                    companion,
                    address=self.meter_address,
                    timing=self._timing(companion),
                    wake_up=self._options.how_to_wake,
                    on_progress=self._on_progress,
                )
            except ValueError as error:
                raise Failure(f"--meter-address: {error}") from None
        return self._session

    def run(self, procedure: Procedure[T]) -> T:
        """Run a procedure of the session; LinkUnavailable where the link cannot be opened."""
        if self._runner is None:
            session = self.session
            if self._store is not None:
                self._runner = self._simulation(self._store, session)
            else:
                self._runner = self._driver(session.companion, session.timing)
        result: T = self._runner(procedure)
        return result

    @property
    def unavailable(self) -> str | None:
        """Why the link could not be opened again, None where it could or nobody tried."""
        error = None if self._driven is None else self._driven.unavailable
        return None if error is None else str(error)

    @property
    def meter_pan(self) -> str | None:
        """The MeterPAN of the meter that answered, if it told it."""
        meter = None if self._session is None else self._session.meter
        return None if meter is None else meter.meter_pan

    def identify(self) -> Meter:
        """Greet the meter and say what does not fit the companion."""
        meter = self.run(self.session.identify())
        for warning in meter.warnings:
            self._output.warning(warning)
        return meter

    def greet(self) -> Meter:
        """Greet the meter; Failure where it is not what the companion describes.

        Its registers would then be others than the user means, so none is read or written.
        """
        meter = self.run(self.session.identify())
        unfit = mismatches(self.companion, meter.identity)
        if unfit:
            self.sign_off()
            raise Failure(f"{unfit[0]}; choose its own companion, or --companion auto")
        for warning in meter.warnings:
            self._output.warning(warning)
        return meter

    def sign_off(self) -> None:
        """Take leave of the meter, if it is still there; what was done stays done without it."""
        if self._session is None or self._session.meter is None:
            return
        with contextlib.suppress(LinkUnavailable):
            self.run(self.session.sign_off())

    # --- links ---------------------------------------------------------------------------------

    def _driver(
        self, companion: Companion, timing: Timing, *, keep: bool = False
    ) -> Callable[[Procedure[Any]], Any]:
        """Return what runs procedures on a real link; ``keep``: the next driver takes it over."""
        from vtc07.links.blocking import ClientDriver, open_link  # noqa: PLC0415 - not for sim:
        from vtc07.links.serial import character_ns  # noqa: PLC0415 - likewise

        assert not isinstance(self.address, SimulatedAddress)
        address: TCPAddress | SerialAddress = self.address
        settings = self._settings(companion)

        def opened() -> Link:
            link, self._kept = self._kept, None
            link = link or open_link(address, settings)
            if keep:
                self._kept = link
            return link

        core = Client(
            companion,
            character_ns=character_ns(address, settings)
            if isinstance(address, SerialAddress)
            else 0,
            timing=timing,
        )
        driver = ClientDriver(core, opened, observer=self._observer(companion))
        self._resources.callback(driver.close)
        self._driven = driver
        return driver.run

    def _settings(self, companion: Companion) -> LinkSettings:
        if self._options.speed is None:
            return companion.link
        return replace(companion.link, speed=self._options.speed)

    def _timing(self, companion: Companion) -> Timing:
        timing = profiled(companion, self._options.profile).timing
        if self._options.attempts is None:
            return timing
        return replace(timing, attempts=self._options.attempts)

    def _simulation(self, store: SQLiteStore, session: Session) -> Callable[[Procedure[Any]], Any]:
        from vtc07.cli.power import switch_off  # noqa: PLC0415 - sim: only
        from vtc07.links.simulated import SimulatedLine  # noqa: PLC0415 - likewise
        from vtc07.meter import Meter as VirtualMeter  # noqa: PLC0415 - likewise
        from vtc07.meter import MeterServer  # noqa: PLC0415 - likewise

        own = profiled(store.companion(), self._options.profile)
        settings = self._settings(own)
        meter = VirtualMeter(own, store, now_ns=0)
        server = MeterServer(own, meter, character_ns=settings.character_ns)
        core = Client(
            session.companion,
            character_ns=settings.character_ns,
            timing=session.timing,
        )
        observer = self._line_observer(session.companion)
        line = SimulatedLine(
            core, server, speed=settings.speed, observers=[observer] if observer else ()
        )

        self._resources.callback(lambda: switch_off(meter, server, line.now_ns, self._output))
        return line.run

    def _ask_for_companion(self) -> Companion:
        asking = load_companion(_ASKING)
        run = self._driver(asking, self._timing(asking), keep=True)
        event: ClientEvent = run(perform(Identify(self.meter_address, self._options.how_to_wake)))
        if isinstance(event, CommandFailed):
            raise NoLink(event.failure, self.meter_address)
        assert isinstance(event, Identified)
        identity = event.identity
        found = companion_by_identity(identity.flag, identity.identification)
        if found is None:
            raise UnknownCompanion(
                identity,
                f"the meter says it is {identity.flag} {identity.identification!r}, which is none "
                "of the shipped companions; name its companion file with --companion",
            )
        run(wait(found.reaction_ns))  # the next command is another core's, which heard nothing
        return found

    # --- trace ---------------------------------------------------------------------------------

    def _observer(self, companion: Companion) -> Observer | None:
        recorder = self._trace(companion)
        return None if recorder is None else recorder.observe

    def _line_observer(self, companion: Companion) -> LineObserver | None:
        recorder = self._trace(companion)
        return None if recorder is None else recorder.character

    def _trace(self, companion: Companion) -> Recorder | None:
        if self._options.trace is None or self._recorder is not None:
            return self._recorder
        recorder = open_trace(
            self._options.trace,
            "" if self._companion is None else companion.name,  # the meter is still to be asked
            self._options.address,
            lambda: self._companion or companion,
        )
        self._recorder = self._resources.enter_context(recorder)
        return self._recorder


@contextlib.contextmanager
def open_trace(
    path: str, name: str, address: str, companion: Callable[[], Companion]
) -> Iterator[Recorder]:
    """Record to a new file for its owner only: a token that was not taken is still money.

    Each message has its explanation as note, by the companion of the moment; ``name`` stands in
    the header. Failure where the file exists: it may be anything.
    """
    from vtc07.trace.file import TraceHeader, TraceWriter  # noqa: PLC0415 - only with --trace
    from vtc07.trace.recorder import Recorder  # noqa: PLC0415 - likewise
    from vtc07.trace.rendering import Role, annotate  # noqa: PLC0415 - likewise

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"the trace {path} exists already; choose another name") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        writer = TraceWriter(file, TraceHeader(name, address, started))

        def explained(message: TraceMessage) -> None:
            pieces = annotate(message, companion()).pieces
            note = "".join(piece.text for piece in pieces if piece.role is not Role.ARROW)
            writer.write(replace(message, note=note))

        recorder = Recorder(explained)
        try:
            yield recorder
        finally:
            recorder.finish()
