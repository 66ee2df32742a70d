"""What a companion says of mode C: `[mode_c]`, its passwords, and `[compatibility]`."""

from __future__ import annotations

from dataclasses import replace

from vtc07.carrier.companion import (
    MS,
    AccessLevel,
    Gate,
    LinkSettings,
    ModeCRule,
    PasswordPolicy,
    S,
    SignOn,
    Timing,
)
from vtc07.carrier.companion_keys import LONGEST_TIME_MS, Keys
from vtc07.carrier.exchange.settings import (
    MODE_C_SPEEDS,
    STANDARD,
    START_SPEED,
    CheckCharacter,
    Compatibility,
    OptionFault,
    ReadCode,
    WriteCode,
)

LARGEST_PARTIAL_BLOCK = 1024
SMALLEST_PARTIAL_BLOCK = 16
_ONLY_MODE_C = 'it says nothing unless sign_on.mode is "mode-c"'
_SWITCHES = (
    "no_readout_bcc",
    "decimal_comma",
    "lf_line_ends",
    "crlf_before_etx",
    "address_not_echoed",
)


def read_mode_c(
    root: Keys, sign_on: SignOn, access: tuple[AccessLevel, ...], timing: Timing
) -> tuple[ModeCRule | None, Timing]:
    """Read `[mode_c]`; t_t is added to ``timing``. Only mode C has such a table."""
    keys = root.table("mode_c", optional=sign_on is SignOn.DIRECT)
    if keys is None:
        return None, timing
    if sign_on is SignOn.DIRECT:
        root.problem("mode_c", _ONLY_MODE_C)
        return None, timing
    fault = keys.choice("option_fault", OptionFault)
    wait_ms = keys.integer("option_wait_ms", 1, LONGEST_TIME_MS)
    if keys.good("option_wait_ms") and wait_ms * MS <= timing.longest_reaction_ns:
        keys.problem(
            "option_wait_ms",
            f"{wait_ms} must be above timing.longest_reaction_ms, which is "
            f"{timing.longest_reaction_ns // MS}: that long a client may take",
        )
    elif keys.good("option_wait_ms") and wait_ms * MS >= timing.inactivity_ns:
        keys.problem(
            "option_wait_ms",
            f"{wait_ms} must be below timing.inactivity_s, which is {timing.inactivity_ns // S}",
        )
    rule = ModeCRule(
        option_fault=fault,
        speeds=_speeds(root, keys),
        partial_block=keys.integer("partial_block", SMALLEST_PARTIAL_BLOCK, LARGEST_PARTIAL_BLOCK),
        mode_e=keys.boolean("mode_e"),
        password=_password(keys, access),
        read=keys.choice("read", ReadCode, ReadCode.R1),
        write=keys.choice("write", WriteCode, WriteCode.W1),
    )
    keys.finish()
    return rule, replace(timing, option_wait_ns=wait_ms * MS)


def _speeds(root: Keys, keys: Keys) -> tuple[int, ...]:
    """Read the speeds that an option select may ask for, the announced one among them."""
    known = tuple(MODE_C_SPEEDS.values())
    speeds = keys.integers("speeds", "a list of speeds such as [300, 2400, 9600]")
    if not keys.good("speeds"):
        return ()
    for index, speed in enumerate(speeds):
        if speed not in known:
            usual = ", ".join(map(str, known))
            keys.element_problem(
                "speeds", index, f"{speed} Bd is no speed of mode C, one of {usual} is wanted"
            )
        elif speed in speeds[:index]:
            keys.element_problem("speeds", index, f"{speed} stands in the list already")
    if START_SPEED not in speeds:
        keys.problem("speeds", f"{START_SPEED} is missing: every session begins with it")
    identity = root.node.children.get("identity")
    z = identity.children.get("baud_identification") if identity is not None else None
    announced = MODE_C_SPEEDS.get(z.value) if z is not None and isinstance(z.value, str) else None
    if keys.good("speeds") and announced is not None and announced not in speeds:
        assert z is not None
        keys.problem(
            "speeds",
            f"{announced} is missing, which identity.baud_identification {z.value!r} announces",
        )
    return tuple(sorted(speeds))


def _password(mode_c: Keys, access: tuple[AccessLevel, ...]) -> PasswordPolicy | None:
    keys = mode_c.table("password", optional=True)
    if keys is None:
        return None
    values = {
        "opens": keys.integer("opens", 1, 9),
        "failures": keys.integer("failures", 1, 255),
        "first_s": keys.integer("first_s", 1, 86400),
        "growth": keys.integer("growth", 1, 10),
        "longest_s": keys.integer("longest_s", 1, 86400),
        "commit_interval_s": keys.integer("commit_interval_s", 1, 3600),
    }
    keys.at_least(values, "longest_s", "first_s")
    keys.at_least(values, "first_s", "commit_interval_s")
    behind = [level.level for level in access if level.gate is Gate.PASSWORD]
    if keys.good("opens") and access and values["opens"] not in behind:
        known = ", ".join(map(str, behind)) or "none"
        keys.problem(
            "opens",
            f"{values['opens']} is no access level with the gate "
            f'"{Gate.PASSWORD.value}": [[access]] has {known}',
        )
    keys.finish()
    return PasswordPolicy(**values)


def read_compatibility(root: Keys, sign_on: SignOn) -> Compatibility:
    """Read `[compatibility]`: every switch is off where it is not given."""
    keys = root.table("compatibility", optional=True)
    if keys is None:
        return STANDARD
    if sign_on is SignOn.DIRECT:
        root.problem("compatibility", _ONLY_MODE_C)
        return STANDARD
    check = keys.choice("check", CheckCharacter, STANDARD.check)
    switches = {key: keys.boolean(key, default=False) for key in _SWITCHES}
    keys.finish()
    return Compatibility(check=check, **switches)


def judge_link_speed(table: Keys, link: LinkSettings, sign_on: SignOn) -> None:
    """Report a port that does not begin at the speed of mode C's sign-on."""
    if sign_on is SignOn.MODE_C and table.good("speed") and link.speed != START_SPEED:
        table.problem(
            "speed",
            f"{link.speed}: mode C begins at {START_SPEED} Bd; what it changes to is said by "
            "identity.baud_identification",
        )
