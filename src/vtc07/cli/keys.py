"""The key of a meter as the command line names it: where it comes from and what belongs to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from vtc07.cli import parameters, secret
from vtc07.cli.failure import Failure
from vtc07.cli.output import Output
from vtc07.tokens import (
    DKGA,
    EA,
    KEN,
    KRN,
    KT,
    SAMPLE_TABLES,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    StaTables,
    VendingKey,
    derive_decoder_key,
    load_tables,
)

F = TypeVar("F", bound=Callable[..., Any])

VENDING_KEY: Final = "VTC07_VENDING_KEY"
DECODER_KEY: Final = "VTC07_DECODER_KEY"
STA_TABLES: Final = "VTC07_STA_TABLES"

#: Published for testing by the STS Association: known to everybody, worth nothing.
TEST_PAN: Final = MeterPAN("600727000000000009")
TEST_SGC: Final = SGC("201457")
_NO_SGC: Final = SGC("000000")
_TEST_VENDING_KEYS: Final = {
    DKGA.DKGA02: "ABABABABABABABAB",
    DKGA.DKGA04: "ABABABABABABABAB949494949494949401234567",
}
_TEST_KEY_NOTE: Final = (
    "this is the public test vending key, which everybody knows: never use it for real money"
)
_LARGEST_TABLES: Final = 65536


def test_vending_key(dkga: DKGA | None) -> VendingKey:
    """Return the published test key; DKGA01 and 03 are refused where a key is derived."""
    return VendingKey.from_hex(
        _TEST_VENDING_KEYS[DKGA.DKGA02 if dkga is DKGA.DKGA02 else DKGA.DKGA04]
    )


def test_key_note(output: Output) -> None:
    """Say plainly that the test key is used."""
    output.warning(_TEST_KEY_NOTE)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What the options of one key say; None where an option is not given.

    ``ea`` is settled by `with_algorithm` once the key is known.
    """

    pan: MeterPAN | None
    dkga: DKGA | None
    ea: EA | None
    sgc: SGC | None
    ti: TI
    krn: KRN
    kt: KT
    ken: KEN
    base_date: BaseDate
    vending_key_file: str | None
    decoder_key_file: str | None
    test_key: bool
    sta_tables: str | None
    allow_unknown_tables: bool

    @property
    def algorithm(self) -> EA:
        """The encryption algorithm; to be asked for after `with_algorithm` alone."""
        assert self.ea is not None
        return self.ea

    def with_algorithm(self, *, short_key: bool) -> KeyOptions:
        """Settle the encryption algorithm where none is named.

        EA07 where STA tables are, or where the key cannot be for EA11 (``short_key``: a vending
        key for DKGA02, a decoder key of 64 bits); EA11 otherwise.
        """
        if self.ea is not None:
            return self
        return replace(self, ea=EA.STA if short_key or self.sta_tables else EA.MISTY1)


@dataclass(frozen=True, slots=True)
class ChosenKey:
    """A key, what belongs to it, and the meter that it is of.

    ``meter_pan``: None where a raw decoder key was given without a meter. ``vending_key``: None
    where the decoder key was given raw. ``sgc_known``: False where nobody named the supply group
    of a raw key; the one in ``attributes`` then means nothing.
    """

    key: DecoderKey
    attributes: KeyAttributes
    meter_pan: MeterPAN | None
    vending_key: VendingKey | None
    test_key: bool
    sgc_known: bool = True


