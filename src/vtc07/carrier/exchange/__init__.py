"""Direct local data exchange (IEC 62056-21): modes A to D, and what mode E asks of a meter's port.

Pure, like all of the carrier, and of use without any token: a meter's side, an HHU's side, data
blocks as people read them. The registers of a companion come in one layer up
(`vtc07.carrier.mode_c_server`, `vtc07.carrier.mode_c_client`).
"""
