"""Delivering tokens: gathered with a check at every digit, sent once, followed until it is known.

The list of tokens and the delivery belong to the place, so that every page shows the same, and one
that is closed in the middle loses nothing. A list has a number; what a page sends is the list whose
number it shows, and whichever asks again for one that is on its way is shown that.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from vtc07.cli.connection import Connection
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.progress import EntryWritten, Progress
from vtc07.hhu.texts import Said, said
from vtc07.screens.delivering import Told, can_be_key_change, deliver, deliver_set
from vtc07.screens.known import made_since, settled, sightings
from vtc07.screens.mood import Mood
from vtc07.screens.token_entry import (
    DIGITS,
    Sighting,
    Standing,
    check,
    digits_of,
    regrouped,
    tokens_among,
)
from vtc07.trace.values import grouped
from vtc07.web.pages.connect import count_open
from vtc07.web.sending import Draft, Left, Sending
from vtc07.web.station import Busy, Station
from vtc07.web.view import Refused, View, part

#: How it is said how a token stands.
MOODS: Final = {
    Standing.GOOD: Mood.GOOD,
    Standing.DOUBTFUL: Mood.CARE,
    Standing.WRONG: Mood.BAD,
}
#: So many tokens are sent together at most: nobody holds more in the hand.
MOST_TOKENS: Final = 20
_PAGE: Final = "deliver"
_QUESTION: Final = "deliver/whole"


@part("gathered")
def gathered(view: View) -> Mapping[str, object]:
    """Return the tokens that are to be sent; none while some are being sent."""
    station = view.station
    draft = drafted(station) if station.kept(Sending) is None else None
    strange = draft is not None and not draft.is_for(station.target.meter_pan)
    return {
        "draft": draft,
        "of_another": _of_another(draft) if draft is not None and strange else None,
        "moods": MOODS,
        "meter_pan": station.target.meter_pan,
        "is_met": is_met(station),
    }


@part("delivery")
def delivery(view: View) -> Mapping[str, object]:
    """Return the tokens that are being sent, or were, and how it stands with them."""
    sending = view.station.kept(Sending)
    told = sending.end if sending is not None and isinstance(sending.end, Told) else None
    overview = None if told is None else told.overview
    return {
        "sending": sending,
        "told": told,
        "left": sending.end if sending is not None and isinstance(sending.end, Left) else None,
        "credit": None if overview is None else overview.text("creditBalance"),
    }


def is_met(station: Station) -> bool:
    """Say whether the meter that is meant has been looked at."""
    overview, target = station.overview, station.target
    if overview is None or overview.meter_pan != target.meter_pan:
        return False
    return target.meter_pan is not None or target.is_nameless  # or it was not looked at to the end


def drafted(station: Station) -> Draft:
    """Return the list of the place; one that is empty is made where there is none."""
    draft = station.kept(Draft)
    if draft is None:
        draft = Draft()
        station.keep(draft)
    return draft


async def back(request: Request) -> Response:
    """Lead from the address of a form, at which a page was refused, to the page itself."""
    view = View(request)
    return view.go(view.at(_PAGE))


# --- gathering ------------------------------------------------------------------------------------


async def show(request: Request) -> Response:
    """Show the tokens that are to be sent, or what becomes of them."""
    return _page(View(request))


def _page(view: View, *, typed: str = "", wrong: Said | None = None) -> Response:
    """Return the page. ``typed``: what stands in the field; ``wrong``: why nothing was done."""
    station = view.station
    drafted(station)
    return view.page(
        "deliver.html",
        200 if wrong is None else 422,
        here=station,
        typed=typed,
        wrong=wrong,
        is_sent=station.kept(Sending) is not None,
    )


async def look_up(view: View, text: str) -> dict[str, tuple[Sighting, ...]]:
    """Ask the journal for each token of a text."""
    pan, journal = view.station.target.meter_pan, view.desk.setting.journal
    wanted = [digits for digits in tokens_of(text) if len(digits) == DIGITS][:MOST_TOKENS]

    def look() -> dict[str, tuple[Sighting, ...]]:
        return {digits: sightings(journal, digits, pan) for digits in wanted}

    return await view.desk.aside(look) if wanted else {}


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the tokens of what was typed or pasted; what is none by itself, where there are no."""
    return tokens_among(text) or (digits_of(text),)


async def judge(request: Request) -> Response:
    """Answer what can be said of a token as far as it is typed; for the page's script."""
    view = View(request)
    text = (await view.form()).get("token", "")
    seen = await look_up(view, text)
    sending, draft = view.station.kept(Sending), drafted(view.station)
    digits = digits_of(text)[:DIGITS]  # as many as the field holds
    found = check(digits, () if sending else draft.digits, seen.get(digits, ()))
    return HTMLResponse(view.html("deliver_check.html", check=found, draft=draft, moods=MOODS))


