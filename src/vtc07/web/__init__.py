"""The web application of a hand-held unit, and the training bench."""
