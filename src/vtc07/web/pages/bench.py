"""The bench: a meter's front panel, the line, the unit beside it, and a point of sale.

Whatever is done here is done to a virtual meter; the unit is the application's own, and what it
shows are the same parts as on its own pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from vtc07.hhu.texts import said
from vtc07.screens.delivering import can_be_key_change
from vtc07.screens.meter_line import Target
from vtc07.web.bench.facts import KEYS, KINDS, TIME_FACTORS, WHY_OPEN
from vtc07.web.pages.bench_typing import Typist
from vtc07.web.pages.connect import Open
from vtc07.web.pages.deliver import drafted, gather, look_up
from vtc07.web.sending import Sending
from vtc07.web.station import Station
from vtc07.web.view import Refused, View, event, is_number, part

if TYPE_CHECKING:
    from vtc07.web.bench.bench import Bench, BenchMeter
    from vtc07.web.bench.facts import LineCharacter

#: The steps of a slider, in W or l/h.
_STEPS: Final = {"W": 100, "l/h": 20}
#: The lamp blinks faster from each of these impulses per hour on; to the eye, not counted.
_PACES: Final = (1, 400, 1_000, 2_500, 6_000)
#: The keys of a keypad in the order of their rows.
_ROWS: Final = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "back", "0", "enter")
#: So many characters that passed before are shown to a page that is opened.
_EARLIER: Final = 400
#: Characters are sent on so often, in s; and so often something is said at least.
_PACE_S: Final = 0.05
_HEARTBEAT_S: Final = 15


def _place(view: View, name: str) -> Station:
    """Return the unit's place at a meter of the bench; Refused (404) where there is none."""
    meter = _meter(view, name)
    target = Target.typed(meter.address, meter.kind.companion)
    return view.desk.station_at(replace(target, password=meter.password))


def _bench(view: View) -> Bench:
    bench = view.desk.bench
    if bench is None:
        raise Refused(said("There is no bench here: start vtc07 web with --bench."), 404)
    return bench


def _meter(view: View, name: str) -> BenchMeter:
    try:
        return _bench(view).meter(name)
    except KeyError:
        raise Refused(said("The bench has no such meter; choose one."), 404) from None


def _here(view: View) -> BenchMeter:
    """Return the meter that a page, or a part of one, is about."""
    name = view.request.path_params.get("meter")
    if name is None:
        name = view.station.target.address.removeprefix("inner:")
    return _meter(view, str(name))


def _seen(request: Request) -> tuple[View, BenchMeter]:
    view = View(request)
    return view, _here(view)


def _back(view: View, meter: BenchMeter) -> Response:
    return view.go(f"/bench/{meter.kind.name}")


# --- what the page consists of -------------------------------------------------------------------


def _panel(view: View) -> dict[str, object]:
    meter = _here(view)
    return {"kind": meter.kind, "panel": meter.panel(), "reasons": WHY_OPEN}


@part("bench_display")
def display(view: View) -> Mapping[str, object]:
    """Return what the meter's display shows, and the key that was pressed last."""
    return {**_panel(view), "pressed": _typist(view).pressed}


@part("bench_said")
def told(view: View) -> Mapping[str, object]:
    """Return what is told to those who do not see the panel: results, and what changes."""
    return _panel(view)


@part("bench_switch")
def switch(view: View) -> Mapping[str, object]:
    """Return the load switch: a picture, and why it is open."""
    return _panel(view)


@part("bench_led")
def led(view: View) -> Mapping[str, object]:
    """Return how fast the LED blinks: a pace from 0, which is dark."""
    panel = _here(view).panel()
    impulses = (panel.power or 0) * panel.kind.impulses * panel.pace // 1000
    return {"panel": panel, "pace": sum(impulses >= least for least in _PACES)}


@part("bench_loads")
def loads(view: View) -> Mapping[str, object]:
    """Return what is drawn, and what would be."""
    return _panel(view)


