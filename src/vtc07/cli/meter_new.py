"""``vtc07 meter new``: make a virtual meter."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.cli import parameters, secret
from vtc07.cli.failure import Failure
from vtc07.cli.issuing import key_document
from vtc07.cli.keys import KeyOptions, choose, key_options
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.stores import make_store, store_key_option
from vtc07.meter import CompanionSource, ManufactureRefused, Rules, manufacture
from vtc07.meter.passwords import PasswordRefused
from vtc07.tokens import TID


@click.command(
    epilog=examples(
        "vtc07 meter new kitchen.meter",
        "vtc07 meter new tap.meter --companion water --pan 600727111111111153",
        "vtc07 meter new optical.meter --companion electricity-mode-c --password-file pw.txt",
        "vtc07 meter new real.meter --vending-key-file vk.hex --pan 600727111111111153 \\",
        "    --sgc 201457 --ea 11 --manufactured 2026-03-01",
    )
)
@click.argument("store", metavar="STORE")
@click.option(
    "--companion",
    default="electricity",
    show_default=True,
    metavar="NAME|FILE",
    help="What the meter is: a shipped companion or a companion file.",
)
@click.option(
    "--manufactured",
    type=parameters.DAY,
    help="Date of manufacture; no token from before is taken. By default the base date.",
)
@click.option(
    "--credit-maximum",
    type=parameters.TENTHS,
    help="Most credit it can hold, in kWh, m3 or minutes; by default the companion's.",
)
@click.option("--phases", type=click.Choice(["1", "3"]), default="1", show_default=True)
@click.option(
    "--device-address", default="", metavar="ADDRESS", help="A further address to answer to."
)
@click.option(
    "--password-file",
    metavar="FILE",
    help="The password that a client needs to write registers; - for stdin.",
)
@store_key_option
@json_option
@key_options
@click.pass_obj
def new(
    output: Output,
    *,
    store: str,
    companion: str,
    manufactured: datetime | None,
    credit_maximum: int | None,
    phases: str,
    device_address: str,
    password_file: str | None,
    store_key_file: str | None,
    key_options: KeyOptions,
) -> None:
    """Make a meter in the new file STORE.

    Without a key it gets the published test key and the test MeterPAN: good for trying out, never
    for real money.
    """
    path = Path(store)
    if path.exists():  # said before a key is asked for
        raise Failure(
            f"{store} exists already and a meter is never overwritten; choose another name"
        )
    if not path.absolute().parent.is_dir():
        raise Failure(f"there is no folder {path.absolute().parent} for the store; make it first")
    source = _source(companion, credit_maximum)
    described = source.companion()
    password = _password(described, password_file, output)
    chosen = choose(key_options, output, newcomer=True)
    pan = chosen.meter_pan
    if pan is None:
        raise Failure("a meter has a MeterPAN: give it, or its DRN, with --pan")
    attributes = chosen.attributes
    try:
        state = manufacture(
            described,
            pan,
            chosen.key,
            attributes,
            TID(0) if manufactured is None else manufactured,
            phases=int(phases),
            device_address=device_address,
            password=password,
        )
    except ManufactureRefused as error:
        if isinstance(error.__cause__, PasswordRefused):
            raise Failure(f"{password_file}: {error}") from None
        raise
    made = make_store(path, state, source, store_key_file, output)
    if made is not None:
        output.note(
            f"the key that protects the store is in {made}, for its owner only; without it the "
            "store cannot be opened"
        )
    service = Rules.of(described).service.name.lower()
    if output.as_json:
        output.document(
            {
                "store": store,
                "store_key_file": None if made is None else str(made),
                "companion": described.name,
                "service": service,
                "meter_pan": str(pan),
                "drn": str(pan.drn),
                "manufactured_tid": state.tids[0],
                "password": state.password is not None,
                "key": key_document(chosen),
            }
        )
        return
    key = (
        f"EA{chosen.key.ea.code}, {attributes.kt.name}, SGC {attributes.sgc}, TI {attributes.ti}, "
        f"KRN {attributes.krn}, KEN {attributes.ken}, base date {attributes.base_date.code}"
    )
    output.pairs(
        [
            ("store", store),
            ("companion", f"{described.name}: {described.title}"),
            ("MeterPAN", str(pan)),
            ("DRN", str(pan.drn)),
            ("key", key),
            *([("password", "set" if state.password else "none")] if described.mode_c else []),
        ]
    )


def _password(described: Companion, file: str | None, output: Output) -> str | None:
    """Return the password of the meter's port; a port of mode C should have one."""
    policy = None if described.mode_c is None else described.mode_c.password
    if file is None:
        if policy is not None:
            output.note(
                "without --password-file no password opens the meter's port, and no client can "
                "write its registers; tokens need none"
            )
        return None
    if policy is None:
        raise Failure(
            f"a meter of the companion {described.name} knows no password; leave --password-file "
            "away, or choose a companion of mode C"
        )
    return secret.password_from_file(file, output)


def _source(companion: str, credit_maximum: int | None) -> CompanionSource:
    """Return the companion as text, with another maximum of credit laid over it."""
    described = load_companion(companion)
    rules = Rules.of(described)
    source = CompanionSource.of(companion)
    if credit_maximum is None:
        return source
    if not credit_maximum:
        raise Failure("--credit-maximum 0 would leave no room for credit; give a larger one")
    units = credit_maximum * rules.policy.credit_unit
    name = described.name
    overlay = f'extends = "{name}"\n\n[meter]\ncredit_maximum = {units}\n'
    return CompanionSource(((f"own/{name}.toml", overlay), *source.files))
