"""The panel's key ring, loaded once a process from the key file that settings name."""

from functools import lru_cache

from django.conf import settings

from instances.keyring import KeyRing


@lru_cache(maxsize=1)
def key_ring() -> KeyRing:
    """Return the key ring.

    Raises:
        KeyRingError: The key file is missing, unreadable, open to others or malformed.
    """
    return KeyRing.load(settings.KEY_FILE)
