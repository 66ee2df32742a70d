"""Options that several commands share, handed to each as one fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Command = Callable[..., Any]


def gathering(
    name: str,
    fields: Iterable[str],
    make: Callable[[Mapping[str, Any]], Any],
    parameters: Iterable[Callable[[Command], Command]],
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command ``parameters``, whose values arrive as ``name``.

    ``fields``: the names of the values that ``make`` makes one fact of. ``parameters``: decorators
    of click, the last one shown first.
    """
    taken, given = tuple(fields), tuple(parameters)

    def decorate(function: Command) -> Command:
        def gathered(*args: Any, **kwargs: Any) -> Any:
            values = {field: kwargs.pop(field) for field in taken}
            return function(*args, **{name: make(values)}, **kwargs)

        gathered.__name__ = function.__name__
        gathered.__doc__ = function.__doc__
        gathered.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]
        command: Command = gathered
        for parameter in given:
            command = parameter(command)
        return command

    return decorate
