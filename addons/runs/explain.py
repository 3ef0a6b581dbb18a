"""Turns whatever a step raised into a reason for people."""

import logging

from addons.engine.step import StepFailed
from addons.pki.errors import CertificateError
from instances.errors import DomainError
from instances.keyring import KeyRingError
from instances.nodeconf.facts import FactsError
from instances.nodeconf.firewall import FirewallUnreadableError
from instances.reason import Reason
from instances.remote.errors import RemoteError

logger = logging.getLogger(__name__)


def explain(error: Exception) -> Reason:
    """Return the reason; what nobody foresaw is logged and named by its type, not its text.

    The text of an unforeseen error may hold a secret, so it stays out of records.
    """
    match error:
        case StepFailed() | DomainError():
            return error.reason
        case FactsError() | KeyRingError():
            return Reason(error.reason, error.message)
        case FirewallUnreadableError():
            return Reason("FirewallUnreadable", str(error))
        case CertificateError():
            return Reason(error.code, error.message)
        case RemoteError():
            return Reason(error.reason, str(error), error.next_step)
    logger.error("an unforeseen %s in a step", type(error).__name__, exc_info=error)
    return Reason(
        "InternalError",
        f"Redoubt itself failed with {type(error).__name__}; this is a defect of Redoubt.",
        "The worker's log has the traceback. Please report it.",
    )
