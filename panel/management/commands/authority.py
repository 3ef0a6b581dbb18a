"""``manage.py authority export``."""

from argparse import Namespace

from addons.models import EnvironmentAuthority
from instances.errors import NotFound
from instances.reason import Reason
from instances.selectors import environment_named
from panel.management.terminal import NounCommand, Verbs


class Command(NounCommand):
    """Certificate authorities."""

    help = "Print the certificate that clients are to trust."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare export."""
        export = verbs.add("export", self._export, "print an environment's authority as PEM")
        export.add_argument("environment")

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
