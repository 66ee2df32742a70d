"""Registers: read whole groups or any by name; written, each checked as it is typed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vtc07.carrier.companion import Companion, SignOn
from vtc07.carrier.events import RegisterValue
from vtc07.carrier.registers import Register, Value
from vtc07.hhu import selection
from vtc07.hhu.progress import Progress, RegisterWritten
from vtc07.hhu.reading import Registers
from vtc07.hhu.session import SessionError
from vtc07.hhu.texts import Said, counted, mark, said
from vtc07.hhu.values import text_for_people
from vtc07.hhu.writing import WriteResult
from vtc07.links.blocking import Interrupted
from vtc07.links.link import LinkUnavailable
from vtc07.screens.mood import Mood
from vtc07.screens.overview import Overview
from vtc07.screens.registers import (
    is_unused,
    read_wanted,
    read_writable,
    wanted,
    write_register,
    written_said,
)
from vtc07.web.station import Station
from vtc07.web.view import Refused, View, part

_CHOSEN: Final = "chosen"
#: What can be read at once, by the name under which it is asked for.
_GROUPS: Final = (
    ("overview", mark("At a glance")),
    ("tokenLog", mark("Token log")),
    ("eventLog", mark("Event log")),
    ("everything", mark("Everything that can be read")),
)
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A register as it is shown. ``why``: why it was not told, in English; empty where it was."""

    address: str
    name: str
    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was read last, or is being read. ``wanted``: how many registers that is.

    ``meter_pan``: of which meter. ``unused``: how many entries of logs are left out, being empty.
    """

    meter_pan: str | None
    what: str
    words: tuple[str, ...]
    wanted: int
    rows: tuple[Row, ...] = ()
    unused: int = 0
    is_whole: bool = False

    @property
    def refused(self) -> int:
        """How many registers the meter refused to tell."""
        return sum(bool(row.why) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Writable:
    """Values of registers that can be written, of the meter with ``meter_pan``."""

    meter_pan: str | None
    values: Mapping[Register, str]


@dataclass(frozen=True, slots=True)
class Change:
    """A register that can be written. ``text``: its value for people, None: not known."""

    register: Register
    text: str | None

    @property
    def longest(self) -> int:
        """How many characters of a text the register holds; 0 for a number."""
        kind = self.register.data_type
        return 0 if kind.is_number else kind.size


# --- parts ----------------------------------------------------------------------------------------


@part("registers")
def registers(view: View) -> Mapping[str, object]:
    """Return what was read, as far as it has come."""
    shown = view.station.kept(Shown)
    is_of_it = shown is not None and shown.meter_pan == view.station.target.meter_pan
    return {"shown": shown if is_of_it else None, "groups": dict(_GROUPS)}


@part("registers_writable")
def writable(view: View) -> Mapping[str, object]:
    """Return what can be written, with its values as far as they are known."""
    station = view.station
    return {
        "changes": _changes(station),
        "wants_password": wants_password(station),
        "has_password": station.target.password is not None,
    }


def _changes(station: Station) -> tuple[Change, ...]:
    overview = station.overview
    if overview is None:
        return ()
    kept = station.kept(Writable)
    is_of_it = kept is not None and kept.meter_pan == station.target.meter_pan
    values = kept.values if kept is not None and is_of_it else {}
    return tuple(
        Change(register, values.get(register, overview.text(register.name)))
        for register in selection.writable(overview.companion)
    )


def wants_password(station: Station) -> bool:
    """Say whether the meter that is there is of a kind that wants a password, and none is given."""
    if station.overview is None or station.target.password is not None:
        return False
    companion = station.overview.companion
    return companion.sign_on is SignOn.MODE_C and companion.knows_passwords


# --- reading --------------------------------------------------------------------------------------


async def show(request: Request) -> Response:
    """Show what can be read and written, and what was."""
    view = View(request)
    overview = view.station.overview
    names: set[str] = set()
    if overview is not None:
        names = {selection.base_name(r) for r in selection.readable(overview.companion)}
    groups = [(n, w) for n, w in _GROUPS if not n.endswith("Log") or n in names]
    return view.page("registers.html", here=view.station, groups=groups)


async def read(request: Request) -> Response:
    """Read a group of registers, or some by name."""
    view = View(request)
    station, form = view.station, await view.form()
    companion = _overview(station).companion
    what = form.get("what", _CHOSEN)
    words: tuple[str, ...] = (what,)
    if what not in {name for name, _ in _GROUPS}:
        what = _CHOSEN
        words = tuple(form.get("words", "")[:_LONGEST].replace(",", " ").split())
        if not words:
            raise Refused(said("No register is named: write names, numbers or ranges."), 422)
    try:
        count = len(wanted(companion, what, words))
    except selection.SelectionError as error:
        raise Refused(str(error), 422) from None
    shown = Shown(station.target.meter_pan, what, words, count)

    def arrived(values: tuple[RegisterValue, ...]) -> None:
        so_far = _shown(shown, values, (), companion)
        station.in_loop(lambda: station.keep(so_far))

    def done(found: Registers) -> None:
        whole = replace(_shown(shown, found.values, _refused(found), companion), is_whole=True)
        station.keep(whole)
        station.say(*_read_said(whole))

    station.begin(
        said("reading registers"),
        functools.partial(
            read_wanted, target=station.target, what=what, words=words, on_values=arrived
        ),
        done,
    )
    station.keep(shown)
    return view.go(view.at("registers"))


def _shown(
    shown: Shown,
    values: tuple[RegisterValue, ...],
    refused: tuple[Row, ...],
    companion: Companion,
) -> Shown:
    rows = tuple(
        Row(v.register.address, v.register.name, text_for_people(v.register, v.value, companion))
        for v in values
        if not is_unused(v, shown.wanted)
    )
    return replace(shown, rows=(*rows, *refused), unused=len(values) - len(rows))


def _refused(found: Registers) -> tuple[Row, ...]:
    return tuple(Row(r.register.address, r.register.name, "", r.why) for r in found.refused)


def _read_said(shown: Shown) -> tuple[Said, Mood]:
    if shown.refused:
        return (
            counted(
                "The meter refused to tell {count} register.",
                "The meter refused to tell {count} registers.",
                shown.refused,
            ),
            Mood.BAD,
        )
    read = len(shown.rows) + shown.unused
    return counted("{count} register is read.", "{count} registers are read.", read), Mood.GOOD


def _overview(station: Station) -> Overview:
    if station.overview is None:
        raise Refused(said("The meter is not known yet: it is read first."), 409)
    return station.overview


# --- writing --------------------------------------------------------------------------------------


async def read_values(request: Request) -> Response:
    """Read what can be written, with the password where one is given."""
    view = View(request)
    station, form = view.station, await view.form()
    registers_ = selection.writable(_overview(station).companion)
    if form.get("password"):
        _same_meter(station, form)
    station.free()
    _take_password(station, form)
    station.begin(
        said("reading registers"),
        functools.partial(read_writable, target=station.target, registers=registers_),
        lambda found: _keep_values(station, found),
    )
    return view.go(view.at("registers") + "#write")


def _take_password(station: Station, form: Mapping[str, str]) -> None:
    """Keep the password of the meter's port where one is given."""
    if given := form.get("password", ""):
        station.target = replace(station.target, password=given)
        station.changed()


