"""From ADDRESS to a hand-held unit of IEC 62056-21 on its line, for meters of any maker."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import click

from vtc07.carrier.companion import Companion, LinkSettings, Parity, Preset, Timing
from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.exchange.events import (
    ExchangeFailed,
    ExchangeFailure,
    HHUCommand,
    HHUEvent,
    MeterIdentity,
)
from vtc07.carrier.exchange.procedure import perform
from vtc07.carrier.exchange.settings import (
    MODE_C_SPEEDS,
    PUSH_SPEED,
    START_SPEED,
    CheckCharacter,
    Compatibility,
    WakeUp,
)
from vtc07.carrier.grammar import ADDRESS
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.gathering import Command, gathering
from vtc07.cli.head_options import Head, head_options, wake_up_option
from vtc07.cli.tracing import open_trace
from vtc07.links.address import SimulatedAddress, TCPAddress, parse

if TYPE_CHECKING:
    from vtc07.carrier.exchange.hhu import HHU
    from vtc07.carrier.exchange.mode_d import PushEvent
    from vtc07.links.address import LinkAddress
    from vtc07.links.blocking import ClientDriver
    from vtc07.links.link import ClientEndpoint, Link
    from vtc07.trace.recorder import Recorder

NS: Final = 1_000_000_000
#: How long an answer is waited for unless told otherwise: meters in the field take more than the
#: 1.5 s of the standard.
DEFAULT_TIMEOUT_S: Final = 4.0
SPEEDS: Final = tuple(str(speed) for speed in MODE_C_SPEEDS.values())


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """What the options of a command say about the way to a meter and about its deviations."""

    address: str | None
    meter_address: str
    speed: str | None
    timeout: float | None
    check: str
    no_readout_bcc: bool
    decimal_comma: bool
    address_not_echoed: bool
    head: Head
    wake_up: str
    trace: str | None

    @property
    def compatibility(self) -> Compatibility:
        """The deviations that are taken. Line ends of any kind always are."""
        return Compatibility(
            check=CheckCharacter(self.check),
            no_readout_bcc=self.no_readout_bcc,
            decimal_comma=self.decimal_comma,
            address_not_echoed=self.address_not_echoed,
        )

    @property
    def highest_speed(self) -> int | None:
        """The highest speed wanted, in Bd; None: whatever the meter offers."""
        return None if self.speed is None else int(self.speed)


def exchange_options(function: Command) -> Command:
    """Give a command ADDRESS and these options; they arrive as ``exchange``."""
    return head_options(_gather(function))


_gather = gathering(
    "exchange",
    ExchangeOptions.__slots__,
    lambda values: ExchangeOptions(**values),
    (
        click.option(
            "--trace",
            metavar="FILE",
            help="Record what goes over the line as JSON Lines.",
        ),
        wake_up_option,
        click.option(
            "--address-not-echoed",
            is_flag=True,
            help="The meter answers a read with the value alone.",
        ),
        click.option(
            "--decimal-comma",
            is_flag=True,
            help="The meter writes 7,4: show 7.4.",
        ),
        click.option(
            "--no-readout-bcc",
            is_flag=True,
            help="The meter's readout has no check character, or none that is to be believed.",
        ),
        click.option(
            "--check",
            type=click.Choice([kind.value for kind in CheckCharacter]),
            default=CheckCharacter.XOR.value,
            show_default=True,
            help="How the check character is computed; xor is the standard's.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(0.2, 3600),
            metavar="SECONDS",
            help=f"How long an answer is waited for; by default {DEFAULT_TIMEOUT_S:g} s.",
        ),
        click.option(
            "--speed",
            type=click.Choice(SPEEDS),
            help="Highest speed in Bd to change to; by default what the meter offers.",
        ),
        click.option(
            "--meter-address",
            default="",
            metavar="ADDRESS",
            help="Device address of the meter, up to 32 characters; by default whichever answers.",
        ),
        click.argument("address", metavar="ADDRESS", required=False),
    ),
)


class ExchangeConnection:
    """The way to one meter, and a hand-held unit on it. A context manager: closed at its end."""

    def __init__(self, options: ExchangeOptions) -> None:
        self._options = options
        self._resources = contextlib.ExitStack()
        self._driver: ClientDriver | None = None
        self._recorder: Recorder | None = None
        self._unit: HHU | None = None
        self._compatibility = options.compatibility
        if not re.fullmatch(ADDRESS, options.meter_address):
            raise Failure(
                f"--meter-address: {options.meter_address!r} is no device address: up to 32 "
                "digits, letters and spaces are wanted"
            )
        if options.address is None:
            raise Failure("the meter's ADDRESS is missing: tcp://HOST:PORT or a serial port")
        address = parse(options.address)
        if isinstance(address, SimulatedAddress):
            raise Failure(
                "this is asked over a line, and sim:STORE has none: serve the meter with "
                "vtc07 meter serve, and give the address that it says"
            )
        self._address: LinkAddress = address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

    @property
    def address(self) -> str:
        """Where the meter is."""
        return str(self._address)

    @property
    def compatibility(self) -> Compatibility:
        """The deviations that are taken."""
        return self._compatibility

    @property
    def heard(self) -> MeterIdentity | None:
        """Who answered the last sign-on, though nothing came of it; None: nobody did."""
        return None if self._unit is None else self._unit.identity

    def restart(self, compatibility: Compatibility) -> None:
        """Close the link; the next command is another unit's, which takes these deviations."""
        self._close()
        self._compatibility = compatibility

    def _close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def direct(self, companion: Companion) -> Callable[[Procedure[Any]], Any]:
        """Return what runs procedures of a direct port's client, on a link of its own."""
        from vtc07.carrier.client import Client  # noqa: PLC0415 - for a direct port only
        from vtc07.links.serial import character_ns  # noqa: PLC0415 - likewise

        self._close()
        settings = self._options.head.applied(companion.link)
        pace_ns = 0
        if not isinstance(self._address, TCPAddress):
            pace_ns = character_ns(self._address, settings)
        core = Client(companion, character_ns=pace_ns, timing=self.timing())
        self._driver = self._drive(core, settings)
        return self._driver.run

    def perform(self, command: HHUCommand) -> HHUEvent:
        """Carry out a command of a hand-held unit; LinkUnavailable without a link."""
        if self._driver is None:
            self._driver = self._hand_held_unit()
        return self._driver.run(perform(command))

    def listen(self, timeout_s: float | None, speed: int | None) -> PushEvent:
        """Wait for the next telegram that a meter pushes."""
        from vtc07.carrier.exchange import mode_d  # noqa: PLC0415 - only to listen

        if self._driver is None:
            core = mode_d.PushListener(speed=speed or PUSH_SPEED, compat=self._compatibility)
            self._driver = self._drive(core, self._settings())
        timeout_ns = None if timeout_s is None else int(timeout_s * NS)
        return self._driver.run(perform(mode_d.Listen(timeout_ns)))

    def timing(self) -> Timing:
        """Return the timers, with the time limit that was asked for."""
        timeout = self._options.timeout
        limit_ns = int((DEFAULT_TIMEOUT_S if timeout is None else timeout) * NS)
        timing = Timing()
        return replace(
            timing,
            repeat_ns=max(limit_ns, timing.reaction_ns + 1),
            inter_character_ns=max(timing.inter_character_ns, limit_ns * 3 // 4),
        )

    def _hand_held_unit(self) -> ClientDriver:
        from vtc07.carrier.exchange.hhu import HHU  # noqa: PLC0415 - not to listen

        core = HHU(
            self.timing(),
            compatibility=self._compatibility,
            paced=self._paced(),
            wake_up=WakeUp(self._options.wake_up),
        )
        self._unit = core
        return self._drive(core, self._settings())

    def _paced(self) -> bool:
        from vtc07.links.serial import character_ns  # noqa: PLC0415 - serial only

        if isinstance(self._address, TCPAddress):
            return False
        return bool(character_ns(self._address, self._settings()))

    def _settings(self) -> LinkSettings:
        head_powered = LinkSettings(Preset.OPTICAL, START_SPEED, Parity.UART, rts=True, dtr=True)
        return self._options.head.applied(head_powered)

    def _drive(self, core: ClientEndpoint, settings: LinkSettings) -> ClientDriver:
        from vtc07.links.blocking import ClientDriver, open_link  # noqa: PLC0415 - a late import

        def opened() -> Link:
            return open_link(self._address, settings, parity=self._options.head.parity)

        recorder = self._trace()
        driver = ClientDriver(
            core,
            opened,
            observer=None if recorder is None else recorder.observe,
            on_speed=None if recorder is None else recorder.speed,
        )
        self._resources.callback(driver.close)
        return driver

    def _trace(self) -> Recorder | None:
        path = self._options.trace
        if path is not None and self._recorder is None:
            recording = open_trace(path, "", self.address, lambda: None)
            self._recorder = self._resources.enter_context(recording)
        return self._recorder


_WHY: Final = {
    ExchangeFailure.NO_ANSWER: "the meter does not answer",
    ExchangeFailure.DAMAGED: "only damaged answers of the meter arrive",
    ExchangeFailure.REFUSED_BY_NAK: "the meter found every attempt damaged",
    ExchangeFailure.NOT_SIGNED_ON: "the meter has ended the session",
    ExchangeFailure.LINK_LOST: "the link was lost",
}
_WHAT_TO_DO: Final = {
    ExchangeFailure.NO_ANSWER: "check the head's place, --meter-address, and --wake-up for a meter "
    "on a battery; a slow path wants a longer --timeout, and a meter that only sends by itself "
    "--listen",
    ExchangeFailure.DAMAGED: "check the head's place and --parity; if every attempt ends so, the "
    "meter may compute its check in another way: --check sum, or --no-readout-bcc",
}


def failed(event: ExchangeFailed, address: str) -> Failure:
    """Return the error of a command that came to nothing."""
    why = f"{address}: {_WHY[event.failure]}"
    what = _WHAT_TO_DO.get(event.failure, "try again")
    return Failure(f"{why}: {what}", ExitCode.NO_LINK)


def printable(text: str) -> str:
    """Return characters that may go to a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def identity_document(identity: MeterIdentity) -> dict[str, Any]:
    """Return what an identification message says."""
    return {
        "flag": identity.flag,
        "baud_identification": identity.baud_identification,
        "identification": identity.identification,
        "escapes": list(identity.escapes),
    }
