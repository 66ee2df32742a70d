"""The carrier: messages, state machines, registers and companions (IEC 62055-52).

Pure: no sockets, no clock, no sleep. A token is opaque digits here.
"""
