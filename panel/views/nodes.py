"""Nodes: add one, see what is known of it, change that, confirm its host key, look again."""

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons import moving
from instances.errors import DomainError
from instances.forms import NodeEditForm, NodeForm, NodeMoveForm, node_stated
from instances.looks import host_key_fingerprint
from instances.models import Credential, Machine, Node, NodeGroup
from instances.selectors import (
    credentials_with_use,
    groups_beside,
    node_has_password,
    node_numbered,
)
from instances.services import (
    credential_create,
    machine_confirm_host_key,
    machine_forget_host_key,
    node_register,
    node_update,
)
from panel.pages.node import node_page
from panel.views.groups import group_or_404
from panel.views.looking import asked_at, look_asked
from panel.views.requests import actor_of, attempt, refuse


@require_http_methods(["GET", "HEAD", "POST"])
def node_add(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Register a node and have a worker look at it."""
    group = group_or_404(environment, name)
    keys = list(credentials_with_use())
    names = [key.name for key in keys]
    form = NodeForm(request.POST or None, credentials=names, initial=login_as_before(group, names))
    if form.is_valid():
        try:
            node = _register(request, group, form)
        except DomainError as error:
            refuse(form, error)
            form.remind_of_password()
        else:
            messages.success(request, f"{node.name} is registered.")
            return look_asked(request, node)
    return render(request, "nodes/add.html", {"form": form, "group": group, "keys": keys})


def login_as_before(group: NodeGroup, keys: list[str]) -> dict[str, object]:
    """Begin where the group's last node ended: its machine is most likely reached alike."""
    last = (
        Machine.objects.filter(nodes__group=group)
        .order_by("-pk")
        .values_list("ssh_port", "user", "credential__name")
        .first()
    )
    if last:
        return dict(zip(("ssh_port", "user", "credential"), last, strict=True))
    return {"credential": keys[0]} if keys else {}


def _register(request: HttpRequest, group: NodeGroup, form: NodeForm) -> Node:
    """Make the key if one is wanted and register the node, both or neither."""
    actor = actor_of(request)
    with transaction.atomic():
        credential = form.cleaned_data["credential"]
        if form.wants_new_key:
            credential = new_key(request, form.cleaned_data["new_key_name"]).name
        return node_register(actor=actor, group=group, request=form.request(credential))


def new_key(request: HttpRequest, name: str) -> Credential:
    """Make the key that a form asks for; a refusal belongs to the field of its name."""
    try:
        return credential_create(actor=actor_of(request), name=name)
    except DomainError as error:
        error.field = "new_key_name"
        raise


def _node_or_404(pk: int) -> Node:
    found = node_numbered(pk)
    if found is None:
        raise Http404
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def node_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what is stated of a node, and look whether it is so."""
    found = _node_or_404(pk)
    form = NodeEditForm(request.POST or None, initial=node_stated(found))
    if form.is_valid():
        changes = form.changes(found)
        try:
            if changes:
                node_update(actor=actor_of(request), node=found, changes=changes)
        except DomainError as error:
            refuse(form, error)
            form.remind_of_password()
        else:
            messages.success(request, f"{found.name} is saved.")
            return look_asked(request, found)
    context = {"form": form, "node": _node_or_404(pk), "password": node_has_password(found)}
    return render(request, "nodes/edit.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def node_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask into which group of its environment a node is to go."""
    found = _node_or_404(pk)
    groups = {group.name: group for group in groups_beside(found.group)}
    form = NodeMoveForm(request.POST or None, groups=groups)
    if form.is_valid():
        group = groups[form.cleaned_data["group"]]
        try:
            moving.node_move(actor=actor_of(request), node=found, group=group)
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{found.name} is in {group.name} now.")
            return redirect("node", found.pk)
    context = {"form": form, "node": _node_or_404(pk), "groups": groups}
    return render(request, "nodes/move.html", context)


@require_safe
def node(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what is known of a node, since when, and what to do next."""
    found = node_numbered(pk)
    if found is None:
        # An archived one has a page of its own, to which what is on record leads.
        return redirect(get_object_or_404(Node.recorded, pk=pk))
    page = node_page(found, asked=asked_at(request), now=timezone.now())
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        return render(request, "nodes/_live.html", {"page": page}, status=page.poll_status)
    return render(request, "nodes/detail.html", {"page": page})


@require_POST
def node_look(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a worker look at a node again."""
    return look_asked(request, get_object_or_404(Node, pk=pk))


@require_POST
def node_confirm_host_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Pin the host key whose fingerprint the person saw, and go on with the first look."""
    found = get_object_or_404(Node.objects.select_related("machine"), pk=pk)
    confirmed = attempt(
        request,
        lambda: machine_confirm_host_key(
            actor=actor_of(request),
            machine=found.machine,
            fingerprint_seen=request.POST.get("fingerprint", ""),
        ),
        f"The host key of {found.machine} is confirmed.",
    )
    if confirmed:
        return look_asked(request, found, found.machine.nodes.values_list("pk", flat=True))
    return redirect("node", found.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def node_forget_host_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask whether the machine's key is rightly another one, then unpin it and scan again."""
    found = _node_or_404(pk)
    machine = found.machine
    if request.method != "POST":
        context = {"node": found, "fingerprint": host_key_fingerprint(machine)}
        return render(request, "nodes/forget_host_key.html", context)
    machine_forget_host_key(actor=actor_of(request), machine=machine)
    messages.success(request, f"The host key of {machine} is forgotten. Compare the new one.")
    return look_asked(request, found, machine.nodes.values_list("pk", flat=True))
