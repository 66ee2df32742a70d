"""One request as handlers and templates see it: whose page, in which language, of which place."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from vtc07.harmless import harmless
from vtc07.hhu.texts import ENGLISH, Said, Texts, counted, languages, mark, said, texts_of
from vtc07.screens.mood import Mood
from vtc07.trace.values import grouped
from vtc07.web.desk import Desk
from vtc07.web.station import Station

#: Languages that are written from right to left.
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur", "ps", "sd", "ug", "yi"})
#: Languages by what they call themselves.
NAMES: Final = {
    "ar": "العربية",
    "de": "Deutsch",
    "en": "English",
    "es": "español",
    "fr": "français",
    "pt": "português",
    "sw": "Kiswahili",
    "zu": "isiZulu",
}
LANGUAGE_COOKIE: Final = "vtc07-language"
LOOK_COOKIE: Final = "vtc07-look"
#: As the system has it, light, dark, and the high contrast that sunlight wants.
LOOKS: Final = ("auto", "light", "dark", "sun")
#: One language of ``Accept-Language``: ``pt-BR;q=0.8``.
_LANGUAGE: Final = re.compile(
    r"(?P<tag>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:\s*;\s*[qQ]=(?P<weight>[01](?:\.[0-9]{0,3})?))?"
)
_LONGEST_HEADER: Final = 1000

ENVIRONMENT: Final = Environment(
    loader=PackageLoader("vtc07.web"),
    autoescape=True,  # whatever a meter, a route or a person wrote is shown as text
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def wanted_languages(header: str) -> tuple[str, ...]:
    """Return what an ``Accept-Language`` asks for, most wanted first, as ``pt_BR``.

    What is not wanted (``q=0``), stands for all (``*``), or makes no sense, is left out.
    """
    wanted: list[tuple[float, str]] = []
    for each in header[:_LONGEST_HEADER].split(","):
        found = _LANGUAGE.fullmatch(each.strip())
        if found is not None and (weight := float(found["weight"] or 1)) > 0:
            base, _, rest = found["tag"].replace("-", "_").partition("_")
            wanted.append((weight, base.lower() + (f"_{rest.upper()}" if rest else "")))
    wanted.sort(key=lambda pair: -pair[0])
    return tuple(code for _, code in wanted)


class Refused(Exception):
    """A request that cannot be carried out: ``said`` tells why, ``status`` is HTTP's."""

    def __init__(self, why: Said | str, status: int = 409) -> None:
        self.said = why
        self.status = status
        super().__init__(str(why))


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a page that is shown anew whenever it is not as it was.

    Rendered from ``templates/parts/NAME.html`` with what ``context`` returns.
    """

    name: str
    context: Callable[[View], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines of a page to which others are added. ``since``: those behind a number, as HTML."""

    name: str
    since: Callable[[View, int], list[tuple[int, str]]]


#: What pages consist of; each module of pages adds its own when it is imported.
PARTS: Final[dict[str, Part]] = {}
STREAMS: Final[dict[str, Stream]] = {}


def part(name: str) -> Callable[[Callable[[View], Mapping[str, object]]], Part]:
    """Make a function the context of a part of this name."""

    def add(context: Callable[[View], Mapping[str, object]]) -> Part:
        PARTS[name] = Part(name, context)
        return PARTS[name]

    return add


def stream(name: str) -> Callable[[Callable[[View, int], list[tuple[int, str]]]], Stream]:
    """Make a function the source of a stream of this name."""

    def add(since: Callable[[View, int], list[tuple[int, str]]]) -> Stream:
        STREAMS[name] = Stream(name, since)
        return STREAMS[name]

    return add


