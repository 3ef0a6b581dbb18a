"""How a client uses its certificate, in plain text. Nothing here holds a secret."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from addons.pki.facts import LeafFacts

MOST = 20
"""Servers that a how-to names; whoever has more of them connects by a list of their own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that the client may connect to.

    Args:
        name: What people call it.
        host: A name or address in the server's certificate.
        port: Its TLS port.
    """

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Parts:
    """The files that hold a client's certificate, its key, and what it trusts."""

    certificate: str = "client.crt"
    key: str = "client.key"
    trust: str = "root.crt"

    @classmethod
    def of_one(cls, name: str) -> "Parts":
        """Return the parts that stand in one PEM file."""
        return cls(name, name, name)


def redis_cli_lines(parts: Parts, endpoints: Sequence[Endpoint]) -> str:
    """Return a line for a terminal for each server; a password comes from REDISCLI_AUTH."""
    return "\n".join(_redis_cli(parts, each) for each in endpoints[:MOST])


def _redis_cli(parts: Parts, endpoint: Endpoint) -> str:
    where = ("-h", endpoint.host, "-p", str(endpoint.port))
    files = ("--cacert", parts.trust, "--cert", parts.certificate, "--key", parts.key)
    return shlex.join(("redis-cli", "--tls", *where, *files, "PING"))


def redis_py_lines(parts: Parts, endpoints: Sequence[Endpoint]) -> str:
    """Return a Python program that pings each server."""
    calls = [f"redis.Redis({each.host!r}, {each.port}, **tls).ping()" for each in endpoints[:MOST]]
    return "\n".join(
        (
            "import redis",
            f"tls = dict(ssl=True, ssl_ca_certs={parts.trust!r},",
            f"           ssl_certfile={parts.certificate!r}, ssl_keyfile={parts.key!r})",
            *calls,
        )
    )


def unpack_line(file: str, into: str) -> str:
    """Return the line that turns a PKCS #12 file into one PEM file; it asks for the pass-phrase."""
    return f"(umask 077; openssl pkcs12 -in {shlex.quote(file)} -nodes -out {shlex.quote(into)})"


def readme(facts: LeafFacts, endpoints: Sequence[Endpoint], *, key: bool) -> str:
    """Return the text that goes with the files.

    Args:
        facts: Of the certificate.
        endpoints: The servers that it opens; with none the lines name HOST.
        key: Whether client.key is among the files; else its holder has it already.
    """
    shown = endpoints or (Endpoint("", "HOST", 6380),)
    parts = Parts()
    return _README.format(
        name=facts.common_name,
        end=f"{facts.not_after:%Y-%m-%d}",
        serial=facts.serial,
        key=_KEY if key else _KEY_OF_HOLDER,
        servers=_servers(endpoints),
        redis_cli=_indented(redis_cli_lines(parts, shown)),
        redis_py=_indented(redis_py_lines(parts, shown)),
        host=shown[0].host,
        port=shown[0].port,
    )


def _servers(endpoints: Sequence[Endpoint]) -> str:
    if not endpoints:
        return "    none speaks TLS yet: put name and port of yours for HOST and 6380"
    lines = [f"    {each.name}  {each.host} port {each.port}" for each in endpoints[:MOST]]
    more = len(endpoints) - MOST
    return "\n".join([*lines, f"    and {more} more"] if more > 0 else lines)


def _indented(lines: str) -> str:
    return "\n".join(f"    {line}" for line in lines.splitlines())


_KEY = "its private key; no other copy exists: store it like a password"
_KEY_OF_HOLDER = "not among these files: the key that you made the request with"
_README = """\
TLS client certificate "{name}", valid until {end}
serial {serial}

client.crt   the certificate
client.key   {key}
root.crt     the authorities that vouch for the servers

Keep client.key readable by its program alone:
    chmod 600 client.key

Servers
{servers}

redis-cli, valkey-cli (where the server asks for a password: export REDISCLI_AUTH='...')
{redis_cli}

Python (redis-py; add username= and password= where the server asks for them)
{redis_py}

Node.js (ioredis)
    new Redis({{ host: "{host}", port: {port}, tls: {{
      ca: fs.readFileSync("root.crt"), cert: fs.readFileSync("client.crt"),
      key: fs.readFileSync("client.key") }} }})

PHP (phpredis)
    $redis->connect("tls://{host}", {port}, 0, null, 0, 0, ["stream" => [
      "cafile" => "root.crt", "local_cert" => "client.crt", "local_pk" => "client.key"]]);

Java: have the PKCS #12 form issued for the key store, and make a trust store from root.crt:
    keytool -importcert -noprompt -alias redoubt -file root.crt -keystore trust.p12

Connect by a name or address that stands in the server's certificate, and leave the check of
names on. Before the certificate ends, have a new one issued and replace these files.
"""
