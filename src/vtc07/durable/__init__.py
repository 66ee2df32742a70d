"""Databases in SQLite that survive a loss of power: the agreement, and a memory that loses power.

The journal of a hand-held unit and the store of a meter stand on it, each with its own rules.
"""
