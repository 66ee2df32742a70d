"""Questions over a screen: one answer by one key, or a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from vtc07.harmless import harmless
from vtc07.hhu.texts import Said, mark
from vtc07.terminal.frame import ENTER, ESCAPE, PLAIN, Menu, still

if TYPE_CHECKING:
    from vtc07.terminal.app import HandHeldUnit

_GO_ON = mark("go on")
_CHOOSE = mark("choose")
_BACK = mark("back")


class Question(ModalScreen[bool]):
    """A question that is answered by ``yes_key`` (True) or by Esc (False).

    The key that does something that cannot be undone is never the one that lies under the thumb.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "answer(False)", show=False)]

    def __init__(
        self,
        question: Said,
        yes: str,
        no: str = _BACK,
        *,
        yes_key: str = "enter",
        shown_key: str = ENTER,
    ) -> None:
        super().__init__()
        self._question = question
        self._yes, self._no = yes, no
        self._yes_key, self._shown_key = yes_key, shown_key

    def compose(self) -> ComposeResult:
        """Put the question together."""
        texts = cast("HandHeldUnit", self.app).texts
        keys = f"{texts(self._shown_key)} {texts(self._yes)}   {texts(ESCAPE)} {texts(self._no)}"
        with Vertical(id="dialog"):
            yield Static(Content(self._question.words(texts)), id="question")
            yield Static(Content(keys), id="answers")

    def on_mount(self) -> None:
        """Listen to the key for yes."""
        self._bindings.bind(self._yes_key, "answer(True)", show=False)

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - what Textual calls it with
        """Give the answer."""
        self.dismiss(answer)


class Wanted(ModalScreen[str | None]):
    """A line of text that is wanted; None where the user went back. ``hidden``: a password."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", show=False)]

    def __init__(self, question: Said, *, text: str = "", hidden: bool = False) -> None:
        super().__init__()
        self._question = question
        self._text = text
        self._hidden = hidden

    def compose(self) -> ComposeResult:
        """Put the question together."""
        texts = cast("HandHeldUnit", self.app).texts
        keys = f"{texts(ENTER)} {texts(_GO_ON)}   {texts(ESCAPE)} {texts(_BACK)}"
        with Vertical(id="dialog"):
            yield Static(Content(self._question.words(texts)), id="question")
            yield Input(
                harmless(self._text),
                password=self._hidden,
                restrict=PLAIN,
                select_on_focus=False,
            )
            yield Static(Content(keys), id="answers")

    def on_mount(self) -> None:
        """Wait for the text."""
        still(self)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the text."""
        event.stop()
        if event.value:
            self.dismiss(event.value)

    def action_give_up(self) -> None:
        """Go back without a text."""
        self.dismiss(None)


class Choice(ModalScreen[str | None]):
    """One of several things to do; None where the user went back. ``items``: a name and words."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", show=False)]

    def __init__(self, question: Said, items: tuple[tuple[str, Said], ...]) -> None:
        super().__init__()
        self._question = question
        self._items = items

    def compose(self) -> ComposeResult:
        """Put the question together."""
        texts = cast("HandHeldUnit", self.app).texts
        keys = f"{texts(ENTER)} {texts(_CHOOSE)}   {texts(ESCAPE)} {texts(_BACK)}"
        with Vertical(id="dialog"):
            yield Static(Content(self._question.words(texts)), id="question", classes="gap")
            yield Menu()
            yield Static(Content(keys), id="answers")

    def on_mount(self) -> None:
        """Offer the items."""
        texts = cast("HandHeldUnit", self.app).texts
        self.query_one(Menu).offer((name, words.words(texts)) for name, words in self._items)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Give what was chosen."""
        event.stop()
        self.dismiss(event.option_id)

    def action_give_up(self) -> None:
        """Go back without a choice."""
        self.dismiss(None)
