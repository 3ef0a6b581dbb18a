"""What things are called on pages."""

from addons.catalogue import Action, AddOn, addon_named
from addons.models import Run
from instances.errors import NotFound


def addon_of(run: Run) -> AddOn | None:
    """Return the add-on of a run; None where it is no longer part of the panel."""
    try:
        return addon_named(run.installation.addon)
    except NotFound:
        return None


def action_of(run: Run) -> Action:
    """Return the run's action; one made of its bare name where the add-on is gone."""
    addon = addon_of(run)
    verb = run.action.capitalize()
    bare = Action(run.action, f"{verb} {run.installation.addon}", "Working", verb)
    return addon.actions.get(run.action, bare) if addon else bare


def action_title(run: Run) -> str:
    """Return the run's heading."""
    return action_of(run).title
