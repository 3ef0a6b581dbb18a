"""The one error of this room."""


class CertificateError(Exception):
    """A certificate, key or request that cannot be read or used.

    Args:
        code: One CamelCase word, such as ``Unreadable`` or ``AuthorityExpired``.
        message: What happened and what to do next. It never holds key material.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
