"""Key change in the meter: staging of sections, and the change once the set is complete.

IEC 62055-41 6.5.2 for key types, 8.9 for the tokens; the split of the refusals and the
repetition of sections are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vtc07.carrier.status import TokenStatus
from vtc07.meter.logs import EventName
from vtc07.meter.rules import Rules
from vtc07.meter.state import MeterState, Staging
from vtc07.tokens import (
    EA,
    KRN,
    KT,
    SGC,
    TI,
    AssembledKey,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    KeyChangeSection,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    assemble_key,
    missing_sections,
)

#: The status of a section that does not complete the set.
STAGED: Final[Mapping[int, TokenStatus]] = {
    3: TokenStatus.FIRST_KCT,
    4: TokenStatus.SECOND_KCT,
    8: TokenStatus.THIRD_KCT,
    9: TokenStatus.FOURTH_KCT,
}

# Which key types a key may be changed to. DCTK is for magnetic card meters: never reached here.
_CHILDREN: Final[Mapping[KT, frozenset[KT]]] = {
    KT.DITK: frozenset({KT.DITK, KT.DDTK, KT.DUTK}),
    KT.DDTK: frozenset({KT.DDTK, KT.DUTK}),
    KT.DUTK: frozenset({KT.DUTK, KT.DDTK}),
    KT.DCTK: frozenset(),
}

_MAXIMUM_SGC: Final = 999_999


def take(
    state: MeterState, section: KeyChangeSection, rules: Rules
) -> tuple[MeterState, TokenStatus]:
    """Judge a section and stage it, or change the key if it completes the set.

    A refused section leaves the state, and what is staged, as it was.
    """
    refusal = _refusal(state, section)
    if refusal is not None:
        return state, refusal
    staged = () if state.staging is None else state.staging.sections
    sections = {other.subclass: other for other in staged} | {section.subclass: section}
    if missing_sections(sections.values(), state.key.ea):
        staging = Staging(
            tuple(sections[subclass] for subclass in sorted(sections)),
            state.powered_ns + rules.key_change_timeout_ns,
        )
        return replace(state, staging=staging), STAGED[section.subclass]
    new = assemble_key(sections.values(), state.key.ea)
    if new.sgc is not None and new.sgc > _MAXIMUM_SGC:
        return state, TokenStatus.RANGE_ERROR
    changed = _changed(state, new)
    return changed.with_event(rules, EventName.KEY_CHANGE, new.krn), TokenStatus.ACCEPT


def _refusal(state: MeterState, section: KeyChangeSection) -> TokenStatus | None:
    match section:
        case Set1stSectionDecoderKey():
            after_last = section.ro and state.attributes.base_date is BaseDate.Y2035
            if not 1 <= section.krn <= 9 or after_last:
                return TokenStatus.RANGE_ERROR
            if KT(section.kt) not in _CHILDREN[state.attributes.kt]:
                return TokenStatus.KEY_TYPE_ERROR
        case Set2ndSectionDecoderKey():
            if section.ti > 99:
                return TokenStatus.RANGE_ERROR
        case Set3rdSectionDecoderKey():
            if state.key.ea is not EA.MISTY1 and section.pad20:
                return TokenStatus.FORMAT_ERROR
        case Set4thSectionDecoderKey():
            if state.key.ea is not EA.MISTY1:
                return TokenStatus.FUNCTION_ERROR
    return None


def _changed(state: MeterState, new: AssembledKey) -> MeterState:
    """Return the state under the new key; what had not come with it stays."""
    old = state.attributes
    attributes = KeyAttributes(
        kt=KT(new.kt),
        sgc=old.sgc if new.sgc is None else SGC.of(new.sgc),
        ti=TI.of(new.ti),
        krn=KRN(new.krn),
        ken=new.ken,
        base_date=old.base_date.next() if new.ro else old.base_date,
    )
    return replace(
        state,
        key=DecoderKey(new.ea, new.material, state.key.tables),
        attributes=attributes,
        tids=(0,) * len(state.tids) if new.ro else state.tids,
        staging=None,
    )
