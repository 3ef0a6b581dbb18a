"""Why something is so; the one type for it lives with what everybody may import."""

from instances.reason import Reason

__all__ = ["Reason"]
