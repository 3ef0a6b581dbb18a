"""What a look from outside comes to: where a run would fail and go back, this says what is so."""

from collections.abc import Callable

from addons.encryption.plaintext import PlainSample, plain_sample
from addons.encryption.probe import PLAIN_OPEN, plaintext_outside
from addons.engine.step import State, StepFailed
from addons.pki.errors import CertificateError
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.errors import RemoteError


def observed(
    look: Callable[[], State], node: NodeSession, *, plain_port: int, plain_closed: bool
) -> State:
    """Return the observation to store, with the condition it comes to.

    Args:
        look: Shakes hands and judges; raises where that is not as it should be.
        node: The node.
        plain_port: The port for plaintext; 0 for none.
        plain_closed: Whether it is to be closed to others: by a rule of ours, or for good.
    """
    problem, seen = None, {}
    # First: what the panel itself opens on the plain port below is not to be taken for a client.
    sample = _sampled(node)
    try:
        seen = dict(look())
    except StepFailed as failure:
        problem, seen = failure.reason, dict(failure.seen)
    except CertificateError as error:
        problem = Reason(error.code, f"{node.name}: {error.message}")
    except RemoteError as error:
        problem = Reason(error.reason, str(error), error.next_step)
    seen["sample"] = sample
    seen["outside"] = plaintext_outside(node, plain_port)
    if problem is None and plain_closed and seen["outside"] in PLAIN_OPEN:
        problem = Reason(
            "PlainPortOpen",
            f"{node.name}: the plain port {plain_port} answers other machines, "
            "although it should be closed to them.",
        )
    if problem is not None:
        seen["condition"] = {
            "type": "Encrypted",
            "status": "false",
            "reason": problem.code,
            "message": problem.message,
        }
    return seen


def _sampled(node: NodeSession) -> PlainSample | None:
    """Look who is on the plain port; None where neither server nor kernel can be asked."""
    try:
        return plain_sample(node)
    except RemoteError:
        return None
