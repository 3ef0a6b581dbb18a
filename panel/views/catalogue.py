"""Add-ons: what there is, where it is, and the dialog that installs it on node groups."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons.actions import CONFIGURE, INSTALL
from addons.catalogue import AddOn, addon_named
from addons.forms import EnvironmentChoice, GroupsChoice, initial_from, settings_from
from addons.models import Installation
from addons.runs.bundles import runs_create
from addons.runs.services import run_create
from addons.selectors import groups_in, groups_with
from instances.errors import DomainError, NotFound
from instances.models import Environment, NodeGroup
from panel.pages.catalogue import catalogue, places
from panel.pages.plaintext import plaintext_shown
from panel.views.bundles import to_runs
from panel.views.groups import group_or_404
from panel.views.requests import actor_of, attempt, refuse

GROUPS = 50
NAMES = 20


def _addon_or_404(slug: str) -> AddOn:
    try:
        return addon_named(slug)
    except NotFound as error:
        raise Http404(str(error)) from error


@require_safe
def addons(request: HttpRequest) -> HttpResponse:
    """List every add-on."""
    return render(request, "addons/catalogue.html", {"entries": catalogue()})


@require_safe
def addon(request: HttpRequest, addon: str) -> HttpResponse:
    """List the node groups that an add-on is on."""
    kind = _addon_or_404(addon)
    page = Paginator(groups_with(addon), GROUPS).get_page(request.GET.get("page"))
    lines = places(page.object_list, kind, timezone.now())
    return render(request, "addons/groups.html", {"addon": kind, "page": page, "places": lines})


@require_safe
def environment_names(request: HttpRequest) -> HttpResponse:
    """Suggest environments to the field that asks for one."""
    found = _names(request.GET.get("environment", ""))
    return render(request, "components/environment_names.html", {"names": found})


def _names(text: str = "") -> list[str]:
    """Return the first environments whose name holds a text."""
    found = Environment.objects.filter(name__icontains=text.strip()).order_by("name")
    return list(found.values_list("name", flat=True)[:NAMES])


@require_http_methods(["GET", "HEAD", "POST"])
def addon_install(request: HttpRequest, addon: str) -> HttpResponse:
    """Ask where an add-on is to go and how, then have the previews made."""
    kind = _addon_or_404(addon)
    choice = EnvironmentChoice(request.GET if "environment" in request.GET else _only_one())
    if choice.is_valid():
        return _dialog(request, kind, choice, choice.cleaned_data["environment"])
    context = {"addon": kind, "choice": choice, "names": _names()}
    return render(request, "addons/install.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def group_install(request: HttpRequest, environment: str, name: str, addon: str) -> HttpResponse:
    """Ask the same from a group's own page: the group is chosen already."""
    group, kind = group_or_404(environment, name), _addon_or_404(addon)
    choice = EnvironmentChoice({"environment": environment})
    return _dialog(request, kind, choice, group.environment, group)


def _dialog(
    request: HttpRequest,
    kind: AddOn,
    choice: EnvironmentChoice,
    environment: Environment,
    chosen: NodeGroup | None = None,
) -> HttpResponse:
    among = groups_in(environment)
    shown = places(among, kind, timezone.now())
    if chosen is None and len(shown) == 1:
        chosen = shown[0].group
    groups = GroupsChoice(request.POST or None, among=among, initial=_ticked(chosen))
    settings = kind.form(request.POST or None, initial=_settings_of(chosen, kind))
    if groups.is_valid() and settings.is_valid():
        on = {place.group for place in shown if place.installed}
        wanted = groups.cleaned_data["groups"]
        try:
            runs = runs_create(
                actor=actor_of(request),
                groups=wanted,
                addon=kind.slug,
                action=CONFIGURE if on.issuperset(wanted) else INSTALL,
                settings=settings_from(settings),
            )
            return to_runs(runs)
        except DomainError as error:
            refuse(settings, error)
    installed = any(place.installed for place in shown if place.group == chosen)
    context = {
        "addon": kind,
        "choice": choice,
        "environment": environment,
        "group": chosen,
        "places": shown,
        "installed": installed,
        "plaintext": plaintext_shown(chosen, timezone.now()) if chosen and installed else None,
        "groups": groups,
        "ticked": groups["groups"].value() or [],
        "form": settings,
        "names": _names(),
    }
    return render(request, "addons/install.html", context)


def _only_one() -> dict[str, str] | None:
    """Return the environment as if it were chosen, where there is no other."""
    found = Environment.objects.values_list("name", flat=True)[:2]
    return {"environment": found[0]} if len(found) == 1 else None


def _ticked(group: NodeGroup | None) -> dict[str, list[str]]:
    return {"groups": [group.name]} if group else {}


def _settings_of(group: NodeGroup | None, kind: AddOn) -> dict[str, str]:
    """Return the settings in force on a group, none where the add-on is not on it."""
    there = Installation.objects.filter(group=group, addon=kind.slug, generation__gt=0).first()
    return initial_from(there.spec) if there else {}


@require_POST
def act(request: HttpRequest, environment: str, name: str, addon: str, action: str) -> HttpResponse:
    """Have the preview made of an action that asks for nothing, such as an uninstall."""
    group, made = group_or_404(environment, name), []
    _addon_or_404(addon)
    went = attempt(
        request,
        lambda: made.append(
            run_create(
                actor=actor_of(request),
                group=group,
                addon=addon,
                action=action,
                settings={},
                confirmed=False,
            )
        ),
    )
    return redirect(made[0]) if went else redirect("group-addons", environment, name)
