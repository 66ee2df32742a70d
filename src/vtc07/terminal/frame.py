"""What every screen has: a title, a body, a line for what is said, and the keys that do something.

Nothing is told by colour alone, and nothing moves by itself: it is read over slow lines, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from vtc07.cli.connection import Connection
from vtc07.harmless import harmless
from vtc07.hhu.texts import Said, mark, said
from vtc07.screens.mood import Mood

if TYPE_CHECKING:
    from vtc07.screens.meter_line import Target
    from vtc07.terminal.app import HandHeldUnit

T = TypeVar("T")

#: What is said on a screen: a sentence, or text that is the same in every language.
Words = Said | str

ENTER: Final = mark("Enter")
ESCAPE: Final = mark("Esc")

#: A key as it is shown, and what it does: both in English, to be put into the user's language.
Key = tuple[str, str]

BACK: Final[Key] = (ESCAPE, mark("back"))
LINE: Final[Key] = ("F2", mark("line"))


#: What may be typed or pasted into a field: nothing that the terminal would obey when it is shown.
PLAIN: Final = r"[^\x00-\x1f\x7f-\x9f]*"


def still(screen: Screen[Any]) -> None:
    """Have no cursor blink: over a slow line every blink costs."""
    for field in screen.query(Input):
        field.cursor_blink = False


def in_lines(pieces: Iterable[Content], room: int) -> list[Content]:
    """Return lines of pieces with space between them; none is broken that fits ``room`` columns."""
    lines: list[list[Content]] = [[]]
    for piece in pieces:
        if lines[-1] and sum(p.cell_length + 3 for p in lines[-1]) + piece.cell_length > room:
            lines.append([])
        lines[-1].append(piece)
    return [Content("   ").join(line) for line in lines]


class Menu(OptionList):
    """A list of things to do: by arrows and Enter, or by the digit before each of the first nine.

    Options are given by `offer`.
    """

    def offer(self, items: Iterable[tuple[str, str]]) -> None:
        """Show items: an id and words for each; what was highlighted stays so, if it is there."""
        before = self.highlighted_option
        wanted = None if before is None else before.id
        self.clear_options()
        for place, (name, words) in enumerate(items, 1):
            number = f"{place}" if place < 10 else " "
            self.add_option(Option(Content(harmless(f"{number}  {words}")), id=name))
        if self.option_count:
            names = [option.id for option in self.options]
            self.highlighted = names.index(wanted) if wanted in names else 0

    def on_key(self, event: events.Key) -> None:
        """Take a digit for the option that it stands before."""
        digit = event.character or ""
        if digit.isascii() and digit.isdigit() and 0 < int(digit) <= self.option_count:
            event.stop()
            self.highlighted = int(digit) - 1
            self.action_select()


class Frame(Screen[None]):
    """A screen of the hand-held unit. ``TITLE_WORDS``: what it is for; ``KEYS``: what it offers."""

    TITLE_WORDS: ClassVar[str] = ""
    KEYS: ClassVar[tuple[Key, ...]] = (BACK, LINE)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._told = ""

    def body(self) -> Iterable[Widget]:
        """Return what stands between title and keys."""
        return ()

    def offered(self) -> Iterable[Key]:
        """Return the keys that do something now."""
        return self.KEYS

    # --- what it is made of ----------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Put the screen together."""
        yield Static(id="title", markup=False)
        with Vertical(id="body"):
            yield from self.body()
        yield Static(id="said", markup=False)
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Show title and keys."""
        still(self)
        self.show_title()
        self.show_keys()

    def on_resize(self) -> None:
        """Put the title's two parts at the screen's two edges, and the keys in as few lines."""
        self.show_title()
        self.show_keys()

    def on_screen_resume(self) -> None:
        """Show what may have changed meanwhile."""
        self.show_title()
        self.show_keys()

    @property
    def unit(self) -> HandHeldUnit:
        """The application."""
        return cast("HandHeldUnit", self.app)

    def words(self, what: Words) -> str:
        """Return something in the user's language, fit to be shown."""
        return what.words(self.unit.texts) if isinstance(what, Said) else harmless(what)

    def title_words(self) -> Words:
        """Return what stands in the title."""
        return Said(self.TITLE_WORDS)

    def show_title(self) -> None:
        """Show what the screen is for, and which meter is meant."""
        title = f" {self.words(self.title_words())}"
        right = f"{self.words(self.unit.whereabouts())} "
        room = self.app.size.width - cell_len(title)
        if cell_len(right) >= room:  # what does not fit would be on a second line, unseen
            right = set_cell_size(right, max(0, room - 2)) + "…"
        gap = " " * max(1, room - cell_len(right))
        self.query_one("#title", Static).update(Content(title + gap + right))

    def show_keys(self) -> None:
        """Show the keys that do something now."""
        texts = self.unit.texts
        shown = [
            Content.assemble((texts(key), "bold"), " ", texts(does)) for key, does in self.offered()
        ]
        room = self.app.size.width - 2
        self.query_one("#keys", Static).update(Content("\n").join(in_lines(shown, room)))

    def tell(self, what: Words, mood: Mood = Mood.PLAIN) -> None:
        """Say something in the line above the keys, in place of what stood there."""
        text = self._told = self.words(what)
        area = self.query_one("#said", Static)
        area.set_classes(mood.name.lower())
        area.update(Content(f"{mood.value} {text}".strip() if text else ""))

    def warn(self, what: str) -> None:
        """Say something that may be wrong, below what is said already."""
        area = self.query_one("#said", Static)
        area.set_classes(Mood.CARE.name.lower())
        area.update(Content(f"{self._told}\n{Mood.CARE.value} {harmless(what)}".strip()))

    # --- what it does ----------------------------------------------------------------------------

    def action_back(self) -> None:
        """Go back; while the meter is being spoken to, first stop that."""
        if self.unit.line.busy:
            self.unit.ask_to_leave()
        else:
            self.go_back()

    def go_back(self) -> None:
        """Leave this screen."""
        self.dismiss()

    def with_meter(
        self,
        work: Callable[[Connection], T],
        done: Callable[[T], None],
        *,
        ended: Callable[[], None] | None = None,
        target: Target | None = None,
    ) -> None:
        """Do a piece of work with the meter, then ``done`` with what it came to, on this screen.

        ``ended``: called in any case, before ``done``. ``target``: another one than the meter that
        is meant. Nothing happens while another piece of work is under way.
        """
        self.unit.with_meter(self, work, done, ended, target)

    def aside(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Do something that takes its time but needs no meter, then ``done``, on this screen."""
        self.unit.aside(self, work, done)

    def failed(self, sentence: Words) -> None:
        """Say why a piece of work could not be done."""
        self.tell(sentence, Mood.BAD)

    def failed_with(self, _error: Exception) -> bool:
        """Deal with an error in a way of its own; False: it is simply said."""
        return False

    def left(self) -> None:
        """Say that a piece of work was left."""
        self.tell(said("Left: the meter is not waited for any more."), Mood.CARE)

    def step(self, what: Words) -> None:
        """Say how far a piece of work has come."""
        self.tell(what, Mood.BUSY)
