"""``vtc07 token keychange``: the tokens that take a meter from one key to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import click

from vtc07.cli import parameters, secret
from vtc07.cli.failure import Failure
from vtc07.cli.issuing import key_document
from vtc07.cli.keys import (
    ChosenKey,
    KeyOptions,
    attribute_options,
    choose,
    derived,
    source_options,
    sta_tables,
    test_key_note,
    test_vending_key,
)
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.tokens import (
    EA,
    KT,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    OutOfRange,
    VendingKey,
    key_change_set,
)

TO_VENDING_KEY: Final = "VTC07_TO_VENDING_KEY"

#: Allowed changes of the key type (IEC 62055-41 6.5.2.3 in part, our choice for the rest).
_CHANGES: Final = {
    KT.DITK: (KT.DITK, KT.DDTK, KT.DUTK, KT.DCTK),
    KT.DDTK: (KT.DDTK, KT.DUTK),
    KT.DUTK: (KT.DUTK, KT.DDTK),
    KT.DCTK: (KT.DCTK,),
}
_SECTIONS: Final = {
    2: ((3, "1stKCT"), (4, "2ndKCT")),
    3: ((3, "1stKCT"), (4, "2ndKCT"), (8, "3rdKCT")),
    4: ((3, "1stKCT"), (4, "2ndKCT"), (8, "3rdKCT"), (9, "4thKCT")),
}
_NAMES: Final = {
    3: "Set1stSectionDecoderKey",
    4: "Set2ndSectionDecoderKey",
    8: "Set3rdSectionDecoderKey",
    9: "Set4thSectionDecoderKey",
}
_ATTRIBUTES: Final = ("sgc", "ti", "krn", "kt", "ken", "base_date")


def _to_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, kind, said in reversed(
        (
            ("sgc", parameters.SUPPLY_GROUP, "supply group code"),
            ("ti", parameters.TARIFF_INDEX, "tariff index"),
            ("krn", parameters.KEY_REVISION, "key revision number"),
            ("kt", parameters.KEY_TYPE, "key type"),
            ("ken", parameters.KEY_EXPIRY, "key expiry number"),
            ("base-date", parameters.BASE, "base date; it can only go on to the next"),
        )
    ):
        function = click.option(
            f"--to-{name}", type=kind, help=f"New {said}; by default as it is."
        )(function)
    return function


@click.command(
    epilog=examples(
        "vtc07 token keychange --test-key --to-krn 2",
        "vtc07 token keychange --vending-key-file old.hex --to-vending-key-file new.hex \\",
        "    --pan 600727111111111153 --from-sgc 201457 --to-sgc 201458",
    )
)
@source_options
@attribute_options("from-")
@_to_options
@click.option(
    "--to-vending-key-file",
    metavar="FILE",
    help=f"File with the new vending key; else {TO_VENDING_KEY}, else the same as now.",
)
@click.option(
    "--to-decoder-key-file", metavar="FILE", help="File with the new decoder key itself (DITK)."
)
@click.option("--to-test-key", is_flag=True, help="To the published test vending key.")
@click.option(
    "--with-sgc", is_flag=True, help="Send the SGC even where it stays (a third token, EA07)."
)
@json_option
@click.pass_obj
def keychange(
    output: Output,
    /,
    *,
    to_vending_key_file: str | None,
    to_decoder_key_file: str | None,
    to_test_key: bool,
    with_sgc: bool,
    **options: Any,
) -> None:
    """Issue the key change set of a meter: 2, 3 or 4 tokens, to be entered one set at a time.

    The --from options, --pan and the key say what the meter has now; the --to options what it
    gets. Whatever is not named stays. The set carries the SGC where it changes.
    """
    now_attributes = {name: options.pop(f"from_{name}") for name in _ATTRIBUTES}
    new_attributes = {
        name: now_attributes[name] if (new := options.pop(f"to_{name}")) is None else new
        for name in _ATTRIBUTES
    }
    now = KeyOptions(**now_attributes, **options)
    to_key_files = [
        name for name in (to_vending_key_file, to_decoder_key_file, to_test_key) if name
    ]
    if len(to_key_files) > 1:
        raise Failure("several --to keys are named; give one of them")
    to_environment = secret.from_environment(TO_VENDING_KEY)
    if now_attributes == new_attributes and not (to_key_files or to_environment):
        raise Failure("nothing would change; say with a --to option what the meter is to get")
    base, new_base = now_attributes["base_date"], new_attributes["base_date"]
    _refuse_impossible(now_attributes["kt"], new_attributes["kt"], base, new_base)
    current = choose(now, output)
    target = replace(now, **new_attributes, pan=current.meter_pan, ea=current.key.ea)
    if target.sgc is None and current.sgc_known:
        target = replace(target, sgc=current.attributes.sgc)
    if target.sgc is None and not to_test_key:
        _require_no_sgc(target, derives=to_decoder_key_file is None, with_sgc=with_sgc)
    if to_decoder_key_file:
        text = secret.from_file(to_decoder_key_file, "the new decoder key", output)
        key = DecoderKey.from_hex(target.algorithm, text, sta_tables(target, output))
        new = replace(
            current,
            key=key,
            attributes=_attributes(target, current),
            vending_key=None,
            sgc_known=target.sgc is not None,
        )
    else:
        vending_key = _new_vending_key(
            to_vending_key_file, to_environment, current, target, output, to_test_key=to_test_key
        )
        to_test = to_test_key or (current.test_key and vending_key == current.vending_key)
        tables = sta_tables(target, output)
        new = derived(target, vending_key, tables, output, test_key=to_test)
    three = target.algorithm is not EA.MISTY1 and (
        with_sgc
        or (new.sgc_known and not current.sgc_known)
        or new.attributes.sgc != current.attributes.sgc
    )
    tokens = key_change_set(
        current.key, new.key, new.attributes, ro=base is not new_base, three_kct=three
    )
    sections = _SECTIONS[len(tokens)]
    rows = []
    for (subclass, result), data in zip(sections, tokens, strict=True):
        expected = "Accept" if (subclass, result) == sections[-1] else result
        rows.append((_NAMES[subclass], expected, data))
    if output.as_json:
        output.document(
            {
                "tokens": [
                    {"token": data.digits, "grouped": data.grouped, "section": name, "result": said}
                    for name, said, data in rows
                ],
                "from": key_document(current),
                "to": key_document(new),
                "base_date_rolls_over": base is not new_base,
            }
        )
        return
    output.table(
        ["token", "section", "the meter's result"],
        [[data.grouped, name, said] for name, said, data in rows],
    )


def _require_no_sgc(target: KeyOptions, *, derives: bool, with_sgc: bool) -> None:
    """Refuse a change that needs the SGC of a raw key of which nobody named it."""
    if derives:
        why = "the new key is derived for a supply group"
    elif target.algorithm is EA.MISTY1:
        why = "a set of four tokens carries the SGC"
    elif with_sgc:
        why = "--with-sgc sends the SGC"
    else:
        return
    raise Failure(f"{why}: give the one that stays with --from-sgc, or a new one with --to-sgc")


def _refuse_impossible(now: KT, new: KT, base: BaseDate, new_base: BaseDate) -> None:
    if new not in _CHANGES[now]:
        allowed = ", ".join(f"{int(kt)} {kt.name}" for kt in _CHANGES[now])
        raise Failure(
            f"no key change leads from KT {int(now)} ({now.name}) to KT {int(new)} ({new.name}); "
            f"possible are {allowed}"
        )
    if new_base is base:
        return
    try:
        following = base.next()
    except OutOfRange:
        following = None
    if new_base is not following:
        possible = "nothing" if following is None else following.code
        raise Failure(
            f"a base date of {base.code} cannot become {new_base.code}: {possible} follows it"
        )


def _new_vending_key(
    file: str | None,
    from_environment: str | None,
    current: ChosenKey,
    target: KeyOptions,
    output: Output,
    *,
    to_test_key: bool,
) -> VendingKey:
    if to_test_key:
        test_key_note(output)
        return test_vending_key(target.dkga)
    if file is not None:
        return VendingKey.from_hex(secret.from_file(file, "the new vending key", output))
    if from_environment is not None:
        return VendingKey.from_hex(from_environment)
    if current.vending_key is not None:
        return current.vending_key
    if secret.is_asked_at_a_terminal():
        return VendingKey.from_hex(secret.from_prompt("New vending key"))
    raise Failure(
        "the new key is not known: give --to-vending-key-file, --to-decoder-key-file or "
        f"--to-test-key, or set {TO_VENDING_KEY}"
    )


def _attributes(target: KeyOptions, current: ChosenKey) -> KeyAttributes:
    return KeyAttributes(
        target.kt,
        target.sgc or current.attributes.sgc,
        target.ti,
        target.krn,
        target.ken,
        target.base_date,
    )
