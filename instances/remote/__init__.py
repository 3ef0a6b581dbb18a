"""How the panel reaches a machine and the servers on it.

The only room that speaks SSH, Redis and TLS over the network; it knows no Django. Callers meet the
`Host` protocol, `open_redis`, `probe_tls`, and one family of errors, `RemoteError`.
"""
