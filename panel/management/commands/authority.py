"""``manage.py authority export|share``."""

from argparse import Namespace

from addons.authorities import authority_share
from addons.models import EnvironmentAuthority
from instances.errors import NotFound
from instances.reason import Reason
from instances.selectors import environment_named
from panel.management.terminal import NounCommand, Verbs, terminal_actor


class Command(NounCommand):
    """Certificate authorities."""

    help = "Print the certificate that clients are to trust; let environments share an authority."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare export and share."""
        export = verbs.add("export", self._export, "print an environment's authority as PEM")
        export.add_argument("environment")
        share = verbs.add("share", self._share, "have an environment issue from another one's")
        share.add_argument("environment", help="which has no authority yet")
        share.add_argument("--of", required=True, metavar="OTHER", help="whose authority it shares")

    def _share(self, options: Namespace) -> None:
        environment, owner = environment_named(options.environment), environment_named(options.of)
        shared = authority_share(actor=terminal_actor(), environment=environment, owner=owner)
        self.stdout.write(f"{environment} issues from “{shared}” now, as {owner} does.")

    def _export(self, options: Namespace) -> None:
        environment = environment_named(options.environment)
        link = (
            EnvironmentAuthority.objects.select_related("authority")
            .filter(
                environment=environment,
                phase=EnvironmentAuthority.Phase.ISSUING,
                purpose=EnvironmentAuthority.Purpose.SERVERS,
            )
            .first()
        )
        if link is None:
            raise NotFound(
                Reason(
                    "NoAuthority",
                    f"Environment “{environment}” has no certificate authority yet.",
                    "The first installation of the encryption add-on makes it: "
                    f"`manage.py addon install {environment} GROUP encryption`.",
                )
            )
        self.stdout.write(link.authority.certificate.rstrip("\n"))
