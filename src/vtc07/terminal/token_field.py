"""The field for a token."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.widgets import Input

from vtc07.screens.token_entry import digits_of, tokens_in


class TokenInput(Input):
    """A field for a token: digits only, in groups of four; + adds it, paste takes several."""

    class Added(Message):
        """The token is to be kept, for another one follows."""

    class Undone(Message):
        """The last token that was kept is wanted back."""

    class Pasted(Message):
        """Whole tokens were pasted."""

        def __init__(self, tokens: Sequence[str]) -> None:
            super().__init__()
            self.tokens = tokens

    def __init__(self) -> None:
        super().__init__(restrict=r"(?:[0-9] ?){0,20}", select_on_focus=False)

    def on_key(self, event: events.Key) -> None:
        """Take the keys that are not digits."""
        if event.character == "+":
            self.post_message(self.Added())
        elif event.key == "backspace" and not self.value:
            self.post_message(self.Undone())
        else:
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Take what is pasted: tokens as they stand in a message, or some digits."""
        event.stop()
        event.prevent_default()
        tokens = tokens_in(event.text)
        if tokens is not None:
            self.post_message(self.Pasted(tokens))
        else:
            self.insert_text_at_cursor(digits_of(event.text))
