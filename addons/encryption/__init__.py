"""Encryption in transit: TLS beside the plain port, certificates, firewall rule, verification."""
