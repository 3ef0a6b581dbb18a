"""Certificates: what ends when, of nodes and of authorities."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from addons.expiry import authorities_listed, leaves_listed
from addons.tables_certificates import AuthorityFilter, CertificateFilter
from panel.pages.certificates import authority_lines, leaf_lines
from panel.pages.expiry import month_choices, timeline
from panel.views.lists import listed


@require_safe
def certificates(request: HttpRequest) -> HttpResponse:
    """List the certificates of nodes that are in force, below the timeline."""
    now = timezone.now()
    months = month_choices(now)
    found = CertificateFilter(request.GET, queryset=leaves_listed(), months=months)
    context = listed(request, found)
    context |= {
        "lines": leaf_lines(context["page"].object_list, now),
        "expiry": timeline(now),
    }
    return render(request, "certificates/leaves.html", context)


@require_safe
def authorities(request: HttpRequest) -> HttpResponse:
    """List the authorities of environments, below the timeline."""
    now = timezone.now()
    months = month_choices(now)
    found = AuthorityFilter(request.GET, queryset=authorities_listed(), months=months)
    context = listed(request, found)
    context |= {
        "lines": authority_lines(context["page"].object_list, now),
        "expiry": timeline(now),
    }
    return render(request, "certificates/authorities.html", context)