@part("bench_hands")
def hands(view: View) -> Mapping[str, object]:
    """Return supply and cable, which can be pulled out, and the tamper button."""
    return _panel(view)


@part("bench_time")
def time(view: View) -> Mapping[str, object]:
    """Return how fast time runs."""
    return {**_panel(view), "times": TIME_FACTORS}


@part("bench_events")
def events(view: View) -> Mapping[str, object]:
    """Return what the meter did last."""
    return {"events": _here(view).panel().events}


@part("bench_line")
def line(view: View) -> Mapping[str, object]:
    """Return the cable between meter and unit."""
    return _panel(view)


@part("bench_sale")
def sale(view: View) -> Mapping[str, object]:
    """Return what was issued, the newest first."""
    issued = _here(view).sale.issued
    return {**_panel(view), "issued": issued[::-1], "typist": _typist(view)}


@part("bench_how")
def how(view: View) -> Mapping[str, object]:
    """Return whether what the unit is to send is to be sent as one key change."""
    sending = view.station.kept(Sending)
    return {"is_set": sending is None and can_be_key_change(drafted(view.station).digits)}


@part("bench_resume")
def resume(view: View) -> Mapping[str, object]:
    """Return how much is open at the meter that the unit has met."""
    return {"open": view.station.kept(Open)}


# --- pages ---------------------------------------------------------------------------------------


async def choose(request: Request) -> Response:
    """Show the meters of the bench."""
    view = View(request)
    _bench(view)
    return view.page("bench.html", kinds=KINDS)


async def show(request: Request) -> Response:
    """Show a meter, its line, the unit and the point of sale."""
    view, meter = _seen(request)
    view.station_or_none = view.station = _place(view, meter.kind.name)
    passed = meter.characters(0)
    return view.page(
        "bench_meter.html",
        here=view.station,
        kind=meter.kind,
        panel=meter.panel(),
        keys=_ROWS,
        step=_STEPS[meter.kind.flow_unit],
        offers=meter.sale.offers,
        shows_tokens=request.query_params.get("tokens") == "shown",
        is_sent=view.station.kept(Sending) is not None,
        after=passed[-min(len(passed), _EARLIER)].number - 1 if passed else 0,
    )


async def press(request: Request) -> Response:
    """Press a key of the keypad."""
    view, meter = _seen(request)
    key = (await view.form()).get("key", "")
    if key not in KEYS:
        raise Refused(said("The keypad has no such key."), 422)
    _typist(view).press(key)
    return _back(view, meter)


async def set_load(request: Request) -> Response:
    """Have a load switched on, or a tap opened: so many W in a phase, or l/h."""
    view, meter = _seen(request)
    form = await view.form()
    phase, load = _number(form, "phase"), _number(form, "load")
    if not 1 <= phase <= meter.kind.phases or load > meter.kind.most:
        raise Refused(said("The bench has no such load."), 422)
    meter.set_load(phase, load)
    return _back(view, meter)


async def set_supply(request: Request) -> Response:
    """Pull the meter's supply out, or plug it in."""
    view, meter = _seen(request)
    meter.set_supply((await view.form()).get("on") == "yes")
    return _back(view, meter)


async def set_cable(request: Request) -> Response:
    """Pull the cable between meter and unit out, or plug it in."""
    view, meter = _seen(request)
    meter.set_cable((await view.form()).get("on") == "yes")
    return _back(view, meter)


async def tamper(request: Request) -> Response:
    """Open the meter's cover."""
    view, meter = _seen(request)
    meter.tamper()
    return _back(view, meter)


async def set_time(request: Request) -> Response:
    """Have time run faster, or as it does."""
    view, meter = _seen(request)
    factor = _number(await view.form(), "factor")
    if factor not in TIME_FACTORS:
        raise Refused(said("Time does not run so on the bench."), 422)
    meter.set_time(factor)
    return _back(view, meter)


