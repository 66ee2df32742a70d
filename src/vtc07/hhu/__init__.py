"""What a hand-held unit does: identify, read, write, and deliver tokens exactly once.

Everything that speaks to a meter is a procedure, a generator that yields the effects of
`vtc07.carrier.endpoint`; any driver of `vtc07.links` runs it unchanged.
"""
