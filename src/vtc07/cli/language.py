"""Which language a command speaks to people: asked for, or the environment's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vtc07.cli.failure import Failure
from vtc07.hhu.texts import ENGLISH, Texts, languages, texts_of

#: The environment variables that say a language, the first that is set and not empty counts.
VARIABLES: Final = ("VTC07_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
#: Names a folder with catalogues of the user's own.
CATALOGUES: Final = "VTC07_CATALOGUES"


def texts_for(language: str | None, environment: Mapping[str, str]) -> Texts:
    """Return the texts of a language that was asked for, or of the one the environment names.

    Failure for a language that was asked for by name and is not there; the environment's is taken
    as far as it goes, and English is spoken where it goes nowhere.
    """
    own = environment.get(CATALOGUES)
    folder = Path(own) if own else None
    if folder is not None and not folder.is_dir():
        raise Failure(
            f"{CATALOGUES} names {folder}, which is no folder; correct it, or take it away"
        )
    asked = language or environment.get(VARIABLES[0]) or None
    try:
        if asked is not None:
            texts = texts_of(asked, folder)
            if texts.language == ENGLISH.language and not _is_english(asked):
                known = ", ".join(languages(folder))
                raise Failure(f"there are no texts in language {asked!r}; there are {known}")
            return texts
        named = (environment.get(name) for name in VARIABLES[1:])
        return texts_of(next((name for name in named if name), ENGLISH.language), folder)
    except ValueError as error:
        raise Failure(str(error)) from None


def _is_english(language: str) -> bool:
    return language.partition(".")[0].replace("-", "_").partition("_")[0].lower() in ("en", "c")
