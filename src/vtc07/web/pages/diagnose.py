"""What is wrong: with the meter, or with a token that it refused."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.hhu.diagnosis.facts import Receipt
from vtc07.hhu.diagnosis.run import Diagnosis
from vtc07.hhu.texts import Said, said
from vtc07.screens.diagnosing import CERTAINTY, SIGNS, look_into, verdict
from vtc07.screens.receipt_entry import FIELDS, ReceiptError, receipt_of
from vtc07.trace.values import grouped
from vtc07.web.sending import Sending
from vtc07.web.station import Busy, Station
from vtc07.web.view import Refused, View, part

_PAGE: Final = "diagnose"
#: So long is what stands in a field at most.
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """The receipt as it was typed last, by the names of its fields; a token is not in repr."""

    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out last at the place, of which meter."""

    diagnosis: Diagnosis
    meter_pan: str | None


@part("findings")
def findings(view: View) -> Mapping[str, object]:
    """Return what was found out."""
    found = view.station.kept(Found)
    diagnosis = None if found is None else found.diagnosis
    token = "" if diagnosis is None else diagnosis.token or ""
    return {
        "found": diagnosis,
        "meter_pan": None if found is None else found.meter_pan,
        "verdict": None if diagnosis is None else verdict(diagnosis),
        "token": grouped(token) if token.isdigit() else token,
        "signs": SIGNS,
        "certainty": CERTAINTY,
    }


async def show(request: Request) -> Response:
    """Show the receipt, and what was found out."""
    return _page(View(request))


def _page(
    view: View,
    typed: Mapping[str, str] | None = None,
    error: ReceiptError | None = None,
    wrong: Said | None = None,
) -> Response:
    """Return the page. ``typed``: in place of what is kept; ``error``: in which field, and why."""
    asked = view.station.kept(Asked) or Asked()
    return view.page(
        "diagnose.html",
        200 if error is None and wrong is None else 422,
        here=view.station,
        fields=FIELDS,
        typed=asked.fields if typed is None else typed,
        error=error,
        wrong=wrong,
    )


async def ask(request: Request) -> Response:
    """Look into it, with what the receipt says."""
    view = View(request)
    form = await view.form()
    typed = {name: form.get(name, "")[:_LONGEST] for name, _ in FIELDS}
    try:
        receipt = receipt_of(typed, None)
    except ReceiptError as error:
        if view.is_quiet:
            raise Refused(error.said, 422) from None
        return _page(view, typed, error)
    try:
        begin(view.station, typed, receipt)
    except Busy as busy:
        if view.is_quiet:
            raise
        return _page(view, typed, wrong=busy.said)
    return view.go(view.at(_PAGE))


async def refused(request: Request) -> Response:
    """Look into why a token was refused just now."""
    view = View(request)
    sending = view.station.kept(Sending)
    number = (await view.form()).get("draft")
    if sending is None or not sending.is_of(number) or not sending.refused:
        raise Refused(said("No token was refused here just now."))
    if sending.meter_pan != view.station.target.meter_pan:
        raise Refused(
            said("Another meter is meant here now. Look whether the tokens are for that one.")
        )
    typed = {"token": grouped(sending.refused)}
    begin(view.station, typed, receipt_of(typed, None))
    return view.go(view.at(_PAGE))


async def afresh(request: Request) -> Response:
    """Empty the receipt, and forget what was found."""
    view = View(request)
    view.station.forget(Asked)
    view.station.forget(Found)
    return view.go(view.at(_PAGE))


def begin(station: Station, typed: Mapping[str, str], receipt: Receipt) -> None:
    """Begin to look into it, and keep what was typed; Busy where something else is under way."""
    setting, target = station.desk.setting, station.target

    def done(found: Diagnosis) -> None:
        station.keep(Found(found, target.meter_pan))
        station.say(*verdict(found), page=_PAGE)

    station.begin(
        said("looking into what is wrong"),
        functools.partial(
            look_into,
            target=target,
            receipt=receipt,
            journal=setting.journal,
            wall_clock=setting.wall_clock,
        ),
        done,
    )
    station.forget(Found)
    station.keep(Asked(dict(typed)))


ROUTES: Final = (
    Route("/at/{station}/diagnose", show),
    Route("/at/{station}/diagnose", ask, methods=["POST"]),
    Route("/at/{station}/diagnose/refused", refused, methods=["POST"]),
    Route("/at/{station}/diagnose/afresh", afresh, methods=["POST"]),
)
