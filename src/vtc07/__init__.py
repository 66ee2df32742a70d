"""vtc07: the two-way virtual token carrier for prepayment meters (IEC 62055-52)."""

__version__ = "0.1.0"
