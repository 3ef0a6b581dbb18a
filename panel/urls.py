"""The panel's addresses.

Names of environments and groups stand in them; ``-`` is no name, so what follows it is an action.
"""

from django.urls import URLPattern, URLResolver, include, path

from panel.views import (
    archive,
    audit,
    authorities,
    bundles,
    catalogue,
    certificates,
    client_certificates,
    credentials,
    dashboard,
    environments,
    fleet,
    groups,
    health,
    many,
    nodes,
    notices,
    plaintext,
    removal,
    runs,
    search,
    topology,
    watching,
    windows,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", dashboard.dashboard, name="dashboard"),
    path("healthz", health.healthz, name="healthz"),
    path("account/", include("allauth.urls")),
    path("environments/", environments.environments, name="environments"),
    path("environments/-/add/", environments.environment_add, name="environment-add"),
    path("environments/<slug:name>/", environments.environment, name="environment"),
    path(
        "environments/<slug:name>/-/edit/", environments.environment_edit, name="environment-edit"
    ),
    path(
        "environments/<slug:name>/-/remove/", removal.environment_remove, name="environment-remove"
    ),
    path(
        "environments/<slug:name>/-/archive/",
        archive.environment_archive,
        name="environment-archive",
    ),
    path("environments/<slug:environment>/-/add/", environments.group_add, name="group-add"),
    path(
        "environments/<slug:environment>/-/root.crt",
        authorities.environment_authority,
        name="environment-authority",
    ),
    path(
        "environments/<slug:environment>/-/authority/",
        authorities.environment_authority_share,
        name="environment-authority-share",
    ),
    path(
        "environments/<slug:environment>/-/certificates/",
        client_certificates.environment_clients,
        name="environment-certificates",
    ),
    path(
        "environments/<slug:environment>/-/certificates/issue/",
        client_certificates.environment_client_issue,
        name="environment-certificate-issue",
    ),
    path(
        "environments/<slug:environment>/-/certificates/<int:pk>/",
        client_certificates.environment_client,
        name="environment-certificate",
    ),
    path(
        "environments/<slug:environment>/-/windows/",
        windows.environment_windows,
        name="environment-windows",
    ),
    path(
        "environments/<slug:environment>/-/windows/<int:pk>/remove/",
        windows.environment_window_remove,
        name="environment-window-remove",
    ),
    path("environments/<slug:environment>/<slug:name>/", groups.group, name="group"),
    path(
        "environments/<slug:environment>/<slug:name>/addons/",
        groups.group_addons,
        name="group-addons",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/addons/<slug:addon>/install/",
        catalogue.group_install,
        name="group-install",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/addons/<slug:addon>/-/verify/",
        watching.group_verify,
        name="group-verify",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/addons/<slug:addon>/-/accept/<int:node>/",
        watching.drift_accept,
        name="drift-accept",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/addons/<slug:addon>/-/<slug:action>/",
        catalogue.act,
        name="group-act",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/edit/",
        environments.group_edit,
        name="group-edit",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/remove/",
        removal.group_remove,
        name="group-remove",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/archive/",
        archive.group_archive,
        name="group-archive",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/connect/",
        groups.group_connect,
        name="group-connect",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/plaintext/",
        plaintext.group_plaintext,
        name="group-plaintext",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/plaintext.csv",
        plaintext.group_plaintext_csv,
        name="group-plaintext-csv",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/topology/",
        topology.group_topology,
        name="group-topology",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/look/",
        topology.group_look,
        name="group-look",
    ),
    path("environments/<slug:environment>/<slug:name>/runs/", groups.group_runs, name="group-runs"),
    path("environments/<slug:environment>/<slug:name>/nodes/add/", nodes.node_add, name="node-add"),
    path(
        "environments/<slug:environment>/<slug:name>/nodes/add-many/",
        many.nodes_add,
        name="group-nodes-add",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/host-keys/",
        many.host_keys,
        name="group-host-keys",
    ),
    path(
        "environments/<slug:environment>/<slug:name>/host-keys/confirm/",
        many.host_keys_confirm,
        name="group-host-keys-confirm",
    ),
    path("nodes/", fleet.nodes, name="nodes"),
    path("nodes/<int:pk>/", nodes.node, name="node"),
    path("nodes/<int:pk>/edit/", nodes.node_edit, name="node-edit"),
    path("nodes/<int:pk>/move/", nodes.node_move, name="node-move"),
    path("nodes/<int:pk>/gone/", removal.node_gone, name="node-gone"),
    path("nodes/<int:pk>/remove/", removal.node_remove, name="node-remove"),
    path("nodes/<int:pk>/archive/", archive.node_archive, name="node-archive"),
    path("nodes/<int:pk>/look/", nodes.node_look, name="node-look"),
    path("nodes/<int:pk>/verify/", watching.node_verify, name="node-verify"),
    path("nodes/<int:pk>/host-key/", nodes.node_confirm_host_key, name="node-confirm-host-key"),
    path(
        "nodes/<int:pk>/host-key/forget/",
        nodes.node_forget_host_key,
        name="node-forget-host-key",
    ),
    path("certificates/", certificates.certificates, name="certificates"),
    path("certificates/clients/", client_certificates.clients, name="certificates-clients"),
    path("certificates/authorities/", certificates.authorities, name="certificates-authorities"),
    path("archive/", archive.archive, name="archive"),
    path("archive/<slug:kind>/<int:pk>/", archive.archived, name="archived"),
    path(
        "archive/<slug:kind>/<int:pk>/restore/", archive.archived_restore, name="archived-restore"
    ),
    path("keys/", credentials.credentials, name="credentials"),
    path("keys/-/add/", credentials.credential_add, name="credential-add"),
    path("addons/", catalogue.addons, name="addons"),
    path("addons/-/environments/", catalogue.environment_names, name="addon-environments"),
    path("addons/<slug:addon>/", catalogue.addon, name="addon"),
    path("addons/<slug:addon>/install/", catalogue.addon_install, name="addon-install"),
    path("runs/", runs.runs, name="runs"),
    path("runs/together/<uuid:bundle>/", bundles.bundle, name="bundle"),
    path("runs/together/<uuid:bundle>/confirm/", bundles.bundle_confirm, name="bundle-confirm"),
    path("runs/together/<uuid:bundle>/discard/", bundles.bundle_discard, name="bundle-discard"),
    path("runs/together/<uuid:bundle>/stop/", bundles.bundle_stop, name="bundle-stop"),
    path("runs/together/<uuid:bundle>/repeat/", bundles.bundle_repeat, name="bundle-repeat"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/confirm/", runs.run_confirm, name="run-confirm"),
    path("runs/<int:pk>/discard/", runs.run_discard, name="run-discard"),
    path("runs/<int:pk>/stop/", runs.run_stop, name="run-stop"),
    path("runs/<int:pk>/report.md", runs.run_report, name="run-report"),
    path("runs/<int:pk>/repeat/", runs.run_repeat, name="run-repeat"),
    path("runs/<int:pk>/retry/", runs.run_retry, name="run-retry"),
    path("runs/<int:pk>/resolve/", runs.run_resolve, name="run-resolve"),
    path("search/", search.search, name="search"),
    path("audit/", audit.audit, name="audit"),
    path("notices/", notices.notices, name="notices"),
]
