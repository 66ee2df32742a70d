"""What is wrong: with the meter, or with a token that it refused."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, RichLog, Static

from vtc07.hhu.diagnosis.facts import Finding, Receipt
from vtc07.hhu.diagnosis.run import Diagnosis
from vtc07.hhu.texts import mark, said
from vtc07.screens.diagnosing import CERTAINTY, SIGNS, look_into, verdict
from vtc07.screens.mood import Mood
from vtc07.screens.receipt_entry import FIELDS, ReceiptError, receipt_of
from vtc07.terminal.frame import BACK, ENTER, LINE, PLAIN, Frame, Key


class DiagnoseScreen(Frame):
    """A receipt, as far as it is at hand; then what is the case. ``token``: the one to explain."""

    TITLE_WORDS = mark("What is wrong?")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "field(1)", show=False),
        Binding("up", "field(-1)", show=False),
        Binding("f5", "again", show=False),
    ]

    def __init__(self, token: str = "") -> None:
        super().__init__()
        self._token = token
        self._receipt = Receipt()

    def body(self) -> Iterable[Widget]:
        """Return the fields, and the findings that take their place."""
        texts = self.unit.texts
        with Vertical(id="receipt"):
            yield Static(
                self.words(
                    said(
                        "Why was a token refused? Fill in what the receipt says, as far as you "
                        "have it, or nothing: then the meter's last token is looked at."
                    )
                ),
                classes="gap",
                markup=False,
            )
            for name, label in FIELDS:
                with Horizontal(classes="field"):
                    yield Static(texts(label), classes="label", markup=False)
                    yield Input(
                        self._token if name == "token" else "",
                        id=f"field-{name}",
                        restrict=PLAIN,
                        select_on_focus=False,
                    )
        yield RichLog(wrap=True, auto_scroll=False, min_width=20, classes="log")

    def on_mount(self) -> None:
        """Wait for what the receipt says; one that was refused just now is taken at once."""
        super().on_mount()
        self._show_fields(shown=True)
        if self._token:
            self._diagnose()

    def offered(self) -> Iterable[Key]:
        """Return the keys of the moment."""
        if self.query_one("#receipt").display:
            return ((ENTER, mark("look into it")), ("↑↓", mark("another field")), BACK, LINE)
        return (("↑↓", mark("look around")), ("F5", mark("read again")), BACK, LINE)

    def _show_fields(self, *, shown: bool) -> None:
        receipt, log = self.query_one("#receipt"), self.query_one(RichLog)
        receipt.display, log.display = shown, not shown
        if shown:
            self.query_one("#field-token", Input).focus()
        else:
            log.focus()
        self.show_keys()

    def action_field(self, way: int) -> None:
        """Go to the next field, or the one before."""
        if way > 0:
            self.focus_next(Input)
        else:
            self.focus_previous(Input)

    def on_input_submitted(self) -> None:
        """Look into it, with what is filled in."""
        self._diagnose()

    def action_again(self) -> None:
        """Look into it again."""
        if self.query_one(RichLog).display:
            self._diagnose()

    def _diagnose(self) -> None:
        target = self.unit.target
        if target is None or self.unit.line.busy:
            return
        fields = {name: self.query_one(f"#field-{name}", Input).value for name, _ in FIELDS}
        try:
            receipt = receipt_of(fields, None)
        except ReceiptError as error:
            self.query_one(f"#field-{error.field}", Input).focus()
            self.tell(error.said, Mood.BAD)
            return
        work = functools.partial(
            look_into,
            target=target,
            receipt=receipt,
            journal=self.unit.journal,
            wall_clock=self.unit.wall_clock,
        )
        self.with_meter(work, self._show)

    def _show(self, found: Diagnosis) -> None:
        log = self.query_one(RichLog)
        log.clear()
        self._show_fields(shown=False)
        self.call_after_refresh(self._write, found)

    def _write(self, found: Diagnosis) -> None:
        log = self.query_one(RichLog)
        for finding in found.findings:
            for line in self._lines(finding):
                log.write(line)
        self.tell(*verdict(found))

    def _lines(self, finding: Finding) -> Iterable[Text]:
        sure = CERTAINTY.get(finding.certainty)
        sureness = "" if sure is None else f"({self.unit.texts(sure)}) "
        what = self.words(finding.what)
        yield Text(f"{SIGNS[finding.weight].value} {sureness}{what}", style="bold")
        if finding.advice is not None:
            yield Text(f"  → {self.words(finding.advice)}")

    def go_back(self) -> None:
        """Go back to the receipt first."""
        if self.query_one("#receipt").display:
            super().go_back()
        else:
            self.tell("")
            self._show_fields(shown=True)