class View:
    """One request: its application, its language, and the place that it is about, if any."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.desk: Desk = request.app.state.desk

    # --- whose -----------------------------------------------------------------------------------

    @cached_property
    def texts(self) -> Texts:
        """The texts in the reader's language: chosen, or the application's, or the browser's.

        A catalogue that cannot be read is as one that is not there.
        """
        catalogues = self.desk.setting.catalogues
        for code in self._wanted_languages():
            with contextlib.suppress(ValueError):
                return texts_of(code, catalogues)
        return ENGLISH

    def _wanted_languages(self) -> tuple[str, ...]:
        setting = self.desk.setting
        there = languages(setting.catalogues)
        chosen = self.request.cookies.get(LANGUAGE_COOKIE)
        if chosen in there:
            return (chosen,)
        if setting.language is not None:
            return (setting.language,)
        codes = wanted_languages(self.request.headers.get("accept-language", ""))
        names = [name for code in codes for name in (code, code.partition("_")[0])]
        return tuple(dict.fromkeys(name for name in names if name in there))

    @property
    def languages(self) -> tuple[tuple[str, str], ...]:
        """The languages there are: codes, and their names in themselves."""
        return tuple(
            (code, NAMES.get(code, code)) for code in languages(self.desk.setting.catalogues)
        )

    @property
    def direction(self) -> str:
        """Where lines begin: ``ltr`` or ``rtl``."""
        return "rtl" if self.texts.language.partition("_")[0] in RIGHT_TO_LEFT else "ltr"

    @property
    def look(self) -> str:
        """How pages look, one of LOOKS."""
        chosen = self.request.cookies.get(LOOK_COOKIE, "")
        return chosen if chosen in LOOKS else "auto"

    @cached_property
    def station(self) -> Station:
        """The place that the page is about; Refused (404) where there is none."""
        found = self.station_or_none
        if found is None:
            raise Refused(said("There is no such place any more; choose one."), 404)
        return found

    @cached_property
    def station_or_none(self) -> Station | None:
        """The place that the page is about, or None."""
        name = self.request.path_params.get("station") or self.request.query_params.get("station")
        return self.desk.stations.get(str(name))

    @property
    def page_path(self) -> str:
        """The path of the page that is shown; where a part of it is told anew, of that page."""
        path = self.request.url.path
        return self.request.query_params.get("page", "/") if path == "/live" else path

    # --- words -----------------------------------------------------------------------------------

    def words(self, what: Said | str) -> str:
        """Return something in the reader's language, without what no page should hold.

        In a page from right to left each value keeps its own direction; what stands in a field of a
        form or is to be copied is ``{{ value }}`` itself.
        """
        turned = self.direction == "rtl"
        if isinstance(what, Said):
            return what.words(self.texts, isolated=turned)
        return said("{text}", text=what).words(isolated=True) if turned else harmless(what)

    def text(self, marked: str) -> str:
        """Return a marked text in the reader's language."""
        return self.texts(marked)

    # --- answers ---------------------------------------------------------------------------------

    def _context(self) -> dict[str, object]:
        return {
            "view": self,
            "desk": self.desk,
            "setting": self.desk.setting,
            "station": self.station_or_none,
            "request_path": self.page_path,
            "said": said,
            "counted": counted,
            "mark": mark,
            "words": self.words,
            "t": self.text,
            "grouped": grouped,
            "Mood": Mood,
            "part": self.part,
            "stream": self.stream,
        }

    def html(self, template: str, **context: object) -> str:
        """Return a template filled in; in each, ``ui`` are the macros of ``ui.html``."""
        common = self._context()
        common["ui"] = ENVIRONMENT.get_template("ui.html").make_module(common)
        return ENVIRONMENT.get_template(template).render({**common, **context})

    def page(self, template: str, status: int = 200, **context: object) -> HTMLResponse:
        """Answer with a page."""
        return HTMLResponse(self.html(template, **context), status)

    def part_html(self, name: str) -> str:
        """Return what a part holds now."""
        found = PARTS[name]
        return self.html(f"parts/{name}.html", **found.context(self))

    def part(self, name: str, element: str = "div", classes: str = "") -> Markup:
        """Return a part in an element whose content is replaced as it changes."""
        return Markup('<{0} class="{1}" data-part="{2}">{3}</{0}>').format(
            element,
            classes,
            name,
            Markup(self.part_html(name)),  # noqa: S704 - our template
        )

    def stream(self, name: str, element: str = "ol", classes: str = "", label: str = "") -> Markup:
        """Return a stream in an element to which lines are added as they come.

        ``label``: makes it a region of this name that the keyboard can scroll.
        """
        lines = STREAMS[name].since(self, 0)
        last = lines[-1][0] if lines else 0
        content = Markup("").join(Markup(line) for _, line in lines)  # noqa: S704 - our templates
        region = Markup("")
        if label:
            region = Markup(' tabindex="0" role="region" aria-label="{0}"').format(label)
        return Markup('<{0} class="{1}" data-stream="{2}" data-after="{3}"{4}>{5}</{0}>').format(
            element, classes, name, last, region, content
        )

    @property
    def is_quiet(self) -> bool:
        """Say whether the page's script asked, which stays where it is and shows what it gets."""
        return self.request.headers.get("x-vtc07") == "quiet"

    def go(self, to: str) -> Response:
        """Answer that it is done: the page at ``to`` is shown, where no script keeps this one."""
        if self.is_quiet:
            return Response(status_code=204)
        return RedirectResponse(to, status_code=303)

    def refuse(self, why: Said | str, status: int = 409) -> Response:
        """Answer why something is not done; nothing was changed."""
        words = self.words(why)
        if self.is_quiet:
            return JSONResponse({"said": words}, status)
        return self.page("refused.html", status, why=words)

    async def form(self) -> dict[str, str]:
        """Return the fields of a form; of one that is there twice, the last."""
        found = await self.request.form(max_files=0, max_fields=100)
        return {name: value for name, value in found.items() if isinstance(value, str)}

    def at(self, page: str = "") -> str:
        """Return the path of a page of the place that this one is about."""
        return f"/at/{self.station.name}" + (f"/{page}" if page else "")


def is_number(text: str) -> bool:
    """Say whether a text of an address is a number that anything here is counted by."""
    return text.isascii() and text.isdigit() and len(text) < 16


def event(kind: str, document: Mapping[str, Any]) -> bytes:
    """Return a server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n".encode()
