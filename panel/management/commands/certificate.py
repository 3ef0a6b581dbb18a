"""``manage.py certificate issue|list``."""

import io
import os
import zipfile
from argparse import Namespace
from pathlib import Path

from django.utils import timezone

from addons.clients.handout import LIFETIME, ClientRequest, Form, Handout, file_name
from addons.clients.issue import client_certificate_downloaded, client_certificate_issue
from addons.expiry import CLIENTS
from addons.models import Certificate
from addons.pki.client_bundle import FILES, SIGNED_FILES
from addons.pki.keys import KeyType
from instances.secret import Secret
from instances.selectors import environment_named
from panel.management.certificate_rows import CLIENT_COLUMNS, COLUMNS, SORTS, certificate_rows
from panel.management.new_files import new_files
from panel.management.passphrase import add_passphrase_file, read_passphrase
from panel.management.terminal import (
    NounCommand,
    UsageError,
    Verbs,
    read_text,
    table,
    terminal_actor,
)

_UNPACKED = {Form.ZIP: FILES, Form.CSR: SIGNED_FILES}


class Command(NounCommand):
    """Certificates."""

    help = "Issue certificates to clients, and list those of nodes, clients and authorities."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare issue and list."""
        issue = verbs.add("issue", self._issue, "issue a certificate and write it, once")
        issue.add_argument("environment")
        issue.add_argument("holder", help="the application or person: the common name")
        issue.add_argument("--days", type=int, default=LIFETIME, help="lifetime, 1 to 3650")
        issue.add_argument("--key-type", choices=list(KeyType), help="ec-p256 unless said")
        issue.add_argument(
            "--replaces", metavar="SERIAL", default="", help="the one whose place it takes"
        )
        how = issue.add_mutually_exclusive_group()
        how.add_argument(
            "--format", choices=[Form.ZIP, Form.PKCS12, Form.PEM], default=Form.ZIP, dest="form"
        )
        how.add_argument("--csr", metavar="FILE", help="sign this request; no key is made")
        issue.add_argument(
            "--out",
            metavar="DIRECTORY|FILE",
            required=True,
            help="a directory (there, or ending in /) gets the files of an archive unpacked",
        )
        add_passphrase_file(issue)
        says = "list certificates, with their ends and renewals"
        listed = verbs.add("list", self._list, says)
        listed.add_argument("environment", nargs="?", default="")
        listed.add_argument("--of", choices=SORTS, help="only these; all unless said")
        listed.add_argument("--json", action="store_true")

    def _issue(self, options: Namespace) -> None:
        environment = environment_named(options.environment)
        request = _request(options)
        paths = _paths(options.out, environment.name, request)
        actor = terminal_actor()
        with new_files(paths) as files:
            handout = client_certificate_issue(
                actor=actor, environment=environment, request=request, now=timezone.now()
            )
            for file, content in zip(files, _contents(handout, len(paths)), strict=True):
                file.write(content)
        client_certificate_downloaded(
            actor=actor, certificate=handout.certificate, now=timezone.now()
        )
        for path in paths:
            self.stdout.write(str(path))
        self.stderr.write(_told(handout.certificate), self.style.NOTICE)

    def _list(self, options: Namespace) -> None:
        environment = environment_named(options.environment) if options.environment else None
        sorts = [options.of] if options.of else SORTS
        rows = certificate_rows(environment, sorts, timezone.now())
        if options.json:
            self.print_json(rows)
            return
        columns = CLIENT_COLUMNS if options.of == CLIENTS else COLUMNS
        lines = [tuple(str(row[name]) for name in columns) for row in rows]
        self.console.print(table(*map(str.upper, columns), rows=lines))


def _request(options: Namespace) -> ClientRequest:
    form = Form.CSR if options.csr else Form(options.form)
    if options.passphrase_file and form != Form.PKCS12:
        raise UsageError("--passphrase-file is for --format pkcs12.")
    if options.key_type and form == Form.CSR:
        raise UsageError("A request brings its key: leave --key-type out.")
    secret = read_passphrase(options, twice=True) if form == Form.PKCS12 else Secret("")
    return ClientRequest(
        holder=options.holder,
        form=form,
        lifetime_days=options.days,
        key_type=KeyType(options.key_type or KeyType.EC_P256),
        passphrase=secret,
        csr=read_text(options.csr, "csr") if options.csr else "",
        replaces=options.replaces,
    )


def _paths(out: str, environment: str, request: ClientRequest) -> list[Path]:
    """Return which files to make: in a directory those of an archive, or one of its own name."""
    path = Path(out)
    if not path.is_dir() and not out.endswith(os.sep):
        return [path]
    names = _UNPACKED.get(Form(request.form))
    return [path / name for name in names or [file_name(environment, request.holder, request.form)]]


def _contents(handout: Handout, count: int) -> list[bytes]:
    if count == 1:
        return [handout.content]
    with zipfile.ZipFile(io.BytesIO(handout.content)) as archive:
        return [archive.read(name) for name in archive.namelist()]


def _told(certificate: Certificate) -> str:
    kept = "" if certificate.form == Form.CSR else " Its key is there and nowhere else."
    return f"{certificate.holder} holds it until {certificate.not_after:%Y-%m-%d}.{kept}"
