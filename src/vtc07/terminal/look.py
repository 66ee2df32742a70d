"""How the application looks: black and white first, so that it can be read in any light."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="vtc07-dark",
    primary="#ffd75f",
    secondary="#87d7ff",
    accent="#ffd75f",
    warning="#ffd75f",
    error="#ff8787",
    success="#87ff87",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
)
LIGHT: Final = Theme(
    name="vtc07-light",
    primary="#00005f",
    secondary="#005f87",
    accent="#00005f",
    warning="#875f00",
    error="#af0000",
    success="#005f00",
    foreground="#000000",
    background="#ffffff",
    surface="#ffffff",
    panel="#d0d0d0",
    dark=False,
)

CSS: Final = """
Screen { background: $background; color: $foreground; }
#title { height: 1; background: $foreground; color: $background; text-style: bold; }
#body { height: 1fr; padding: 0 1; }
#said { height: auto; max-height: 12; padding: 0 1; text-style: bold; }
#check { text-style: bold; margin: 1 0; }
#gathered { text-style: bold; }
#results { height: auto; max-height: 70%; scrollbar-size-vertical: 1; }
.good { color: $success; }
.care { color: $warning; }
.bad { color: $error; }
#keys { height: auto; max-height: 3; padding: 0 1; background: $panel; color: $foreground; }
Input, Input:focus { border: none; height: 1; padding: 0 1; background: $panel;
  background-tint: transparent; color: $foreground; }
OptionList, OptionList:focus { border: none; padding: 0; background: $background;
  background-tint: transparent; scrollbar-size-vertical: 1; }
OptionList > .option-list--option-highlighted,
OptionList:focus > .option-list--option-highlighted
  { background: $foreground; color: $background; text-style: bold; }
DataTable, DataTable:focus { background: $background; background-tint: transparent;
  scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; height: 1fr; }
DataTable > .datatable--header { background: $panel; color: $foreground; }
DataTable > .datatable--cursor { background: $foreground; color: $background; }
ModalScreen { align: center middle; background: $background; }
#dialog { width: 70; height: auto; border: solid $foreground; padding: 1 2; }
#answers { margin-top: 1; text-style: bold; }
#dialog Input { margin-top: 1; }
.columns { height: 1fr; }
.values { width: 1fr; height: 1fr; }
.side { width: 28; height: 1fr; }
.large { text-style: bold; margin-bottom: 1; }
.gap { margin-bottom: 1; }
.fill { height: 1fr; }
.field { height: 1; }
.label { width: 30; }
#receipt { height: auto; }
.log { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
  background: $background; }
"""