def attribute_options(prefix: str = "") -> Callable[[F], F]:
    """Options of what belongs to a key: SGC, TI, KRN, KT, KEN, base date."""
    return _all(
        click.option(
            f"--{prefix}sgc",
            type=parameters.SUPPLY_GROUP,
            help=f"Supply group code, 6 digits ({TEST_SGC} with the test key).",
        ),
        click.option(
            f"--{prefix}ti", type=parameters.TARIFF_INDEX, default=TI("01"), show_default=True,
            help="Tariff index, 00 to 99.",
        ),
        click.option(
            f"--{prefix}krn", type=parameters.KEY_REVISION, default=KRN(1), show_default=True,
            help="Key revision number, 1 to 9.",
        ),
        click.option(
            f"--{prefix}kt", type=parameters.KEY_TYPE, default=KT.DUTK, show_default="2, DUTK",
            help="Key type: 0 DITK, 1 DDTK, 2 DUTK, 3 DCTK.",
        ),
        click.option(
            f"--{prefix}ken", type=parameters.KEY_EXPIRY, default=KEN(255),
            show_default="255, never", help="Key expiry number, 0 to 255.",
        ),
        click.option(
            f"--{prefix}base-date", type=parameters.BASE, default=BaseDate.Y2014, show_default="14",
            help="Base date of TIDs: 93, 14 or 35.",
        ),
    )  # fmt: skip


def source_options(function: F) -> F:
    """Options of where a key comes from."""
    return _all(
        click.option(
            "--pan", type=parameters.PAN, metavar="PAN",
            help=f"MeterPAN or DRN of the meter ({TEST_PAN} with the test key).",
        ),
        click.option(
            "--vending-key-file", metavar="FILE",
            help=f"File with the vending key in hexadecimal, - for stdin; else {VENDING_KEY}.",
        ),
        click.option(
            "--decoder-key-file", metavar="FILE",
            help=f"File with the meter's decoder key itself; else {DECODER_KEY}.",
        ),
        click.option(
            "--test-key", is_flag=True,
            help="The published test vending key; never for real money.",
        ),
        click.option(
            "--dkga", type=parameters.DERIVATION,
            help="Key derivation, 02 or 04; by default that of the vending key's length.",
        ),
        click.option(
            "--ea", type=parameters.ALGORITHM,
            help="Encryption algorithm: 07 STA, 11 MISTY1 (09 DEA is withdrawn); by default 11, "
            "or 07 for a key of DKGA02 or where --sta-tables is given.",
        ),
        click.option(
            "--sta-tables", metavar="FILE",
            help=f"STA tables for EA07 (JSON); else {STA_TABLES}, else the sample set.",
        ),
        click.option(
            "--allow-unknown-tables", is_flag=True,
            help="Take STA tables that are neither the sample nor the actual set.",
        ),
    )(function)  # fmt: skip