async def take(request: Request) -> Response:
    """Take what was pasted or scanned; for the page's script.

    One token is given back, to stand in the field and be looked at; several are put in the list.
    """
    view = View(request)
    text = (await view.form()).get("text", "")
    found = tokens_among(text)
    if len(found) > 1:
        draft = gather(view, text, await look_up(view, text))
        return JSONResponse({"field": "", "draft": draft.number})
    digits = found[0] if found else digits_of(text)
    if not digits or (not found and len(digits) > DIGITS):
        raise Refused(
            said("No token was found: 20 digits, in one piece or in groups of four."), 422
        )
    return JSONResponse({"field": regrouped(digits, 0)[0]})


async def add(request: Request) -> Response:
    """Put what was typed into the list, for another token follows."""
    view = View(request)
    text = (await view.form()).get("token", "")
    seen = await look_up(view, text)
    try:
        draft = gather(view, text, seen)
    except Refused as refused:
        return _refused(view, refused, text)
    if view.is_quiet:  # the page can send this list at once, before it is told of it
        return JSONResponse({"field": "", "draft": draft.number})
    return view.go(view.at(_PAGE))


def gather(view: View, text: str, seen: Mapping[str, tuple[Sighting, ...]]) -> Draft:
    """Put tokens into the list of the place, all of them or none. Refused where one can be none."""
    station = view.station
    if station.kept(Sending) is not None:
        raise Refused(said("Tokens of this place are being sent, or were: begin anew first."))
    draft = drafted(station)
    wanted = tokens_of(text)
    if not draft.is_for(station.target.meter_pan):
        raise Refused(_of_another(draft))
    if len(draft.tokens) + len(wanted) > MOST_TOKENS:
        raise Refused(said("These are too many tokens to be sent together."), 422)
    wrong = []
    for digits in wanted:
        longer = draft.taking(digits, station.target.meter_pan, seen.get(digits, ()))
        if longer is None:
            wrong.append(grouped(digits[: DIGITS + 1]))
        else:
            draft = longer
    if wrong and len(wanted) == 1:
        raise Refused(said("The token is not complete, or cannot be one."), 422)
    if wrong:
        raise Refused(
            said("Not taken, for it can be no token: {tokens}", tokens=", ".join(wrong)), 422
        )
    station.keep(draft)
    return draft


async def remove(request: Request) -> Response:
    """Take a token out of the list that a page shows."""
    view = View(request)
    form = await view.form()
    draft = view.station.kept(Draft)
    place = form.get("place", "")
    if draft is None or draft.number != form.get("draft"):
        raise Refused(_changed())
    places = {str(each): each for each in range(len(draft.tokens))}
    if place not in places:
        raise Refused(_changed(), 422)
    view.station.keep(draft.without(places[place]))
    return view.go(view.at(_PAGE))


def _changed() -> Said:
    return said("The list of tokens was changed meanwhile. Look at it, and try again.")


def _refused(view: View, refused: Refused | Busy, typed: str) -> Response:
    """Answer why nothing was done; without a script what was typed is still there."""
    if view.is_quiet:
        return view.refuse(refused.said, 422)
    why = refused.said if isinstance(refused.said, Said) else said("{why}", why=refused.said)
    return _page(view, typed=typed, wrong=why)


# --- sending --------------------------------------------------------------------------------------


async def send(request: Request) -> Response:
    """Send the list that a page shows, and what stands in its field; once, however often asked."""
    view = View(request)
    form = await view.form()
    typed = form.get("token", "")
    seen = await look_up(view, typed)
    # From here on nothing is waited for: of two that ask at once, the second finds what the first
    # has done.
    station, number = view.station, form.get("draft", "")
    sending, draft = station.kept(Sending), drafted(station)
    if sending is not None and sending.is_of(number):
        return view.go(view.at(_PAGE))
    if sending is None and number == draft.asked_as:
        return view.go(view.at(_QUESTION))
    try:
        _can_begin(station, draft, number, form.get("meter", ""))
        if typed.strip() or not draft.tokens:
            draft = gather(view, typed, seen)
    except (Refused, Busy) as refused:
        return _refused(view, refused, typed)
    how = form.get("how", "")
    if can_be_key_change(draft.digits) and how not in ("set", "single"):
        station.keep(draft.asked(number))
        return view.go(view.at(_QUESTION))
    is_whole = how == "set" and can_be_key_change(draft.digits)
    _begin(station, draft, number, is_whole=is_whole)
    return view.go(view.at(_PAGE))


def _of_another(draft: Draft) -> Said:
    return said(
        "These tokens were gathered for meter {pan}, and another one is meant here now. Remove "
        "them, or go back to that meter.",
        pan=draft.meter_pan or "?",
    )


