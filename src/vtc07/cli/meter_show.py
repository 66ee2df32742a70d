"""``vtc07 meter show``: look into a virtual meter's store."""

from __future__ import annotations

import click

from vtc07.carrier.events import RegisterValue
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.stores import open_store, store_key_option
from vtc07.hhu import selection, values
from vtc07.meter import ConstantLoad, Rules
from vtc07.meter.readings import Instant, Readings
from vtc07.tokens import KEN

_LOGS = ("tokenLog", "eventLog")


@click.command(epilog=examples("vtc07 meter show kitchen.meter", "vtc07 meter show k.meter --json"))
@click.argument("store", metavar="STORE")
@store_key_option
@json_option
@click.pass_obj
def show(output: Output, store: str, store_key_file: str | None) -> None:
    """Show the meter in STORE as it was switched off: overview and logs. Changes nothing."""
    with open_store(store, store_key_file, output) as opened:
        state, companion = opened.load(), opened.companion()
    rules = Rules.of(companion)
    readings = Readings(companion, rules)
    none = ConstantLoad((0,) * state.nameplate.phases)
    instant = Instant(state, none, state.last.status, store_fault=False)
    found = {
        register.name: RegisterValue(register, readings.value(register, instant))
        for register in selection.readable(companion)
    }
    overview = [found[register.name] for register in selection.overview(companion)]
    logs = {
        log: [
            value
            for name, value in found.items()
            if name.startswith(f"{log}.") and value.value != ""
        ]
        for log in _LOGS
    }
    if output.as_json:
        output.document(
            {
                "store": store,
                "companion": companion.name,
                "service": rules.service.name.lower(),
                "powered": state.powered,
                "powered_seconds": state.powered_s,
                "key_expires": state.attributes.ken != KEN(255),
                "registers": [
                    values.document(v.register, v.value, companion)
                    for v in found.values()
                    if not v.register.name.startswith(tuple(f"{log}." for log in _LOGS))
                ],
                "token_log": [v.value for v in logs["tokenLog"]],
                "event_log": [v.value for v in logs["eventLog"]],
            }
        )
        return
    output.table(values.COLUMNS, [values.row(v.register, v.value, companion) for v in overview])
    for title, log in (("Tokens, newest first", "tokenLog"), ("Events, newest first", "eventLog")):
        output.line()
        shown = [[values.text_for_people(v.register, v.value, companion)] for v in logs[log]]
        output.line(title if shown else f"{title}: none")
        for (text,) in shown:
            output.line(f"  {text}")
    if state.powered:
        output.note("the meter was not switched off in good order: its power failed")
