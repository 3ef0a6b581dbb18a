"""Every page in every state that it has: what is photographed, and checked for who cannot see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from playwright.sync_api import Page

from tools.screenshots.day import PASSWORD, USER


@dataclass(frozen=True, slots=True)
class Shot:
    """A page in one state.

    Args:
        name: Of its file.
        address: Of its page.
        prepare: What is done there first, such as sending a form off.
        signed_in: Whether somebody is.
        widths: At which it is looked at; the state is made at the first of them.
    """

    name: str
    address: str
    prepare: Callable[[Page], None] | None = None
    signed_in: bool = True
    widths: Sequence[int] = (1440, 390)


def full(numbers: Mapping[str, str]) -> list[Shot]:
    """Return the pages of a panel in use.

    Args:
        numbers: From `tools.screenshots.story.story_tell`.
    """
    run = {name[4:]: pk for name, pk in numbers.items() if name.startswith("run ")}
    node = {name[5:]: pk for name, pk in numbers.items() if name.startswith("node ")}
    return [
        *_entrances(),
        *_lists(),
        *_environments(),
        *_groups(),
        *(Shot(f"run-{name.replace(' ', '-')}", f"/runs/{pk}/") for name, pk in run.items()),
        *(
            Shot(f"together-{name}", f"/runs/together/{numbers[f'together {name}']}/")
            for name in ("ready", "half")
        ),
        Shot("run-stop", f"/runs/{run['running']}/", _press("Stop and put back")),
        *(Shot(f"node-{name}", f"/nodes/{pk}/") for name, pk in node.items()),
        *_node_forms(node["well"]),
        Shot(
            "client-certificate",
            f"/environments/shop-production/-/certificates/{numbers['client certificate']}/",
        ),
        *(
            Shot(f"archived-{kind}", f"/archive/{kind}/{numbers[f'archived {kind}']}/")
            for kind in ("environment", "group", "node")
        ),
    ]


def empty() -> list[Shot]:
    """Return the pages of a panel that nobody has used yet."""
    return [
        Shot("empty-dashboard", "/"),
        Shot("empty-environments", "/environments/"),
        Shot("empty-nodes", "/nodes/"),
        Shot("empty-certificates", "/certificates/"),
        Shot("empty-authorities", "/certificates/authorities/"),
        Shot("empty-addon", "/addons/encryption/"),
        Shot("empty-install", "/addons/encryption/install/"),
        Shot("empty-runs", "/runs/"),
        Shot("empty-keys", "/keys/"),
        Shot("empty-archive", "/archive/"),
        Shot("empty-audit", "/audit/"),
        Shot("empty-search", "/search/?q=cache"),
    ]


def _entrances() -> list[Shot]:
    return [
        Shot("sign-in", "/account/login/", signed_in=False),
        Shot("sign-in-refused", "/account/login/", _send(_wrong), signed_in=False),
        Shot("sign-out", "/account/logout/"),
        Shot("password-again", "/account/reauthenticate/"),
        Shot("password", "/account/password/change/"),
        Shot("password-errors", "/account/password/change/", _send()),
        Shot("not-found", "/nothing-here/"),
    ]


def _lists() -> list[Shot]:
    return [
        Shot("dashboard", "/"),
        Shot("dashboard-search", "/", _look_for, widths=(1440,)),
        Shot("dashboard-account", "/", _press("menu of"), widths=(1440,)),
        Shot("dashboard-menu", "/", _menu, widths=(390,)),
        Shot("nodes", "/nodes/"),
        Shot("nodes-none", "/nodes/?q=nowhere"),
        Shot("certificates", "/certificates/"),
        Shot("certificates-none", "/certificates/?q=nowhere"),
        Shot("certificates-clients", "/certificates/clients/"),
        Shot("authorities", "/certificates/authorities/"),
        Shot("addons", "/addons/"),
        Shot("addon", "/addons/encryption/"),
        Shot("install-where", "/addons/encryption/install/?environment=nowhere"),
        Shot("install", "/addons/encryption/install/?environment=shop-production"),
        Shot(
            "install-errors",
            "/addons/encryption/install/?environment=shop-production",
            _send(_bad_port),
        ),
        Shot("runs", "/runs/"),
        Shot("runs-none", "/runs/?by=nobody"),
        Shot("audit", "/audit/"),
        Shot("audit-none", "/audit/?q=nowhere"),
        Shot("search", "/search/?q=ledger"),
        Shot("search-none", "/search/?q=nowhere"),
        Shot("keys", "/keys/"),
        Shot("key-add", "/keys/-/add/"),
        Shot("key-add-errors", "/keys/-/add/", _send(_bad_key)),
        Shot("archive", "/archive/"),
        Shot("archive-none", "/archive/?q=nowhere"),
    ]


def _environments() -> list[Shot]:
    shop = "/environments/shop-production/"
    return [
        Shot("environments", "/environments/"),
        Shot("environments-none", "/environments/?q=nowhere"),
        Shot("environment-add", "/environments/-/add/"),
        Shot("environment-add-errors", "/environments/-/add/", _send(_bad_name)),
        Shot("environment", shop),
        Shot("environment-edit", f"{shop}-/edit/"),
        Shot("environment-archive", f"{shop}-/archive/"),
        Shot("environment-remove", f"{shop}-/remove/"),
        Shot("environment-certificates", f"{shop}-/certificates/"),
        Shot("environment-certificates-none", "/environments/payments-eu/-/certificates/"),
        Shot("environment-certificates-early", "/environments/internal/-/certificates/"),
        Shot("authority-share", "/environments/internal/-/authority/"),
        Shot("client-certificate-issue", f"{shop}-/certificates/issue/", _confirm),
        Shot("client-certificate-issue-errors", f"{shop}-/certificates/issue/", _send()),
        Shot("environment-windows", f"{shop}-/windows/"),
        Shot("environment-windows-none", "/environments/internal/-/windows/"),
        Shot("environment-windows-errors", f"{shop}-/windows/", _send()),
        Shot("no-authority", "/environments/internal/-/root.crt"),
        Shot("group-add", f"{shop}-/add/"),
    ]


def _groups() -> list[Shot]:
    shop, features = "/environments/shop-production", "/environments/search-staging/features"
    return [
        Shot("group", f"{shop}/sessions/"),
        Shot("group-addons", f"{shop}/sessions/addons/"),
        Shot("group-addons-menu", f"{shop}/sessions/addons/", _press("More for")),
        Shot("group-uninstall", f"{shop}/sessions/addons/", _uninstall),
        Shot("group-addons-wrong", "/environments/payments-us/ledger/addons/"),
        Shot("group-addons-drift", "/environments/payments-us/ledger/addons/", _differs),
        Shot("group-addons-stuck", "/environments/payments-us/limits/addons/"),
        Shot("group-addons-renewal", "/environments/search-staging/locks/addons/"),
        Shot("group-addons-off", "/environments/payments-eu/ledger/addons/"),
        Shot("group-addons-none", "/environments/internal/legacy/addons/"),
        Shot("group-connect", f"{shop}/sessions/connect/"),
        Shot("group-connect-plain", "/environments/internal/metrics/connect/"),
        Shot("group-plaintext", f"{shop}/sessions/plaintext/"),
        Shot("group-plaintext-none", f"{shop}/sessions/plaintext/?q=nowhere"),
        Shot("group-plaintext-quiet", "/environments/payments-eu/ledger/plaintext/"),
        Shot("group-plaintext-early", "/environments/internal/legacy/plaintext/"),
        Shot("group-topology", f"{shop}/sessions/topology/"),
        Shot("group-topology-sentinel", "/environments/shop-staging/orders/topology/"),
        Shot("group-topology-cluster", "/environments/shop-staging/catalogue/topology/"),
        Shot("group-topology-alone", "/environments/internal/metrics/topology/"),
        Shot("group-topology-early", "/environments/internal/legacy/topology/"),
        Shot("group-topology-none", f"{features}/topology/"),
        Shot("group-topology-add", f"{shop}/sessions/nodes/add-many/?from=topology"),
        Shot("group-runs", f"{shop}/sessions/runs/"),
        Shot("group-edit", f"{shop}/sessions/edit/"),
        Shot("group-archive", f"{shop}/sessions/archive/"),
        Shot("group-remove", f"{shop}/sessions/remove/"),
        Shot("group-install", f"{shop}/sessions/addons/encryption/install/"),
        Shot("group-new", f"{features}/"),
        Shot("group-host-keys", f"{features}/host-keys/"),
        Shot("group-host-keys-none", f"{shop}/sessions/host-keys/"),
        Shot("node-add", f"{features}/nodes/add/"),
        Shot("node-add-errors", f"{features}/nodes/add/", _send()),
        Shot("nodes-add", f"{features}/nodes/add-many/"),
        Shot("nodes-add-errors", f"{features}/nodes/add-many/", _send(_list("10.0.0.300"))),
        Shot(
            "nodes-add-check",
            f"{features}/nodes/add-many/",
            _send(_list("10.20.9.4 features-4\n10.20.9.5 features-5")),
        ),
    ]


def _differs(page: Page) -> None:
    page.get_by_text("What differs on").first.click()


def _node_forms(pk: str) -> list[Shot]:
    return [
        Shot("node-gone", f"/nodes/{pk}/gone/"),
        Shot("node-edit", f"/nodes/{pk}/edit/"),
        Shot("node-move", f"/nodes/{pk}/move/"),
        Shot("node-archive", f"/nodes/{pk}/archive/"),
        Shot("node-remove", f"/nodes/{pk}/remove/"),
        Shot("node-host-key-forget", f"/nodes/{pk}/host-key/forget/"),
    ]


def _press(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name).first.click()


def _send(fill: Callable[[Page], None] | None = None) -> Callable[[Page], None]:
    """Return what fills a page's form in and sends it off."""

    def prepare(page: Page) -> None:
        if fill:
            fill(page)
        page.locator("button.btn-primary[type=submit]:visible").last.click()
        page.wait_for_load_state()

    return prepare


def _confirm(page: Page) -> None:
    """Type the password once more. It holds from then on: time stands still."""
    page.get_by_label("Password").fill(PASSWORD)
    _send()(page)
    page.wait_for_url("**/issue/")


def _wrong(page: Page) -> None:
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill("not this one")


def _bad_port(page: Page) -> None:
    page.get_by_label("TLS port").fill("123456")
    page.get_by_label("Open to").fill("10.0.0.0/33")


def _bad_name(page: Page) -> None:
    page.get_by_label("Name").fill("Shop Production")


def _bad_key(page: Page) -> None:
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Private key").fill("ssh-ed25519 AAAA")


def _list(text: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_label("List of nodes").fill(text)


def _look_for(page: Page) -> None:
    page.get_by_role("combobox").press_sequentially("led")
    page.locator(".search-hit").first.wait_for()


def _menu(page: Page) -> None:
    page.locator(".navbar-toggler").click()
    page.wait_for_timeout(400)


def _uninstall(page: Page) -> None:
    _press("More for")(page)
    _press("Uninstall…")(page)
    page.locator(".modal.show").wait_for()
    page.wait_for_timeout(400)
