"""A client's certificate, key and trust as one download. Nothing of it is kept."""

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from addons.pki.bundle import split
from addons.pki.errors import CertificateError
from addons.pki.facts import load, matches_key, read_certificate
from addons.pki.keys import read_signing_key
from instances.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientBundle:
    """What a client needs.

    Args:
        certificate_pem: Its certificate.
        key: Its private key, PKCS #8 PEM.
        trust_pem: The authorities that it is to trust, from `addons.pki.bundle.trust_bundle`.

    Raises:
        CertificateError: ``KeyMismatch``, or a part cannot be read.
    """

    certificate_pem: str
    key: Secret
    trust_pem: str

    def __post_init__(self) -> None:
        if not matches_key(self.certificate_pem, self.key):
            raise CertificateError("KeyMismatch", "The key does not belong to the certificate.")
        if not split(self.trust_pem):
            raise CertificateError("NoValidAuthority", "The bundle has no authority to trust.")

    def as_zip(self, *, now: datetime, host: str = "HOST", port: int = 6379) -> bytes:
        """Return client.crt, client.key, root.crt and README.txt as a ZIP archive.

        Args:
            now: The time that the files bear.
            host: What the README's commands connect to.
            port: The same.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "client.crt", self.certificate_pem, 0o644, now)
            _add(archive, "client.key", self.key.reveal(), 0o600, now)
            _add(archive, "root.crt", self.trust_pem, 0o644, now)
            _add(archive, "README.txt", self.readme(host=host, port=port), 0o644, now)
        return buffer.getvalue()

    def as_pem(self) -> Secret:
        """Return key, certificate and authorities as one PEM text, in that order."""
        return Secret(f"{self.key.reveal()}{self.certificate_pem}{self.trust_pem}")

    def as_pkcs12(self, *, passphrase: Secret) -> bytes:
        """Return a PKCS #12 file (RFC 7292), AES-256 under the pass-phrase.

        Java 8u301 and later, .NET and OpenSSL 1.1 read it.

        Raises:
            CertificateError: ``PassphraseMissing``.
        """
        if not passphrase:
            raise CertificateError("PassphraseMissing", "A PKCS #12 file needs a pass-phrase.")
        return serialize_key_and_certificates(
            read_certificate(self.certificate_pem).common_name.encode(),
            read_signing_key(self.key),
            load(self.certificate_pem),
            [load(pem) for pem in split(self.trust_pem)],
            BestAvailableEncryption(passphrase.reveal().encode()),
        )

    def readme(self, *, host: str, port: int) -> str:
        """Return the how-to that goes with the files; it holds no secret."""
        facts = read_certificate(self.certificate_pem)
        return _README.format(
            name=facts.common_name, end=f"{facts.not_after:%Y-%m-%d}", host=host, port=port
        )


def _add(archive: zipfile.ZipFile, name: str, text: str, mode: int, now: datetime) -> None:
    info = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
    info.create_system = 3  # Unix, so that unpacking keeps the mode.
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, text)


_README = """\
TLS client certificate "{name}", valid until {end}

client.crt   the certificate
client.key   its private key; no other copy is kept: store it like a password
root.crt     the authorities that vouch for the servers

Keep client.key readable by its program alone:
    chmod 600 client.key

redis-cli, valkey-cli
    redis-cli --tls -h {host} -p {port} --cacert root.crt --cert client.crt --key client.key PING

Python (redis-py)
    redis.Redis("{host}", {port}, ssl=True, ssl_ca_certs="root.crt",
                ssl_certfile="client.crt", ssl_keyfile="client.key")

Node.js (ioredis)
    new Redis({{ host: "{host}", port: {port}, tls: {{
      ca: fs.readFileSync("root.crt"), cert: fs.readFileSync("client.crt"),
      key: fs.readFileSync("client.key") }} }})

PHP (phpredis)
    $redis->connect("tls://{host}", {port}, 0, null, 0, 0, ["stream" => [
      "cafile" => "root.crt", "local_cert" => "client.crt", "local_pk" => "client.key"]]);

Java: download the PKCS #12 form for the key store, and make a trust store from root.crt:
    keytool -importcert -noprompt -alias redoubt -file root.crt -keystore trust.p12

Connect by a name or address that stands in the server's certificate, and leave the check of
names on. Before the certificate ends, issue a new one and replace these files.
"""
