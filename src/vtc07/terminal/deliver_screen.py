"""Delivering tokens: typed with a check at every digit, sent, each exactly once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from vtc07.cli.connection import Connection
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.texts import Said, counted, mark, said
from vtc07.screens.delivering import (
    Told,
    can_be_key_change,
    deliver,
    deliver_set,
    result_said,
)
from vtc07.screens.known import made_said
from vtc07.screens.mood import Mood
from vtc07.screens.token_entry import (
    Check,
    Sighting,
    Standing,
    Tokens,
    check,
    digits_of,
    regrouped,
)
from vtc07.terminal.diagnose_screen import DiagnoseScreen
from vtc07.terminal.dialogs import Choice
from vtc07.terminal.frame import BACK, ENTER, LINE, Frame, Key
from vtc07.terminal.token_field import TokenInput
from vtc07.trace.values import grouped

_MOODS: Final = {
    Standing.GOOD: Mood.GOOD,
    Standing.DOUBTFUL: Mood.CARE,
    Standing.WRONG: Mood.BAD,
}


class DeliverScreen(Frame):
    """Tokens are gathered here, checked, sent, and their results shown."""

    TITLE_WORDS = mark("Deliver tokens")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "another", show=False),
        Binding("f4", "why", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()
        self._check = Check(Standing.EMPTY, ())
        self._sightings: tuple[Sighting, ...] = ()
        self._sending = False
        self._done = False
        self._refused = ""
        #: deliveries of the tokens that had a result before; None while no meter is reached
        self._settled: frozenset[int] | None = None

    def body(self) -> Iterable[Widget]:
        """Return the tokens gathered, the field, and what is said of its token."""
        with VerticalScroll(id="tokens", can_focus=False):
            yield Static(id="gathered", markup=False)
            yield TokenInput()
            yield Static(id="check", markup=False)

    def on_mount(self) -> None:
        """Wait for digits."""
        super().on_mount()
        self._begin()

    def offered(self) -> Iterable[Key]:
        """Return the keys of the moment."""
        if self._sending:
            return ((BACK[0], mark("leave")), LINE)
        if self._done:
            why = (("F4", mark("why?")),) if self._refused else ()
            return ((ENTER, mark("another token")), *why, BACK, LINE)
        return (
            (ENTER, mark("send")),
            ("+", mark("one more token")),
            (mark("Backspace"), mark("correct")),
            BACK,
            LINE,
        )

    # --- typing ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._tokens = Tokens()
        self._sending = self._done = False
        self._refused = ""
        field = self.query_one(TokenInput)
        field.value = ""
        field.display, field.disabled = True, False
        self.query_one("#tokens").can_focus = False
        field.focus()
        self._judge("")
        self.show_keys()
        self.tell("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Put the digits into groups and say what can be said of them."""
        if self._sending or self._done:
            return
        field = event.input
        text, cursor = regrouped(field.value, field.cursor_position)
        if text != field.value:
            with field.prevent(Input.Changed):
                field.value = text
            field.cursor_position = cursor
        self._judge(text)

    def _judge(self, text: str) -> None:
        self._sightings = ()
        self._show_check(check(text, self._tokens.digits))
        if self._check.standing.sendable:
            digits = digits_of(text)
            look = functools.partial(self.unit.sightings, digits)
            self.aside(look, functools.partial(self._seen, digits))

    def _seen(self, digits: str, sightings: tuple[Sighting, ...]) -> None:
        """Say what the journal knows of the token, if it still stands there."""
        text = self.query_one(TokenInput).value
        if sightings and digits_of(text) == digits:
            self._sightings = sightings
            self._show_check(check(text, self._tokens.digits, sightings))

    def _show_check(self, found: Check) -> None:
        self._check = found
        mood = _MOODS.get(found.standing, Mood.PLAIN)
        said_of_it = "\n".join(self.words(line) for line in found.lines)
        if found.standing is Standing.EMPTY:
            said_of_it = self.words(
                said("Type the 20 digits of the token, or paste one or several.")
                if not self._tokens.digits
                else counted(
                    "{count} token is ready to be sent.",
                    "{count} tokens are ready to be sent, in this order.",
                    len(self._tokens.digits),
                )
            )
        area = self.query_one("#check", Static)
        area.set_classes(mood.name.lower())
        area.update(Content(f"{mood.value} {said_of_it}".strip()))
        self.query_one("#gathered", Static).update(
            Content(
                "\n".join(
                    f"{place}  {grouped(digits)}"
                    for place, digits in enumerate(self._tokens.digits, 1)
                )
            )
        )

    def on_token_input_added(self) -> None:
        """Keep the token, for another one follows."""
        self._keep()

    def _keep(self) -> bool:
        field = self.query_one(TokenInput)
        if not self._tokens.take(field.value):
            self.tell(said("The token is not complete, or cannot be one."), Mood.BAD)
            return False
        field.value = ""
        self.tell("")
        return True

    def on_token_input_undone(self) -> None:
        """Take the last token that was kept back into the field."""
        self.query_one(TokenInput).value = self._tokens.give_back()
        field = self.query_one(TokenInput)
        field.cursor_position = len(field.value)

    def on_token_input_pasted(self, event: TokenInput.Pasted) -> None:
        """Take pasted tokens: the last one stays in the field, to be looked at."""
        field = self.query_one(TokenInput)
        *first, last = event.tokens
        wrong = [grouped(digits) for digits in first if not self._tokens.take(digits)]
        field.value = grouped(last)
        field.cursor_position = len(field.value)
        if wrong:
            self.tell(
                said("Not taken, for it can be no token: {tokens}", tokens=", ".join(wrong)),
                Mood.BAD,
            )

    # --- sending ---------------------------------------------------------------------------------

    def on_input_submitted(self) -> None:
        """Send what is there."""
        if self._sending or self._done or self.unit.line.busy:
            return
        field = self.query_one(TokenInput)
        if (field.value or not self._tokens.digits) and not self._keep():
            return
        if can_be_key_change(self._tokens.digits):
            self._ask_whether_key_change()
        else:
            self._send(deliver)

    def _ask_whether_key_change(self) -> None:
        def chosen(name: str | None) -> None:
            if name is None:
                self.on_token_input_undone()
            else:
                self._send(deliver_set if name == "set" else deliver)

        question = said(
            "Are these {count} tokens one key change? Then the meter is asked first which of them "
            "it holds, and only what is missing is entered.",
            count=len(self._tokens.digits),
        )
        one_by_one = said("No: send them one after the other")
        items = (("set", said("Yes, one key change")), ("single", one_by_one))
        self.app.push_screen(Choice(question, items), chosen)

    def _send(self, how: Callable[..., Told]) -> None:
        target = self.unit.target
        assert target is not None
        field = self.query_one(TokenInput)
        field.display, field.disabled = False, True
        self._sending = True
        self.query_one("#check", Static).update("")
        self.show_keys()
        self.unit.token_on_its_way = True
        tokens, self._settled = tuple(self._tokens.digits), None

        def work(connection: Connection) -> Told:
            self._settled = self.unit.settled(tokens)
            return how(
                connection,
                target=target,
                journal=self.unit.journal,
                tokens=tokens,
                wall_clock=self.unit.wall_clock,
            )

        self.with_meter(work, self._sent, ended=self._ended)

    def _ended(self) -> None:
        self._sending, self._done = False, True
        tokens = self.query_one("#tokens")
        tokens.can_focus = True  # what does not fit is looked at by the arrow keys
        tokens.focus()
        self.show_keys()

    def _sent(self, told: Told) -> None:
        if told.overview is not None:
            self.unit.met(told.overview)
        shown = [self.words(line) for line in told.lines(self._tokens.digits, self.unit.texts)]
        self.query_one("#gathered", Static).update(Content("\n".join(shown)))
        self._refused = told.refused(self._tokens.digits)
        self.show_keys()
        self.tell(told.summary, told.mood)

    def failed(self, sentence: Said | str) -> None:
        """Say why nothing was sent, or what is open now."""
        super().failed(sentence)
        self._tell_open()

    def left(self) -> None:
        """Say what is known of the tokens after they were left."""
        super().left()
        self._tell_open()

    def _tell_open(self) -> None:
        """Say what the journal knows of the tokens by now; the others are as they were."""
        tokens = tuple(self._tokens.digits)
        self.aside(functools.partial(self.unit.made_since, tokens, self._settled), self._tell_made)

    def _tell_made(self, made: tuple[Delivery | None, ...]) -> None:
        lines: list[str] = []
        for place, (digits, delivery) in enumerate(zip(self._tokens.digits, made, strict=False), 1):
            lines.append(f"{place}  {grouped(digits)}")
            if delivery is not None and delivery.ended is not None:
                lines.append(f"   {self.words(result_said(delivery.ended))}")
        lines.append(self.words(made_said(made)))
        self.query_one("#gathered", Static).update(Content("\n".join(lines)))

    def action_why(self) -> None:
        """Look into why a token was refused."""
        if self._refused and not self.unit.line.busy:
            self.app.push_screen(DiagnoseScreen(grouped(self._refused)))

    def action_another(self) -> None:
        """Begin anew, once results are shown."""
        if self._done and not self.unit.line.busy:
            self._begin()
