"""What a meter's companion lays down for its application process, gathered in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from vtc07.carrier.companion import Companion, LockoutPolicy, MeterPolicy, PasswordPolicy, S
from vtc07.carrier.registers import Register, RegisterTable
from vtc07.carrier.status import StatusValues
from vtc07.tokens import Service

#: Registers that stand many times in a table, by the name they share.
ACCEPTED_TID_LOG: Final = "acceptedTID"
TOKEN_LOG: Final = "tokenLog"  # noqa: S105 - a register's name
EVENT_LOG: Final = "eventLog"
LOGS: Final = (ACCEPTED_TID_LOG, TOKEN_LOG, EVENT_LOG)


class CompanionUnfit(ValueError):
    """A companion that our meter cannot serve; the sentence says which part of it and why."""


def log_registers(table: RegisterTable, log: str) -> tuple[Register, ...]:
    """Return the registers of a log, ``log.1`` and so on, in the table's order: newest first."""
    return tuple(register for register in table if register.name.startswith(f"{log}."))


@dataclass(frozen=True, slots=True)
class Rules:
    """A companion's meter policy, lockout and status numbers, ready for the application process.

    ``token_log_size`` and ``event_log_size``: entries kept, as many as the RegisterTable shows.
    ``power_limit_served``, ``unbalance_limit_served``: whether the RegisterTable has the limit,
    without which the token that sets it gets FunctionError (our choice). ``password``: None where
    the port knows no password.
    """

    service: Service
    policy: MeterPolicy
    lockout: LockoutPolicy
    statuses: StatusValues
    token_log_size: int
    event_log_size: int
    power_limit_served: bool
    unbalance_limit_served: bool
    password: PasswordPolicy | None

    @classmethod
    def of(cls, companion: Companion) -> Self:
        """Gather them; CompanionUnfit where the companion describes another maker's meter."""
        policy = companion.meter
        if policy is None:
            raise CompanionUnfit(
                f"The companion {companion.name} describes another maker's meter and has no meter "
                "policy; choose one of the companions that our meter serves."
            )
        return cls(
            service=Service[policy.service.upper()],
            policy=policy,
            lockout=companion.lockout,
            statuses=companion.token_entry.status,
            token_log_size=len(log_registers(companion.table, TOKEN_LOG)),
            event_log_size=len(log_registers(companion.table, EVENT_LOG)),
            power_limit_served=companion.table.has("maximumPowerLimit"),
            unbalance_limit_served=companion.table.has("maximumPhasePowerUnbalanceLimit"),
            password=None if companion.mode_c is None else companion.mode_c.password,
        )

    @property
    def key_change_timeout_ns(self) -> int:
        """Powered time for which a staged key change section is kept, in ns."""
        return self.policy.key_change_timeout_s * S

    @property
    def trip_delay_ns(self) -> int:
        """Powered time after which a limit trip ends, in ns."""
        return self.policy.trip_delay_s * S
