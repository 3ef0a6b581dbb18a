"""What a made-up fleet consists of: names, versions, and what may be wrong with a node."""

APPLICATIONS = (
    *("shop", "checkout", "payments", "search", "accounts", "catalogue", "pricing", "orders"),
    *("shipping", "returns", "reviews", "messages", "media", "maps", "tickets", "billing"),
    *("ledger", "fraud", "identity", "mail", "metrics", "reports", "stock", "suppliers"),
    *("loyalty", "offers", "support", "careers", "events", "booking", "travel", "claims"),
)
STAGES = ("production", "staging", "test", "preview")
REGIONS = (
    "eu-west",
    "eu-central",
    "eu-north",
    "us-east",
    "us-west",
    "ap-south",
    "ap-east",
    "sa-east",
)
GROUPS = ("cache", "sessions", "queue", "ratelimit", "leaderboard", "features", "locks")
PEOPLE = ("ada", "grace", "linus", "margaret", "edsger", "barbara")

SERVERS = (
    *[("redis", "7.0.15")] * 5,
    *[("redis", "7.2.7")] * 3,
    *[("redis", "6.2.16")] * 2,
    ("redis", "7.4.2"),
    *[("valkey", "8.0.2")] * 3,
    ("valkey", "7.2.8"),
)
"""Product and version, as often as they are met."""
SYSTEMS = (
    *[("debian", "12", "Debian GNU/Linux 12 (bookworm)", "6.1.0-28-amd64")] * 5,
    *[("debian", "13", "Debian GNU/Linux 13 (trixie)", "6.12.41+deb13-amd64")] * 2,
    ("debian", "11", "Debian GNU/Linux 11 (bullseye)", "5.10.0-33-amd64"),
    *[("ubuntu", "24.04", "Ubuntu 24.04.1 LTS", "6.8.0-51-generic")] * 3,
    ("ubuntu", "22.04", "Ubuntu 22.04.5 LTS", "5.15.0-130-generic"),
    ("rocky", "9.5", "Rocky Linux 9.5 (Blue Onyx)", "5.14.0-503.14.1.el9_5.x86_64"),
)
FIREWALLS = (*["nftables"] * 4, "iptables", "ufw", "firewalld")
LIBRARIES = ("redis-py 6.4.0", "jedis 5.2.0", "lettuce 6.5.1", "ioredis 5.4.1", "", "")
"""Of clients that speak plaintext; older ones tell of none."""

FAULTS = (
    (
        "ConnectTimeout",
        "{node}: {address} does not answer on port 22 within 10 seconds.",
        "Check that the machine is up and that its firewall lets the panel in.",
    ),
    (
        "ConnectionRefused",
        "{node}: {address} refuses connections on port 22.",
        "Check that sshd runs on the machine.",
    ),
    (
        "SudoRefused",
        "{node}: sudo asks for a password.",
        "Allow the SSH user to use sudo without one.",
    ),
    (
        "ClockOff",
        "{node}: its clock is 17 minutes off.",
        "Set its clock, for example with timedatectl set-ntp true.",
    ),
)
"""Reason, message and next step of a look that failed."""
WRONG = (
    ("ChainInvalid", "{node}: the served certificate was not issued by this environment."),
    ("OldCertificateServed", "{node}: the server serves an older certificate than its file holds."),
    ("NameMismatch", "{node}: the certificate does not have the name that clients use."),
)
"""Reason and message of a condition that is false."""
FAILURES = (
    ("preflight", "PortTaken", "{node}: port 6380 is taken by another program."),
    ("configuration", "FileChanged", "{node}: redis.conf was changed by somebody else meanwhile."),
    ("verify", "NoPong", "{node}: PING over TLS was answered with: LOADING."),
)
"""Step, reason and message of a run's failure."""
STEPS = (
    ("certificate", "the certificate and its key are in place"),
    ("firewall", "port 6380 is open to 10.0.0.0/8"),
    ("runtime", "TLS is on, without a restart"),
    ("configuration", "6 lines added"),
)
"""What the steps of an install say when they are done."""