async def issue(request: Request) -> Response:
    """Issue tokens at the point of sale."""
    view, meter = _seen(request)
    form = await view.form()
    meter.sale.issue(form.pop("what", ""), form)
    view.desk.changed()
    return _back(view, meter)


async def type_in(request: Request) -> Response:
    """Type tokens that were issued at the keypad."""
    view, meter = _seen(request)
    _typist(view).type(_chosen(meter, await view.form()))
    return _back(view, meter)


async def to_unit(request: Request) -> Response:
    """Put tokens that were issued into the unit's list of those that are to be sent."""
    view, meter = _seen(request)
    station = view.station_or_none = view.station = _place(view, meter.kind.name)
    sending = station.kept(Sending)
    if sending is not None and sending.end is not None:
        station.forget(Sending)  # whoever has read the results begins anew
    there = drafted(station).digits
    tokens = " ".join(t for t in _chosen(meter, await view.form()) if t not in there)
    if tokens:
        gather(view, tokens, await look_up(view, tokens))
    return _back(view, meter)


async def characters(request: Request) -> Response:
    """Tell of the characters that pass on the line, until the page closes."""
    view, meter = _seen(request)
    after = request.query_params.get("after", "")
    if not is_number(after):
        raise Refused(said("The page asks for something that is not there; load it again."), 400)
    return StreamingResponse(
        _characters(view, meter, int(after)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _characters(view: View, meter: BenchMeter, after: int) -> AsyncIterator[bytes]:
    desk = view.desk
    with desk.listening() as something:
        while not desk.closing.is_set():
            something.clear()
            if passed := meter.characters(after):
                after = passed[-1].number
                yield event("characters", {"characters": [_told(each) for each in passed]})
            in_use = bool(passed) or meter.panel().line_in_use
            try:
                await asyncio.wait_for(something.wait(), _PACE_S if in_use else _HEARTBEAT_S)
            except TimeoutError:
                if not in_use:
                    yield b": still here\n\n"
            await asyncio.sleep(_PACE_S)


def _told(each: LineCharacter) -> list[object]:
    """Return a character for the page: its time in us, which a browser counts exactly."""
    return [each.number, each.sender, each.sent, each.arrived, each.at_ns // 1000, each.speed]


# --- what the bench keeps at a place -------------------------------------------------------------


def _typist(view: View) -> Typist:
    station = view.station_or_none
    meter = _here(view)
    if station is None:
        station = _place(view, meter.kind.name)
    typist = station.kept(Typist)
    if typist is None:
        typist = Typist(meter, station)
        station.keep(typist)
    return typist


def _chosen(meter: BenchMeter, form: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tokens that a form names: all of an issue, or one of them."""
    number = _number(form, "issued")
    tokens = next((i.tokens for i in meter.sale.issued if i.number == number), ())
    if "token" in form:
        at = _number(form, "token")
        tokens = tokens[at : at + 1]
    if not tokens:
        raise Refused(said("No such token was issued here."), 422)
    return tokens


def _number(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "")
    if not is_number(text):
        raise Refused(said("A number is missing."), 422)
    return int(text)


ROUTES: Final = (
    Route("/bench", choose),
    Route("/bench/{meter}", show),
    Route("/bench/{meter}/characters", characters),
    Route("/bench/{meter}/press", press, methods=["POST"]),
    Route("/bench/{meter}/load", set_load, methods=["POST"]),
    Route("/bench/{meter}/supply", set_supply, methods=["POST"]),
    Route("/bench/{meter}/cable", set_cable, methods=["POST"]),
    Route("/bench/{meter}/tamper", tamper, methods=["POST"]),
    Route("/bench/{meter}/time", set_time, methods=["POST"]),
    Route("/bench/{meter}/issue", issue, methods=["POST"]),
    Route("/bench/{meter}/to-unit", to_unit, methods=["POST"]),
    Route("/bench/{meter}/type", type_in, methods=["POST"]),
)