async def forget_password(request: Request) -> Response:
    """Keep the password no more."""
    view = View(request)
    view.station.free()
    view.station.target = replace(view.station.target, password=None)
    view.station.changed()
    return view.go(view.at("registers") + "#write")


def _keep_values(station: Station, found: Registers) -> None:
    companion = _overview(station).companion
    station.keep(
        Writable(
            station.target.meter_pan,
            {v.register: text_for_people(v.register, v.value, companion) for v in found.values},
        )
    )


async def change(request: Request) -> Response:
    """Show a register that can be written, and a field for another value."""
    view = View(request)
    return _change_page(view, request.query_params.get("register", ""))


def _change_page(
    view: View, address: str, *, typed: str = "", problem: Said | str = "", is_empty: bool = False
) -> Response:
    station = view.station
    chosen = next((c for c in _changes(station) if c.register.address == address), None)
    if chosen is None:
        _overview(station)
        raise Refused(said("There is no such register that can be written."), 404)
    return view.page(
        "registers_change.html",
        422 if problem else 200,
        here=station,
        change=chosen,
        typed=typed,
        problem=problem,
        asks_whether_empty=is_empty,
        wants_password=wants_password(station),
    )


async def check(request: Request) -> Response:
    """Say whether a register can hold what is typed so far; nothing is sent to the meter."""
    view = View(request)
    form = await view.form()
    try:
        register, _ = _assignment(view.station, form)
    except selection.SelectionError as error:
        return _checked(view, str(error), Mood.BAD)
    return _checked(view, said("{register} can hold this.", register=register.name), Mood.GOOD)