def key_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all options of a key; they arrive as one `KeyOptions`, ``key_options``."""
    names = [field.name for field in fields(KeyOptions)]

    @functools.wraps(function)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        options = KeyOptions(**{name: kwargs.pop(name) for name in names})
        return function(*args, key_options=options, **kwargs)

    return source_options(attribute_options()(gathered))


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


# --- from options to keys -----------------------------------------------------------------------


def choose(options: KeyOptions, output: Output, *, newcomer: bool = False) -> ChosenKey:
    """Return the key that the options, the environment or the user name, or raise Failure.

    ``newcomer``: without any key the published test key is taken; else it must be asked for.
    """
    given = [
        name
        for name, value in (
            ("--vending-key-file", options.vending_key_file),
            ("--decoder-key-file", options.decoder_key_file),
            ("--test-key", options.test_key),
        )
        if value
    ]
    if len(given) > 1:
        raise Failure(f"{' and '.join(given)} name different keys; give one of them")
    vending_text: str | None = None
    decoder_text: str | None = None
    test_key = options.test_key
    if options.vending_key_file:
        vending_text = secret.from_file(options.vending_key_file, "the vending key", output)
    elif options.decoder_key_file:
        decoder_text = secret.from_file(options.decoder_key_file, "the decoder key", output)
    elif not test_key:
        vending_text = secret.from_environment(VENDING_KEY)
        decoder_text = secret.from_environment(DECODER_KEY)
        if vending_text and decoder_text:
            raise Failure(
                f"{VENDING_KEY} and {DECODER_KEY} are both set; unset one of them, or name the "
                "key with --vending-key-file or --decoder-key-file"
            )
        if not (vending_text or decoder_text):
            if newcomer:
                test_key = True
            elif secret.is_asked_at_a_terminal():
                vending_text = secret.from_prompt("Vending key")
            else:
                raise Failure(
                    f"no key is given: use --vending-key-file or --decoder-key-file, set "
                    f"{VENDING_KEY} or {DECODER_KEY}, or say --test-key for the public test key"
                )
    if decoder_text is not None:
        short = len("".join(decoder_text.split())) <= 2 * EA.STA.key_bytes
        options = options.with_algorithm(short_key=short)
        key = DecoderKey.from_hex(options.algorithm, decoder_text, sta_tables(options, output))
        _say_what_is_withdrawn(options.algorithm, output)
        if newcomer and options.sgc is None:
            raise Failure("a meter belongs to a supply group: give its SGC with --sgc")
        attributes = _attributes(options, options.sgc or _NO_SGC)
        return ChosenKey(
            key,
            attributes,
            options.pan,
            vending_key=None,
            test_key=False,
            sgc_known=options.sgc is not None,
        )
    if test_key:
        if options.kt is KT.DITK and newcomer:
            raise Failure(
                "a DITK (KT 0) is not derived from a vending key: the manufacturer loads it; give "
                "it with --decoder-key-file"
            )
        vending_key = test_vending_key(options.dkga)
        test_key_note(output)
    else:
        assert vending_text is not None
        vending_key = VendingKey.from_hex(vending_text)
    short = (options.dkga or vending_key.dkga) is DKGA.DKGA02
    options = options.with_algorithm(short_key=short)
    tables = sta_tables(options, output)
    return derived(options, vending_key, tables, output, test_key=test_key, newcomer=newcomer)


def derived(
    options: KeyOptions,
    vending_key: VendingKey,
    tables: StaTables,
    output: Output,
    *,
    test_key: bool,
    newcomer: bool = False,
) -> ChosenKey:
    """Derive a meter's key; Failure where the meter or its supply group is not known."""
    pan, sgc = options.pan, options.sgc
    if test_key or newcomer:
        pan, sgc = pan or TEST_PAN, sgc or TEST_SGC
    if pan is None:
        raise Failure("a key is derived for one meter: give its MeterPAN or DRN with --pan")
    if sgc is None:
        raise Failure("a vending key belongs to a supply group: give its SGC with --sgc")
    attributes = _attributes(options, sgc)
    key = derive_decoder_key(
        options.dkga or vending_key.dkga,
        vending_key,
        pan,
        attributes.kt,
        attributes.sgc,
        attributes.ti,
        attributes.krn,
        attributes.base_date,
        options.algorithm,
        tables,
    )
    _say_what_is_withdrawn(options.algorithm, output)
    if options.algorithm is EA.STA and tables.name == "sample" and not test_key:
        output.note(
            "the sample STA tables are used; meters in the field have the actual set, which "
            "--sta-tables names"
        )
    return ChosenKey(key, attributes, pan, vending_key, test_key)


def sta_tables(options: KeyOptions, output: Output) -> StaTables:
    """Return the STA tables that the options or the environment name, or the sample set."""
    path = options.sta_tables or secret.from_environment(STA_TABLES)
    if path is None or options.algorithm is not EA.STA:
        return SAMPLE_TABLES
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_LARGEST_TABLES + 1)
    except OSError as error:
        raise Failure(
            f"the STA tables cannot be read from {path}: {error.strerror}; give the name of the "
            "JSON file that holds them"
        ) from error
    if len(content) > _LARGEST_TABLES:
        raise Failure(f"{path} is no file of STA tables: it is longer than {_LARGEST_TABLES} bytes")
    tables = load_tables(content, allow_unknown=options.allow_unknown_tables)
    if tables.name == "unknown":
        output.warning(f"the STA tables in {path} are neither the sample nor the actual set")
    return tables


def _attributes(options: KeyOptions, sgc: SGC) -> KeyAttributes:
    return KeyAttributes(options.kt, sgc, options.ti, options.krn, options.ken, options.base_date)


def _say_what_is_withdrawn(ea: EA, output: Output) -> None:
    if ea.withdrawn:
        output.warning("EA09 (DEA) is withdrawn; it serves old meters only")
