"""What the screens of a hand-held unit share, in a terminal or a browser: no widget, no page.

The line to a meter and its thread, where meters are, what is typed and checked, pieces of work with
a meter, and what they came to in words.
"""
