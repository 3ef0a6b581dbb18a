"""The state of a run and of its nodes, as the journal's writer keeps it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from addons.catalogue import addon_named
from addons.engine.conditions import AS_WANTED, REACHED, Condition, merge
from addons.engine.step import Preview, State
from addons.health import ending, health_of
from addons.models import NodeInstallation, Run, RunNode
from instances.errors import fault
from instances.models import Node
from instances.reason import Reason

_State = RunNode.State

UNKNOWN: State = {
    "condition": {
        "type": "Encrypted",
        "status": "unknown",
        "reason": "Stuck",
        "message": "The last run neither reached its goal nor could be put back.",
    }
}


class NodeResults:
    """Writes the results of one attempt. Called in the writer's transaction.

    Args:
        run: The run, as read when it was claimed.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._configures = addon_named(run.installation.addon).actions[run.action].configures
        self._names = dict(Node.objects.filter(run_nodes__run=run).values_list("pk", "name"))
        self._failed = bool(run.failure)
        self._installations: dict[int, NodeInstallation] = {}
        self._started: set[int] = set()

    def previewed(self, node: int, preview: Preview) -> None:
        """Keep the fresh plan; the digest only where nobody has confirmed one yet."""
        rows = RunNode.objects.filter(run=self._run, node=node)
        rows.update(preview=preview.as_json())
        rows.filter(digest="").update(digest=preview.digest)

    def begun(self, node: int, step: str, state: State) -> None:
        """Keep the way back before the first change: the baseline outlives the run."""
        if node not in self._started:
            self._started.add(node)
            self._row(node, _State.RUNNING, started_at=timezone.now())
        if not self._configures:
            return
        installed = self._installed(node)
        layers = installed.baseline.setdefault(step, [])
        layers.append({"run": self._run.pk, "state": dict(state)})
        installed.save(update_fields=["baseline"])

    def released(self, node: int, step: str) -> None:
        """Forget what was held: it is as before, so no way back is needed."""
        installed = self._installed(node)
        layers = installed.baseline.pop(step, [])
        kept = [each for each in layers if each["run"] != self._run.pk]
        installed.baseline |= {step: kept} if kept else {}
        installed.save(update_fields=["baseline"])

    def failed(self, node: int, step: str, reason: Reason) -> None:
        """Mark the node; the run's first failure stays the run's failure."""
        self._row(node, _State.FAILED)
        if not self._failed:
            self._failed = True
            failure = fault(reason) | {"node": self._names.get(node, ""), "step": step}
            Run.objects.filter(pk=self._run.pk).update(failure=failure)

    def done(self, node: int, *, changed: bool, observation: State) -> None:
        """Store what was verified."""
        state = _State.DONE if changed else _State.UNCHANGED
        self._row(node, state, ended_at=timezone.now())
        generation = self._run.installation.generation + self._configures
        installed = self._installed(node)
        if self._configures:
            # Each step of its plan is satisfied now, so there is no drift.
            installed.conditions, installed.drift = _without(installed.conditions), []
        installed.checked_at = timezone.now() if self._configures else None
        self._observe(installed, observation, generation)

    def put_back(self, node: int, *, clean: bool, observation: State) -> None:
        """Mark the node; a clean put-back forgets what only this run would have undone."""
        self._row(node, _State.PUT_BACK if clean else _State.STUCK, ended_at=timezone.now())
        installed = self._installed(node)
        if not clean:
            self._observe(installed, UNKNOWN, self._run.installation.generation)
            return
        for step, layers in installed.baseline.items():
            installed.baseline[step] = [x for x in layers if x["run"] != self._run.pk]
        # What this run had verified is no longer so; only the proof of the way back is.
        installed.conditions, installed.checked_at = [], None
        self._observe(installed, observation, self._run.installation.generation)

    def putting_back(self) -> None:
        """From here on the run only goes back."""
        Run.objects.filter(pk=self._run.pk).update(state=Run.State.PUTTING_BACK)

    def _row(self, node: int, state: RunNode.State, **more: datetime) -> None:
        RunNode.objects.filter(run=self._run, node=node).update(state=state, **more)

    def _installed(self, node: int) -> NodeInstallation:
        if node not in self._installations:
            self._installations[node] = NodeInstallation.objects.get_or_create(
                installation=self._run.installation, node_id=node
            )[0]
        return self._installations[node]

    def _observe(self, installed: NodeInstallation, observation: State, generation: int) -> None:
        now = timezone.now()
        condition = observation.get("condition")
        if condition:
            row: dict[str, Any] = dict(condition)
            installed.conditions = merge(
                installed.conditions,
                Condition(
                    **row,
                    generation=generation,
                    since=now.isoformat(),
                ),
            )
        installed.observed = {k: v for k, v in observation.items() if k != "condition"}
        installed.observed_at = now
        installed.observed_generation = generation
        installed.health = health_of(installed.conditions)
        installed.not_after = ending(installed.observed)
        installed.save()


def _without(conditions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what only a look finds: the run has seen to it."""
    return [dict(each) for each in conditions if each["type"] not in {AS_WANTED, REACHED}]