def _checked(view: View, what: Said | str, mood: Mood) -> Response:
    return JSONResponse({"said": view.words(what), "mood": mood.name.lower(), "sign": mood.value})


def _assignment(station: Station, form: Mapping[str, str]) -> tuple[Register, Value]:
    """Return what is to be written; SelectionError where the register cannot hold it."""
    companion = _overview(station).companion
    return selection.assignment(companion, f"{form.get('address', '')}={form.get('value', '')}")


async def write(request: Request) -> Response:
    """Write a value and read it back; an empty text only when that is confirmed."""
    view = View(request)
    station, form = view.station, await view.form()
    _same_meter(station, form)
    address, typed = form.get("address", ""), form.get("value", "")
    try:
        register, value = _assignment(station, form)
    except selection.SelectionError as error:
        return _change_page(view, address, typed=typed, problem=str(error))
    if value == "" and form.get("sure") != "yes":
        return _change_page(view, register.address, is_empty=True)
    if wants_password(station) and not form.get("password"):
        why = said("This meter wants a password before anything is written.")
        return _change_page(view, address, typed=typed, problem=why)
    station.free()
    _take_password(station, form)
    _begin_writing(station, register, value)
    return view.go(view.at("registers"))  # its beginning, where the result will stand


def _same_meter(station: Station, form: Mapping[str, str]) -> None:
    """Refuse what a page asks that was about another meter than the one that is meant now."""
    _overview(station)
    if form.get("meter", "") != (station.target.meter_pan or ""):
        raise Refused(said("Another meter is meant here by now: nothing was written to it."), 409)


def _begin_writing(station: Station, register: Register, value: Value) -> None:
    acknowledged: list[Progress] = []

    def progressed(progress: Progress) -> None:
        if isinstance(progress, RegisterWritten):
            acknowledged.append(progress)

    def failed(error: Exception) -> bool:
        """Say that it was written, where the line broke after that."""
        if not acknowledged or not isinstance(error, SessionError | LinkUnavailable | Interrupted):
            return False
        _keep_values(station, Registers((RegisterValue(register, value),), (), 0))
        station.say(*written_said(WriteResult(register, value, written=True)))
        return True

    def done(came_to: tuple[WriteResult, Registers]) -> None:
        result, found = came_to
        _keep_values(station, found)
        station.say(*written_said(result))

    setting = station.desk.setting
    station.begin(
        said("writing {register}", register=register.name),
        functools.partial(
            write_register,
            target=station.target,
            register=register,
            value=value,
            journal=setting.journal,
            wall_clock=setting.wall_clock,
        ),
        done,
        failed=failed,
        on_progress=progressed,
    )


ROUTES: Final = (
    Route("/at/{station}/registers", show),
    Route("/at/{station}/registers/read", read, methods=["POST"]),
    Route("/at/{station}/registers/values", read_values, methods=["POST"]),
    Route("/at/{station}/registers/forget", forget_password, methods=["POST"]),
    Route("/at/{station}/registers/check", check, methods=["POST"]),
    Route("/at/{station}/registers/write", write, methods=["POST"]),
    Route("/at/{station}/registers/change", change),
)
