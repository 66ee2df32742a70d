"""Writing registers: what can be written, as it stands now, and a field for another value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from vtc07.carrier.companion import SignOn
from vtc07.carrier.registers import Register, Value
from vtc07.harmless import harmless
from vtc07.hhu import selection
from vtc07.hhu.reading import Registers
from vtc07.hhu.texts import mark, said
from vtc07.hhu.values import text_for_people
from vtc07.hhu.writing import WriteResult
from vtc07.screens.meter_line import Target
from vtc07.screens.mood import Mood
from vtc07.screens.registers import read_writable, write_register, written_said
from vtc07.terminal.dialogs import Question, Wanted
from vtc07.terminal.frame import BACK, ENTER, LINE, PLAIN, Frame, Key
from vtc07.terminal.table import WordTable


class WriteScreen(Frame):
    """Choose a register, give it a value; it is read back."""

    TITLE_WORDS = mark("Write")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "again", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._registers: tuple[Register, ...] = ()
        self._chosen: Register | None = None

    def body(self) -> Iterable[Widget]:
        """Return the table of registers, and a field for a value."""
        yield WordTable()
        yield Static(id="question", markup=False)
        yield Input(id="value", restrict=PLAIN, select_on_focus=False)

    def on_mount(self) -> None:
        """Read what can be written, with the password where the meter wants one."""
        super().on_mount()
        overview, target = self.unit.overview, self.unit.target
        assert overview is not None
        assert target is not None
        companion = overview.companion
        self._registers = selection.writable(companion)
        self._fill({})
        self._edit(None)
        self._with_password(target, lambda _: self.action_again())

    def _with_password(self, target: Target, then: Callable[[Target], None]) -> None:
        """Go on; ask for the password first where the meter wants one and none is at hand."""
        overview = self.unit.overview
        assert overview is not None
        companion = overview.companion
        is_mode_c = companion.sign_on is SignOn.MODE_C
        if is_mode_c and companion.knows_passwords and target.password is None:
            self._ask_for_password(target, then)
        else:
            then(target)

    def _ask_for_password(self, target: Target, then: Callable[[Target], None]) -> None:
        def given(password: str | None) -> None:
            known = target if password is None else replace(target, password=password)
            self.unit.target = known
            then(known)

        question = said(
            "This meter wants a password before anything is written. It is kept until another "
            "meter is connected."
        )
        self.app.push_screen(Wanted(question, hidden=True), given)

    def offered(self) -> Iterable[Key]:
        """Return the keys of the moment."""
        if self._chosen is not None:
            return ((ENTER, mark("write it")), BACK, LINE)
        return ((ENTER, mark("change")), ("F5", mark("read again")), BACK, LINE)

    def _fill(self, values: dict[Register, Value]) -> None:
        overview = self.unit.overview
        assert overview is not None
        texts = self.unit.texts
        rows = [
            (
                register.address,
                (
                    register.address,
                    register.name,
                    text_for_people(register, values[register], overview.companion)
                    if register in values
                    else "",
                ),
            )
            for register in self._registers
        ]
        columns = (texts(mark("ID")), texts(mark("register")), texts(mark("value")))
        self.query_one(WordTable).fill(columns, rows, keep=True)

    def action_again(self) -> None:
        """Read the registers again."""
        target = self.unit.target
        if target is None or self._chosen is not None:
            return
        work = functools.partial(read_writable, target=target, registers=self._registers)
        self.with_meter(work, self._show)

    def _show(self, found: Registers) -> None:
        self._fill({v.register: v.value for v in found.values})

    # --- a value ---------------------------------------------------------------------------------

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Edit the register of the row."""
        if self.unit.line.busy:
            return
        address = event.row_key.value
        self._edit(next((r for r in self._registers if r.address == address), None))

    def _edit(self, register: Register | None) -> None:
        self._chosen = register
        question, field = self.query_one("#question", Static), self.query_one("#value", Input)
        question.display = field.display = register is not None
        if register is None:
            self.query_one(WordTable).focus()
        else:
            unit = f" [{register.unit}]" if register.unit else ""
            meaning = f": {register.meaning}" if register.meaning else ""
            question.update(harmless(f"{register.name}{unit}{meaning}"))
            field.value = ""
            field.focus()
        self.show_keys()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say whether the register can hold what stands there."""
        if self._chosen is None or not event.value:
            return
        try:
            self._assignment(event.value)
        except selection.SelectionError as error:
            self.tell(str(error), Mood.BAD)
        else:
            self.tell(said("{register} can hold this.", register=self._chosen.name), Mood.GOOD)

    def _assignment(self, text: str) -> tuple[Register, Value]:
        overview = self.unit.overview
        assert overview is not None
        assert self._chosen is not None
        return selection.assignment(overview.companion, f"{self._chosen.address}={text}")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Write the value."""
        target = self.unit.target
        if self._chosen is None or target is None or self.unit.line.busy:
            return
        try:
            register, value = self._assignment(event.value)
        except selection.SelectionError as error:
            self.tell(str(error), Mood.BAD)
            return
        if value == "":
            self._ask_whether_empty(target, register)
        else:
            self._write(target, register, value)

    def _ask_whether_empty(self, target: Target, register: Register) -> None:
        """Ask before a text is taken away: Enter pressed twice is no wish."""

        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual's callback
            if yes:
                self._write(target, register, "")

        question = said(
            "Nothing is typed. Take away what stands in {register}?", register=register.name
        )
        self.app.push_screen(
            Question(question, mark("write it"), yes_key="f8", shown_key="F8"), answered
        )

    def _write(self, target: Target, register: Register, value: Value) -> None:
        self._edit(None)
        self._with_password(target, functools.partial(self._send, register=register, value=value))

    def _send(self, target: Target, *, register: Register, value: Value) -> None:
        work = functools.partial(
            write_register,
            target=target,
            register=register,
            value=value,
            journal=self.unit.journal,
            wall_clock=self.unit.wall_clock,
        )
        self.with_meter(work, self._written)

    def _written(self, done: tuple[WriteResult, Registers]) -> None:
        result, found = done
        self._show(found)
        self.tell(*written_said(result))

    def go_back(self) -> None:
        """Leave the field first."""
        if self._chosen is None:
            super().go_back()
        else:
            self.tell("")
            self._edit(None)