def _can_begin(station: Station, draft: Draft, number: str, meter: str) -> None:
    """Hold that the list that a page shows can be sent to its meter; Refused or Busy."""
    if station.kept(Sending) is not None or number != draft.number:
        raise Refused(_changed())
    if station.work is not None:
        raise Busy(
            said("Something else is under way here: {what}. Wait for it.", what=station.work.title)
        )
    pan = station.target.meter_pan
    if not is_met(station):
        raise Refused(said("No meter is connected here. Connect first, and look at it."))
    if meter != (pan or ""):
        raise Refused(
            said("Another meter is meant here now. Look whether the tokens are for that one.")
        )
    if not draft.is_for(pan):
        raise Refused(_of_another(draft))


def _begin(station: Station, draft: Draft, number: str, *, is_whole: bool) -> None:
    setting, target = station.desk.setting, station.target
    journal, pan = setting.journal, target.meter_pan
    tokens, how = draft.digits, deliver_set if is_whole else deliver
    before: list[frozenset[int]] = []  # deliveries that had a result; none while nothing began

    def work(connection: Connection) -> Told:
        before.append(settled(journal, tokens))
        alone = nullcontext() if pan is None else station.alone_with(pan)
        with alone:
            return how(
                connection,
                target=target,
                journal=journal,
                tokens=tokens,
                wall_clock=setting.wall_clock,
            )

    def done(told: Told) -> None:
        if told.overview is not None:
            station.met(told.overview)
        _ended(station, told)
        station.say(told.summary, told.mood, of=Sending)

    def failed(error: Exception) -> bool:
        try:
            made = made_since(journal, tokens, before[0] if before else None)
        except JournalError:
            made = None
        _ended(station, Left(made))
        station.tell_failure(error)
        return True

    credit = None if station.overview is None else station.overview.text("creditBalance")
    station.begin(
        said("delivering tokens to {address}", address=target.address),
        work,
        done,
        failed=failed,
        on_progress=functools.partial(_progressed, station),
        carries_tokens=True,
    )
    station.forget(Draft)
    station.keep(Sending.of(draft, number, whole=is_whole, pan=pan, credit=credit))


def _progressed(station: Station, progress: Progress) -> None:
    sending = station.kept(Sending)
    if sending is not None:
        entering = _entering(station, sending) if isinstance(progress, EntryWritten) else None
        station.keep(sending.after(progress, entering))


def _entering(station: Station, sending: Sending) -> int | None:
    """Return the place of the token that the journal has open, None where it tells of none."""
    if not sending.whole:
        return None
    try:
        still_open = station.desk.setting.journal.unresolved(sending.meter_pan)
    except JournalError:
        return None  # whoever delivers meets the same, and says so
    token = still_open[-1].token if still_open else None
    return sending.tokens.index(token) if token in sending.tokens else None


def _ended(station: Station, end: Told | Left) -> None:
    sending = station.kept(Sending)
    if sending is not None:
        station.keep(sending.ended(end))
    try:
        count_open(station, station.desk.setting.journal)
    except JournalError:
        return  # what is shown of it stays as it was


async def question(request: Request) -> Response:
    """Ask whether the tokens of the list are one key change."""
    view = View(request)
    draft = view.station.kept(Draft)
    if draft is None or not can_be_key_change(draft.digits):
        return view.go(view.at(_PAGE))
    return view.page("deliver_whole.html", here=view.station, draft=draft)


async def another(request: Request) -> Response:
    """Begin anew, once results are shown; ``again``: with the tokens of which nothing was sent."""
    view = View(request)
    form = await view.form()
    station, sending = view.station, view.station.kept(Sending)
    if sending is None or not sending.is_of(form.get("draft")):
        return view.go(view.at(_PAGE))  # that was done from another page
    if sending.end is None:
        raise Refused(said("Tokens are being delivered."))
    untouched = sending.untouched if form.get("again") == "yes" else ()
    seen = await look_up(view, " ".join(untouched))
    if station.kept(Sending) is not sending:
        return view.go(view.at(_PAGE))
    draft = Draft()
    for digits in untouched:
        draft = draft.taking(digits, sending.meter_pan, seen.get(digits, ())) or draft
    station.forget(Sending)
    station.keep(draft)
    return view.go(view.at(_PAGE))


ROUTES: Final = (
    Route("/at/{station}/deliver", show),
    Route("/at/{station}/deliver/check", judge, methods=["POST"]),
    Route("/at/{station}/deliver/take", take, methods=["POST"]),
    Route("/at/{station}/deliver/add", add, methods=["POST"]),
    Route("/at/{station}/deliver/remove", remove, methods=["POST"]),
    Route("/at/{station}/deliver/send", send, methods=["POST"]),
    Route("/at/{station}/deliver/whole", question),
    Route("/at/{station}/deliver/{work:str}", back, methods=["GET"]),
    Route("/at/{station}/deliver/another", another, methods=["POST"]),
)
