"""Tables of words: what a cell holds is shown as it is, and commands no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.actions import SkipAction
from textual.widgets import DataTable

from vtc07.harmless import harmless


class WordTable(DataTable[Text]):
    """A table whose rows are chosen as a whole."""

    def __init__(self, *, classes: str = "fill") -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, cell_padding=1, classes=classes)

    def fill(
        self,
        columns: Sequence[str],
        rows: Iterable[tuple[str, Sequence[str]]],
        *,
        keep: bool = False,
    ) -> None:
        """Show rows: a key for each, and its cells. ``keep``: the cursor stays in its row."""
        shown = [(key, [harmless(cell) for cell in cells]) for key, cells in rows]
        row = self.cursor_row if keep else 0
        self.clear(columns=True)
        for place, column in enumerate(columns):
            # Widths are known now; the table would find them out some time later.
            cells = [column, *(cells[place] for _, cells in shown)]
            self.add_column(Text(column), width=max(map(cell_len, cells)))
        for key, cells in shown:
            self.add_row(*(Text(cell) for cell in cells), key=key)
        if row and row < self.row_count:
            self.move_cursor(row=row)

    def action_select_cursor(self) -> None:
        """Choose the row; a table without any leaves the key to the screen."""
        if not self.row_count:
            raise SkipAction
        super().action_select_cursor()
