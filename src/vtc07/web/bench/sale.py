"""A point of sale for one meter of the bench."""

from __future__ import annotations

from collections.abc import Mapping

from vtc07.web.bench.facts import Issued, Kind, Offer


class PointOfSale:
    """Issues tokens for one meter, with keys that were made at random for it alone."""

    def __init__(self, kind: Kind) -> None:
        raise NotImplementedError

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What can be had for this meter, the tokens for training last."""
        raise NotImplementedError

    @property
    def issued(self) -> tuple[Issued, ...]:
        """What was issued, the newest last."""
        raise NotImplementedError

    def issue(self, what: str, fields: Mapping[str, str]) -> Issued:
        """Issue what an offer of this name is; BenchRefused where a field is not as it must be."""
        raise NotImplementedError
