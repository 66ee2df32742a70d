"""The ciphers against a naive reference that shares only the published tables with them."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtc07.tokens import EA, SAMPLE_TABLES, DecoderKey, Service, StaTables, TransferCredit, encode
from vtc07.tokens.ciphers.dea import DEACipher
from vtc07.tokens.ciphers.misty1 import S7, S9, MISTY1Cipher
from vtc07.tokens.ciphers.sta import STACipher

ROOT = Path(__file__).resolve().parents[2]


def load_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("naive_reference", ROOT / "benchmarks/tokens.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = load_reference()

blocks = st.integers(0, 2**64 - 1)
keys64 = st.binary(min_size=8, max_size=8)
keys128 = st.binary(min_size=16, max_size=16)
table_sets = st.builds(
    StaTables,
    st.permutations(range(16)).map(tuple),
    st.permutations(range(16)).map(tuple),
    st.permutations(range(64)).map(tuple),
)


def test_the_misty1_tables_are_those_of_the_rfc() -> None:
    assert (
        hashlib.sha256(S7).hexdigest()
        == "2ef2f333a517fe3bf0d0d4afd2c1d4b743ce2eb4eacd4b65b5e6dbcd4ca733e7"
    )
    s9 = b"".join(entry.to_bytes(2, "big") for entry in S9)
    assert (
        hashlib.sha256(s9).hexdigest()
        == "3921809db7e7b172acd29dbb6e5478d750782b890b2bc1a232139399ab31c7c6"
    )


@given(keys64, blocks)
def test_sta_equals_the_reference_both_ways(key: bytes, block: int) -> None:
    cipher = STACipher(key, SAMPLE_TABLES)
    number = int.from_bytes(key, "big")
    assert cipher.encrypt(block) == REFERENCE.naive_sta(number, block, SAMPLE_TABLES)
    assert cipher.decrypt(block) == REFERENCE.naive_sta(
        number, block, SAMPLE_TABLES, backwards=True
    )
    assert cipher.decrypt(cipher.encrypt(block)) == block


@settings(max_examples=20)
@given(table_sets, keys64, blocks)
def test_sta_works_with_any_table_set(tables: StaTables, key: bytes, block: int) -> None:
    cipher = STACipher(key, tables)
    assert cipher.encrypt(block) == REFERENCE.naive_sta(int.from_bytes(key, "big"), block, tables)
    assert cipher.decrypt(cipher.encrypt(block)) == block


@given(keys128, blocks)
def test_misty1_equals_the_reference_and_decrypts(key: bytes, block: int) -> None:
    cipher = MISTY1Cipher(key)
    assert cipher.encrypt(block) == REFERENCE.naive_misty1(int.from_bytes(key, "big"), block)
    assert cipher.decrypt(cipher.encrypt(block)) == block
    assert cipher.encrypt(cipher.decrypt(block)) == block


@given(keys64, blocks)
def test_dea_has_the_complement_property_of_des_and_decrypts(key: bytes, block: int) -> None:
    cipher = DEACipher(key)
    ones = 2**64 - 1
    complement = DEACipher(bytes(byte ^ 0xFF for byte in key))
    assert complement.encrypt(block ^ ones) == cipher.encrypt(block) ^ ones
    assert cipher.decrypt(cipher.encrypt(block)) == block
    parity_flipped = DEACipher(bytes(byte ^ 1 for byte in key))
    assert parity_flipped.encrypt(block) == cipher.encrypt(block)


@pytest.mark.parametrize("ea", [EA.STA, EA.MISTY1])
@given(data=st.data())
def test_a_whole_encoding_equals_the_reference(ea: EA, data: st.DataObject) -> None:
    material = data.draw(st.binary(min_size=ea.key_bytes, max_size=ea.key_bytes))
    token = TransferCredit(
        data.draw(st.sampled_from(Service)),
        data.draw(st.integers(0, 15)),
        data.draw(st.integers(0, 2**24 - 1)),
        data.draw(st.integers(0, 18_201_624)),
    )
    expected = REFERENCE.naive_credit(token, int.from_bytes(material, "big"), ea)
    assert encode(token, DecoderKey(ea, material)).digits == expected


def test_importing_builds_no_table_and_loads_no_provider() -> None:
    program = (
        "import sys, vtc07.tokens\n"
        "from vtc07.tokens import crc\n"
        "from vtc07.tokens.ciphers import misty1, sta\n"
        "crc_module = sys.modules['vtc07.tokens.crc']\n"
        "caches = (crc_module._slices, misty1._halves_of_fi, sta._words_by_choice)\n"
        "print([cache.cache_info().currsize for cache in caches], 'cryptography' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[0, 0, 0] False"
