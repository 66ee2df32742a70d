"""``vtc07 token decode``: what tokens mean."""

from __future__ import annotations

from typing import Any

import click

from vtc07.cli import describe, parameters, secret
from vtc07.cli.failure import Failure
from vtc07.cli.issuing import token_document
from vtc07.cli.keys import DECODER_KEY, VENDING_KEY, ChosenKey, KeyOptions, choose, key_options
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.tokens import TokenData, TokenError, decode

_NEEDS_KEY = "needs a key"
_HOW = (
    "tokens of class 0 and 2 are encrypted and need a key: give --decoder-key-file, or "
    "--vending-key-file with --pan and --sgc, or --test-key"
)


@click.command(
    "decode",
    epilog=examples(
        'vtc07 token decode "0000 0002 2002 4800 7208"',
        "vtc07 token decode 0000 0002 2002 4800 7208",
        "vtc07 token decode --test-key --json 12345678901234567890",
    ),
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...")
@json_option
@key_options
@click.pass_obj
def decode_command(output: Output, tokens: tuple[str, ...], key_options: KeyOptions) -> None:
    """Say what tokens mean.

    Class 1 is in clear. Classes 0 and 2 need the meter's key: the decoder key itself, or a
    vending key with the attributes of the meter's key.
    """
    datas = parameters.tokens_of(tokens)
    encrypted = any(data.token_class in (0, 2) for data in datas)
    chosen = _key(key_options, output) if encrypted else None
    documents = [_document(data, chosen) for data in datas]
    if output.as_json:
        output.document({"tokens": documents})
    else:
        rows = [[document["grouped"], _meaning(document)] for document in documents]
        output.table(["token", "meaning"], rows)
    problems = [document["problem"] for document in documents if "problem" in document]
    if _NEEDS_KEY in problems:
        raise Failure(_HOW)
    if problems:
        raise Failure(
            problems[0] if len(problems) == 1 else f"{len(problems)} tokens: {problems[0]}"
        )


def _key(options: KeyOptions, output: Output) -> ChosenKey | None:
    """Return the key if one is named in any way; a meter named without a key is asked about."""
    named = options.vending_key_file or options.decoder_key_file or options.test_key
    in_environment = any(map(secret.from_environment, (VENDING_KEY, DECODER_KEY)))
    asked = options.pan is not None and secret.is_asked_at_a_terminal()
    return choose(options, output) if named or in_environment or asked else None


def _document(data: TokenData, chosen: ChosenKey | None) -> dict[str, Any]:
    if data.token_class in (0, 2) and chosen is None:
        return token_document(data, {"class": data.token_class, "problem": _NEEDS_KEY})
    key = None if chosen is None else chosen.key
    try:
        token = decode(data, key)
    except TokenError as error:
        return token_document(data, {"class": data.token_class, "problem": str(error)})
    base_date = None if chosen is None else chosen.attributes.base_date
    return token_document(data, describe.describe(token, base_date, key))


def _meaning(document: dict[str, Any]) -> str:
    if "problem" in document:
        return f"class {document['class']}: {document['problem']}"
    return describe.sentence({k: v for k, v in document.items() if k not in ("token", "grouped")})
