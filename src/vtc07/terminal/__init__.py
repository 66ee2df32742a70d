"""The terminal application of a hand-held unit: connect, deliver, read, write, work on a route."""
