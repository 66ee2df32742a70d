"""Traces: what went over a line, recorded to JSON Lines and shown to people.

A trace holds what was on the line and nothing else: there are no cipher keys on it.
"""
