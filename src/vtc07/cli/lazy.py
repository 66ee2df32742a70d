"""Command groups whose members are imported when they are called, for a fast start."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows its members by module, attribute and a short help.

    ``members``: name to ``("module:attribute", "short help")``, in the order in which they are
    listed. Nothing is imported to list them.
    """

    def __init__(
        self, *args: Any, members: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.members = dict(members or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's face
        """Return the names in their order."""
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a member; None where there is none of this name."""
        if cmd_name not in self.members:
            return None
        module, _, attribute = self.members[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the member that is called, or say which one may be meant."""
        name = args[0]
        if name not in self.members and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.members, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(self.members)}"
            raise click.UsageError(f"no command {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the members by their short helps."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in self.members.items()])


def examples(*lines: str) -> str:
    """Return the epilog of a command's help: examples, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
