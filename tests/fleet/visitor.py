"""A signed-in person's pages over HTTP, and how long each took."""

import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.cookiejar import CookieJar

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass
class Visitor:
    """A person with a session.

    Args:
        url: The panel's address.
    """

    url: str
    _opener: urllib.request.OpenerDirector = field(init=False)

    def __post_init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def sign_in(self, name: str, password: str) -> None:
        self.post("/account/login/", "/account/login/", login=name, password=password)

    def get(self, path: str) -> str:
        try:
            with self._opener.open(f"{self.url}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error}") from error

    def post(self, page: str, action: str, **fields: str) -> str:
        """Send a form of a page, and return where that led."""
        found = _TOKEN.search(self.get(page))
        assert found, f"{page} has no form"
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": found[1]}).encode()
        request = urllib.request.Request(f"{self.url}{action}", body, {"Referer": self.url})
        with self._opener.open(request, timeout=30) as answer:
            return str(answer.url)

    def seconds(self, path: str, *, times: int = 7) -> float:
        """The quickest of some visits: what the page takes, without what else the machine did."""
        taken = []
        for _ in range(times):
            began = time.monotonic()
            self.get(path)
            taken.append(time.monotonic() - began)
        return min(taken)
