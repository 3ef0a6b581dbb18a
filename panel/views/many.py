"""Many nodes at once: a pasted list, shown before it is stored; then their host keys."""

from dataclasses import replace
from functools import partial

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from instances.errors import DomainError
from instances.forms import ManyNodesForm, SharedPasswordForm
from instances.models import Machine, Node, NodeGroup
from instances.secret import Secret
from instances.selectors import credentials_with_use, nodes_of_group
from instances.services import machine_confirm_host_key, nodes_register
from panel.pages.host_keys import host_keys_page
from panel.pages.many import ManyNodes, many_nodes
from panel.pages.topology import strangers_to_add
from panel.views.groups import group_or_404
from panel.views.looking import asked_at, looks_asked
from panel.views.nodes import login_as_before, new_key
from panel.views.requests import actor_of, attempt, refuse


@require_http_methods(["GET", "HEAD", "POST"])
def nodes_add(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Take a list, show what it was read as, and register it once that is confirmed."""
    group = group_or_404(environment, name)
    keys = [key.name for key in credentials_with_use()]
    step = request.POST.get("step", "")
    initial = login_as_before(group, keys)
    if request.GET.get("from") == "topology":
        initial["text"] = "\n".join(strangers_to_add(group))
    if step == "edit":
        # What was typed is shown again, not judged again.
        initial = {key: request.POST.get(key, "") for key in ManyNodesForm.base_fields}
    data = request.POST if step in {"check", "add"} else None
    form = ManyNodesForm(data, credentials=keys, initial=initial)
    context: dict[str, object] = {"group": group, "form": form}
    if not form.is_valid():
        return render(request, "nodes/add_many.html", context)
    many = many_nodes(group, form.cleaned_data)
    context |= {"many": many}
    if many.mistakes:
        form.add_error("text", f"Nothing is registered yet: {_lines(many)}. See above.")
        return render(request, "nodes/add_many.html", context)
    shared = SharedPasswordForm(request.POST if step == "add" else None)
    if shared.is_valid():
        try:
            nodes = _register(request, group, form, shared, many)
        except DomainError as error:
            refuse(form, error)
            return render(request, "nodes/add_many.html", context)
        messages.success(request, f"{len(nodes)} node{'s' * (len(nodes) != 1)} registered.")
        asked = looks_asked(request, [node.pk for node in nodes])
        return redirect(f"{reverse('group-host-keys', args=[environment, name])}{asked}")
    return render(request, "nodes/add_many_check.html", context | {"shared": shared})


def _lines(many: ManyNodes) -> str:
    count = len({each.line for each in many.mistakes})
    return "1 line needs a change" if count == 1 else f"{count} lines need a change"


def _register(
    request: HttpRequest,
    group: NodeGroup,
    form: ManyNodesForm,
    shared: SharedPasswordForm,
    many: ManyNodes,
) -> list[Node]:
    """Make the key if one is wanted and register all nodes, or do nothing of it."""
    with transaction.atomic():
        credential = form.cleaned_data["credential"]
        if form.wants_new_key:
            credential = new_key(request, form.cleaned_data["new_key_name"]).name
        requests = [
            replace(
                each.request,
                credential=credential,
                server_username=shared.cleaned_data["server_username"],
                server_password=Secret(shared.cleaned_data["server_password"]),
            )
            for each in many.entries
        ]
        return nodes_register(actor=actor_of(request), group=group, requests=requests)


@require_safe
def host_keys(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Show the host keys of a group that nobody has compared."""
    group = group_or_404(environment, name)
    nodes = list(nodes_of_group(group).defer("facts", "server_password"))
    page = host_keys_page(nodes, asked=asked_at(request), now=timezone.now())
    context = {"group": group, "keys": page, "node_count": len(nodes)}
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        return render(request, "groups/_host_keys.html", context, status=page.poll_status)
    return render(request, "groups/host_keys.html", context)


@require_POST
def host_keys_confirm(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Pin the host keys that a person has compared, and log in to their machines."""
    group = group_or_404(environment, name)
    field = "seen" if request.POST.get("which") == "all" else "take"
    seen = dict(value.split(" ", 1) for value in request.POST.getlist(field) if " " in value)
    machines = Machine.objects.filter(nodes__group=group, pk__in=[*filter(str.isdecimal, seen)])
    confirmed = [
        machine.pk
        for machine in machines.distinct()
        if attempt(request, partial(_confirm, request, machine, seen))
    ]
    if not seen:
        messages.error(request, "Tick the machines whose fingerprints you have compared.")
        return redirect("group-host-keys", environment, name)
    if confirmed:
        noun = "host key is" if len(confirmed) == 1 else "host keys are"
        messages.success(request, f"{len(confirmed)} {noun} confirmed; the panel logs in now.")
    on_them = Node.objects.filter(machine__in=confirmed).values_list("pk", flat=True)
    asked = looks_asked(request, on_them) if confirmed else ""
    return redirect(f"{reverse('group-host-keys', args=[environment, name])}{asked}")


def _confirm(request: HttpRequest, machine: Machine, seen: dict[str, str]) -> None:
    machine_confirm_host_key(
        actor=actor_of(request), machine=machine, fingerprint_seen=seen[str(machine.pk)]
    )
