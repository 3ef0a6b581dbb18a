"""Serial numbers, the one place where they are drawn."""

from cryptography import x509


def new_serial() -> int:
    """Draw a serial number: positive, 159 random bits, at most 20 octets (RFC 5280, 4.1.2.2).

    Callers draw it and pass it in, so that everything else in this room is repeatable in a test.
    """
    return x509.random_serial_number()
