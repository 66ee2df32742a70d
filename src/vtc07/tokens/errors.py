"""The errors of the token layer: one clear sentence each, never a key in any of them."""


class TokenError(ValueError):
    """Whatever the token layer refuses; the message says what is wrong and what to change."""


class DigitsError(TokenError):
    """Token text that is not 20 decimal digits, or a number that needs more than 66 bits."""


class OutOfRange(TokenError):
    """A value that its field, its code or its type does not allow."""


class CheckDigitError(TokenError):
    """A DRN or MeterPAN whose Luhn check digit does not fit the digits before it."""


class NotSupported(TokenError):
    """What the standard reserves or withdrew, and what has no public definition."""


class CRCError(TokenError):
    """A token whose CRC does not fit: a digit is wrong, or it was made for another key."""


class TableError(TokenError):
    """An STA table file that cannot be read, or that holds no table set."""


class KeyFormatError(TokenError):
    """Key material of the wrong length or with wrong characters; the material is never shown."""
