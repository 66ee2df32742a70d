"""Options about the head or adapter at a port, which a companion cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.cli.gathering import gathering


@dataclass(frozen=True, slots=True)
class Head:
    """What the options say; None: as the companion has it."""

    parity: Parity | None = None
    rts: bool | None = None
    dtr: bool | None = None
    echo: bool | None = None

    @property
    def is_given(self) -> bool:
        """True where any of the options was given."""
        return self != Head()

    def applied(self, settings: LinkSettings) -> LinkSettings:
        """Return settings as the options have them."""
        return replace(
            settings,
            parity=settings.parity if self.parity is None else self.parity,
            rts=settings.rts if self.rts is None else self.rts,
            dtr=settings.dtr if self.dtr is None else self.dtr,
            echo=settings.echo if self.echo is None else self.echo,
        )


_ON_OR_OFF = click.Choice(["on", "off"])


def _head(values: Mapping[str, Any]) -> Head:
    parity = values["parity"]
    levels = {name: values[name] for name in ("rts", "dtr", "echo")}
    return Head(
        None if parity is None else Parity(parity),
        **{name: None if level is None else level == "on" for name, level in levels.items()},
    )


#: Gives a command these options; they arrive as ``head``.
head_options = gathering(
    "head",
    Head.__slots__,
    _head,
    (
        click.option("--echo", type=_ON_OR_OFF, help="Whether the head returns what is sent."),
        click.option("--dtr", type=_ON_OR_OFF, help="Level of DTR, which may power the head."),
        click.option("--rts", type=_ON_OR_OFF, help="Level of RTS, which may power the head."),
        click.option(
            "--parity",
            type=click.Choice([parity.value for parity in Parity]),
            help="uart: 7E1 by the port; software: even parity in bit 7 of 8N1; none. By default "
            "uart on a serial port, or what the companion says; none on TCP and pty:.",
        ),
    ),
)

#: How a meter on a battery is woken; arrives as ``wake_up``, a value of `WakeUp`.
wake_up_option = click.option(
    "--wake-up",
    type=click.Choice([way.value for way in WakeUp]),
    default=WakeUp.NONE.value,
    show_default=True,
    help="How a meter on a battery is woken before it is asked.",
)
