"""From ADDRESS to a session: links, companions, the simulated meter, the trace."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vtc07.carrier import events
from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, LinkSettings, S, SignOn, Timing
from vtc07.carrier.companion_file import companion_by_identity, load_companion
from vtc07.carrier.endpoint import Procedure, perform, wait
from vtc07.carrier.events import Break, ClientEvent, CommandFailed, Identified, Identify, Identity
from vtc07.carrier.exchange.settings import START_SPEED, WakeUp
from vtc07.carrier.grammar import ADDRESS
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.cli import secret
from vtc07.cli.failure import Failure
from vtc07.cli.line_record import LineRecord, Watch
from vtc07.cli.link_options import (
    AUTO,
    PASSWORD_VARIABLE,
    LinkOptions,
    profiled,
    stretch_of,
)
from vtc07.cli.output import Output
from vtc07.hhu.progress import OnProgress, Progress
from vtc07.hhu.session import Meter, NoLink, Session, mismatches
from vtc07.links.address import LinkAddress, SimulatedAddress, TCPAddress, parse
from vtc07.links.link import LinkUnavailable

if TYPE_CHECKING:
    from vtc07.hhu.history.recording import Recording
    from vtc07.hhu.journal.entries import ActivityJournal
    from vtc07.links.blocking import ClientDriver, Interruption
    from vtc07.links.link import Link
    from vtc07.meter import SQLiteStore

__all__ = ["Connection", "UnknownCompanion", "Watch"]

T = TypeVar("T")

#: The companion whose IDRequest asks a meter who it is; an IDRequest is the same in all.
_ASKING = "electricity"


class UnknownCompanion(Failure):
    """A meter answered that none of the shipped companions describes: ``identity``."""

    def __init__(self, identity: Identity, sentence: str) -> None:
        super().__init__(sentence)
        self.identity = identity


class Connection:
    """The way to one meter, and the session on it once the first procedure runs.

    A context manager: at its end the link is closed, and a simulated meter is switched off in
    good order and its store closed. For a program in which a person waits: ``interruption`` ends
    what runs from another thread, ``watch`` is told of what passes, ``password`` is the port's.

    ``journal``: where everything that is sent and learnt goes; it must be open for as long as the
    connection is. What it could not take is a warning at the end.
    """

    def __init__(
        self,
        options: LinkOptions,
        output: Output,
        on_progress: OnProgress,
        *,
        interruption: Interruption | None = None,
        watch: Watch | None = None,
        password: str | None = None,
        journal: ActivityJournal | None = None,
    ) -> None:
        self._options = options
        self._interruption = interruption
        self._watch = watch
        self._given_password = password
        self._output = output
        self._on_progress = on_progress
        self._journal = journal
        self._resources = contextlib.ExitStack()
        self._session: Session | None = None
        self._runner: Callable[[Procedure[Any]], Any] | None = None
        self._driven: ClientDriver | None = None
        self._kept: Link | None = None
        self._store: SQLiteStore | None = None
        self._companion: Companion | None = None
        self._answered_at: int | None = None  # the speed at which the meter was asked for it
        self._password: str | None = None
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
            self._record = LineRecord(
                self._options,
                self._output,
                self._resources,
                journal=self._journal,
                watch=self._watch,
                companion=lambda: self._companion,
                meter_pan=lambda: self.meter_pan,
            )
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
            self._companion = load_companion(options.companion)
        if self._given_password is not None:
            self._password = self._given_password
        elif options.password_file is not None:
            self._password = secret.password_from_file(options.password_file, self._output)
        else:
            self._password = os.environ.get(PASSWORD_VARIABLE) or None  # spaces belong to it
        if isinstance(self.address, SimulatedAddress):
            if options.head.is_given:
                raise Failure("--parity, --rts, --dtr and --echo are about a real port: leave them")
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
                    character_ns=self._character_ns(self._settings(companion)),
                    wake_up=self._options.how_to_wake,
                    on_progress=self._heard,
                )
            except ValueError as error:
                raise Failure(f"--meter-address: {error}") from None
        return self._session

    @property
    def knows_passwords(self) -> bool:
        """Whether the meter is of a kind that has passwords; it may be asked for that."""
        return self.companion.knows_passwords

    def want_password(self) -> str | None:
        """Ask a person at a terminal for the password, where none was given and one is known.

        Returns it, whoever gave it; an empty one is none.
        """
        if self._password is None and self.knows_passwords and secret.is_asked_at_a_terminal():
            self._password = secret.password_from_prompt() or None
        return self._password

    def run(self, procedure: Procedure[T]) -> T:
        """Run a procedure of the session; LinkUnavailable where the link cannot be opened."""
        if self._runner is None:
            session = self.session
            if self._store is not None:
                self._runner = self._record.recorded(self._simulation(self._store, session))
            else:
                self._runner = self._driver(
                    session.companion, session.timing, self._settings(session.companion)
                )
        result: T = self._runner(procedure)
        return result

    @property
    def recording(self) -> Recording | None:
        """How the session gets into the journal, None without one."""
        return self._record.recording

    @property
    def unavailable(self) -> str | None:
        """Why the link could not be opened again, None where it could or nobody tried."""
        error = None if self._driven is None else self._driven.unavailable
        return None if error is None else str(error)

    @property
    def unusual_speed(self) -> int | None:
        """The speed at which a meter without sign-on answered, None where it is as it should be."""
        companion, speed = self._companion, self._options.speed or self._answered_at
        if companion is None or companion.sign_on is SignOn.MODE_C:
            return self._options.speed
        return None if speed == companion.link.speed else speed

    @property
    def meter_pan(self) -> str | None:
        """The MeterPAN of the meter that answered, if it told it."""
        meter = None if self._session is None else self._session.meter
        return None if meter is None else meter.meter_pan

    def identify(self) -> Meter:
        """Greet the meter and say what does not fit the companion."""
        with self._sleep_in_mind():
            meter = self.run(self.session.identify())
        for warning in meter.warnings:
            self._output.warning(warning)
        return meter

    def greet(self, *, compare: bool = True) -> Meter:
        """Greet the meter; Failure where it is not what the companion describes.

        Its registers would then be others than the user means, so none is read or written.
        ``compare`` False: what follows reads and compares the MeterPAN itself.
        """
        session = self.session
        with self._sleep_in_mind():
            meter = self.run(session.identify() if compare else session.hail())
        unfit = mismatches(self.companion, meter.identity)
        if unfit:
            self.sign_off()
            raise Failure(f"{unfit[0]}; choose its own companion, or --companion auto")
        for warning in meter.warnings:
            self._output.warning(warning)
        return meter

    @contextlib.contextmanager
    def _sleep_in_mind(self) -> Iterator[None]:
        """Have the error of a silent meter name what was not tried: it may be asleep."""
        try:
            yield
        except NoLink as error:
            tried = self._options.how_to_wake is not WakeUp.NONE
            if error.failure is events.Failure.NO_ANSWER and not tried and self._store is None:
                error.args = (f"{error}; a meter on a battery wants --wake-up",)
            raise

    def sign_off(self) -> None:
        """Take leave of the meter, if it is still there; what was done stays done without it."""
        if self._session is None or self._session.meter is None:
            return
        with contextlib.suppress(LinkUnavailable):
            self.run(self.session.sign_off())

    def _heard(self, progress: Progress) -> None:
        self._record.heard(progress)
        self._on_progress(progress)

    # --- links ---------------------------------------------------------------------------------

    def _driver(
        self, companion: Companion, timing: Timing, settings: LinkSettings, *, keep: bool = False
    ) -> Callable[[Procedure[Any]], Any]:
        """Return what runs procedures on a real link; ``keep``: the next driver takes it over."""
        from vtc07.links.blocking import ClientDriver, open_link  # noqa: PLC0415 - not for sim:

        assert not isinstance(self.address, SimulatedAddress)
        address: LinkAddress = self.address

        def opened() -> Link:
            link, self._kept = self._kept, None
            link = link or open_link(
                address,
                settings,
                parity=self._options.head.parity,
                stretch=stretch_of(companion, self._options.profile),
            )
            if keep:
                self._kept = link
            return link

        record = self._record
        is_heard = record.begin(companion)
        driver = ClientDriver(
            self._core(companion, self._character_ns(settings), timing),
            opened,
            observer=record.observe if is_heard else None,
            on_speed=record.speed if is_heard else None,
            interruption=self._interruption,
        )
        self._resources.callback(driver.close)
        self._driven = driver
        return record.recorded(driver.run)

    def _core(
        self, companion: Companion, character_ns: int, timing: Timing
    ) -> Client | ModeCClient:
        """Return the client's core that the companion's port wants."""
        if companion.sign_on is SignOn.DIRECT:
            return Client(companion, character_ns=character_ns, timing=timing)
        try:
            return ModeCClient(
                companion,
                character_ns=character_ns,
                timing=timing,
                password=self._password,
                speed=self._options.speed,
            )
        except ValueError as error:
            raise Failure(f"the password cannot be given: {error}") from None

    def _settings(self, companion: Companion) -> LinkSettings:
        """Return how the link is opened: in mode C at the speed of every sign-on."""
        speed = self._options.speed or self._answered_at
        settings = companion.link
        if speed is not None and companion.sign_on is not SignOn.MODE_C:
            settings = replace(settings, speed=speed)
        return self._options.head.applied(settings)

    def _character_ns(self, settings: LinkSettings) -> int:
        """Return how long a character takes on the way to the meter; 0 where nothing paces it."""
        if isinstance(self.address, SimulatedAddress):
            return settings.character_ns
        if isinstance(self.address, TCPAddress):
            return 0
        from vtc07.links.serial import character_ns  # noqa: PLC0415 - not for sim:

        return character_ns(self.address, settings)

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
        core = self._core(session.companion, settings.character_ns, session.timing)
        record = self._record
        is_heard = record.begin(session.companion)
        line = SimulatedLine(
            core,
            server,
            speed=settings.speed,
            observers=[record.character] if is_heard else (),
            on_speed=record.speed if is_heard else None,
        )

        self._resources.callback(lambda: switch_off(meter, server, line.now_ns, self._output))
        return line.run

    # --- which companion -----------------------------------------------------------------------

    def _ask_for_companion(self) -> Companion:
        """Ask the meter who it is, directly and at the speed of mode C's sign-on in turn."""
        asking = load_companion(_ASKING)
        timing = self._timing(asking)
        # Of mode C a speed that was asked for is the one to change to; the sign-on has its own.
        speeds = list(dict.fromkeys([self._options.speed or asking.link.speed, START_SPEED]))
        if isinstance(self.address, TCPAddress) and self._options.how_to_wake is WakeUp.NONE:
            speeds = speeds[:1]  # there no speed is a wrong one
        once = replace(timing, attempts=1) if len(speeds) > 1 else timing
        rounds = timing.attempts if len(speeds) > 1 else 1
        for speed in speeds * rounds:
            event = self._ask_at(speed, asking, once)
            if isinstance(event, Identified):
                return self._companion_of(event.identity, speed)
        assert isinstance(event, CommandFailed)
        with self._sleep_in_mind():
            inactivity_s = timing.inactivity_ns // S if START_SPEED in speeds else None
            raise NoLink(event.failure, self.meter_address, inactivity_s)

    def _ask_at(self, speed: int, asking: Companion, timing: Timing) -> ClientEvent:
        settings = self._options.head.applied(replace(asking.link, speed=speed))
        asking = replace(asking, link=settings)  # which also says how many NULs wake it
        again = self._kept is not None
        if self._kept is not None:
            self._kept.set_speed(speed)
        run = self._driver(asking, timing, settings, keep=True)
        if again:
            run(wait(asking.reaction_ns))  # nobody speaks at the very moment of a new speed
        wake_up = self._options.how_to_wake
        event: ClientEvent = run(perform(Identify(self.meter_address, wake_up)))
        if isinstance(event, Identified):
            if wake_up is not WakeUp.NONE:
                run(perform(Break()))  # it is woken again, from a sleep that is whole
            # The next command is another core's, which heard nothing of this answer.
            run(wait(asking.reaction_ns))
        return event

    def _companion_of(self, identity: Identity, speed: int) -> Companion:
        found = companion_by_identity(identity.flag, identity.identification)
        if found is None:
            raise UnknownCompanion(
                identity,
                f"the meter says it is {identity.flag} {identity.identification!r}, which is none "
                "of the shipped companions; name its companion file with --companion",
            )
        self._answered_at = speed
        if self._kept is not None:
            self._kept.set_speed(self._settings(found).speed)
        return found
