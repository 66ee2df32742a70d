"""The options by which a command says how to reach a meter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import click

from vtc07.carrier.companion import Companion
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.cli.failure import Failure
from vtc07.cli.gathering import Command, gathering
from vtc07.cli.head_options import Head, head_options, wake_up_option

AUTO: Final = "auto"
#: The environment variable that holds the password of a meter's port.
PASSWORD_VARIABLE: Final = "VTC07_PASSWORD"  # noqa: S105 - a variable's name


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """What the options of a command say about the way to the meter."""

    address: str
    companion: str
    meter_address: str
    speed: int | None
    attempts: int | None
    profile: str | None
    wake_up: str
    trace: str | None
    store_key_file: str | None
    password_file: str | None
    head: Head

    @property
    def how_to_wake(self) -> WakeUp:
        """How the meter is woken before it is asked."""
        return WakeUp(self.wake_up)


def link_options(function: Command) -> Command:
    """Give a command ADDRESS and the options of the link; they arrive as ``link``."""
    return head_options(_gather(function))


def optional_link_options(function: Command) -> Command:
    """Give a command the same, with an ADDRESS that may be missing: ``link`` is None then."""
    return head_options(_gather_where_given(function))


_OPTIONS: Final = (
    click.option(
        "--store-key-file",
        metavar="FILE",
        help="sim: only: key of the store; else VTC07_STORE_KEY, else STORE.key beside it.",
    ),
    click.option(
        "--password-file",
        metavar="FILE",
        help="Password of a meter with mode C; else VTC07_PASSWORD. - is stdin.",
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
    wake_up_option,
    click.option(
        "--profile",
        metavar="NAME",
        help="Longer time limits for a slow path, as the companion names them: gsm.",
    ),
    click.option(
        "--speed",
        type=click.IntRange(50, 4_000_000),
        help="Speed of the line in Bd, in mode C the highest to change to; by default the "
        "companion's.",
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
)

_gather = gathering(
    "link",
    LinkOptions.__slots__,
    lambda values: LinkOptions(**values),
    (*_OPTIONS, click.argument("address", metavar="ADDRESS")),
)
_gather_where_given = gathering(
    "link",
    LinkOptions.__slots__,
    lambda values: LinkOptions(**values) if values["address"] is not None else None,
    (*_OPTIONS, click.argument("address", metavar="[ADDRESS]", required=False)),
)


def stretch_of(companion: Companion, profile: str | None) -> int:
    """Return how many times as long a profile's limits are, 1 without one."""
    return 1 if profile is None else companion.profiles.get(profile, 1)


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
