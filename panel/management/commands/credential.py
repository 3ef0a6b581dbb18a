"""``manage.py credential add|list``."""

from argparse import Namespace

from instances.models import Credential
from instances.secret import Secret
from instances.services import credential_create
from panel.management.terminal import NounCommand, Verbs, read_text, table, terminal_actor


class Command(NounCommand):
    """Credentials: the SSH keys with which the panel logs in."""

    help = "Make or store the SSH keys with which the panel logs in, and list them."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare add and list."""
        add = verbs.add("add", self._add, "make an Ed25519 key, or store an existing one")
        add.add_argument("name")
        add.add_argument("--private-key", metavar="FILE", help="a private key without pass-phrase")
        verbs.add("list", self._list, "list credentials").add_argument(
            "--json", action="store_true"
        )

    def _add(self, options: Namespace) -> None:
        given = options.private_key and Secret(read_text(options.private_key, "private_key"))
        made = credential_create(
            actor=terminal_actor(), name=options.name, private_key=given or None
        )
        self.stderr.write(
            "Put this line into ~/.ssh/authorized_keys of the user that the panel logs in as:",
            self.style.NOTICE,
        )
        self.stdout.write(made.public_key)

    def _list(self, options: Namespace) -> None:
        rows = list(Credential.objects.values("name", "public_key"))
        if options.json:
            self.print_json(rows)
        else:
            lines = [(row["name"], row["public_key"]) for row in rows]
            self.console.print(table("NAME", "AUTHORIZED_KEYS LINE", rows=lines))
