"""Delivering at the pages of a place, as a browser without a script does it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from cli_bench import done, registers
from web_bench import Answer, Http, Web

from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.trace.values import grouped

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)" form="entry">')


class Slips:
    """Somebody with tokens in the hand, at a place. ``http``: as whom."""

    def __init__(self, web: Web, station: str, http: Http | None = None) -> None:
        self.web = web
        self.station = station
        self.http = http or web.http

    def path(self, page: str = "") -> str:
        """Return the path of the delivery's page, or of one below it."""
        return f"/at/{self.station}/deliver" + (f"/{page}" if page else "")

    def page(self) -> Answer:
        """Load the page."""
        return self.http.get(self.path())

    def shown(self) -> dict[str, str]:
        """Return what the page sends along: the list's number, and the meter."""
        return dict(_HIDDEN.findall(self.page().html))

    def add(self, text: str) -> Answer:
        """Put what was typed into the list."""
        return self.http.post(self.path("add"), {"token": text})

    def send(self, token: str = "", **fields: str) -> Answer:
        """Press "send" with something in the field."""
        return self.http.post(self.path("send"), {**self.shown(), "token": token, **fields})

    def deliver(self, token: str) -> str:
        """Send a token, wait until nothing is under way, and return what the page says."""
        answer = self.send(token)
        assert answer.status == 200, answer.text
        self.web.rests(self.station)
        return self.page().text

    def sees(self, *words: str) -> str:
        """Wait until all of these words stand in what becomes of the tokens."""
        with self.web.events(self.station, "delivery") as events:
            return events.sees("delivery", *words)

    def another(self, **fields: str) -> Answer:
        """Begin anew."""
        html = self.page().html
        found = re.search(r'name="draft" value="([^"]+)"', html)
        assert found is not None, html
        return self.http.post(self.path("another"), {"draft": found[1], **fields})


def credit_at(address: str) -> int:
    """Ask a meter itself what it has taken, in Wh."""
    read = done("read", address, "totalCreditAccepted", "--no-journal", "--json").json
    return int(registers(read)["totalCreditAccepted"])


def deliveries(web: Web) -> Sequence[Delivery]:
    """Return what stands in the application's journal."""
    with open_for_reading(web.journal) as journal:
        return journal.deliveries()


def refuse_deliveries(web: Web) -> None:
    """Have the journal refuse to open another delivery, as a medium that is full does."""
    with closing(sqlite3.connect(web.journal, isolation_level=None)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON delivery "
            "BEGIN SELECT RAISE(ABORT, 'the medium is full'); END"
        )


def is_kept_quiet(web: Web, token: str) -> bool:
    """Say whether a token stands in nothing that the application wrote beside its pages."""
    return token not in web.said and grouped(token) not in web.said
