"""Links: how characters travel between an HHU and a meter, and the drivers that turn the cores.

No protocol decision is taken here. `blocking` and `aio` hold the same names on two fronts;
`simulated` is a line on a clock of its own.
"""
