"""Acts that ask for the password once more, unless it was typed a few minutes ago."""

from collections.abc import Sequence

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import urlencode


@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def _see(_request: HttpRequest) -> None:
    """Return where the password was typed within ACCOUNT_REAUTHENTICATION_TIMEOUT."""


def require_recent_sign_in(
    request: HttpRequest, kept: Sequence[str]
) -> HttpResponseRedirect | None:
    """Return where to go first, or None where the password was typed a moment ago.

    Args:
        request: For a page with a form.
        kept: The fields that may stand in an address: a form that was sent too late begins with
            them anew.

    Raises:
        ReauthenticationRequired: django-allauth asks for the password and then comes back.
    """
    try:
        _see(request)
    except ReauthenticationRequired:
        if request.method != "POST":
            raise
        # django-allauth would put a posted form into the session, its pass-phrase included.
        asked = {name: request.POST[name] for name in kept if name in request.POST}
        return redirect(f"{request.path}?{urlencode(asked)}")
    return None
