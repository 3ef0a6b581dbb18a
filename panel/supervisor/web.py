"""gunicorn's settings (``--config python:panel.supervisor.web``). Its names are gunicorn's own."""

import os
import time
from typing import Any

from panel.supervisor.tether import die_with_parent

WAITS_FOR = "REDOUBT_WEB_WAITS_FOR"
"""Names a file without which no page is served: the demo's nodes are registered first."""

worker_class = "gthread"
threads = 8
# Loaded once before the workers fork; no connection is open then.
preload_app = True
timeout = 60
graceful_timeout = 5
keepalive = 5
max_requests = 10_000
max_requests_jitter = 1_000
# The log of what people did is the audit log.
accesslog = None
loglevel = "warning"
# A heartbeat on a disk that is slow would get a healthy worker killed.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
control_socket_disable = True


def post_fork(_server: Any, worker: Any) -> None:
    """Tether each worker to the master."""
    die_with_parent(worker.ppid)


def on_starting(_server: Any) -> None:
    """Wait, before the port is opened, for what the environment says."""
    awaited = os.environ.get(WAITS_FOR)
    while awaited and not os.path.exists(awaited):
        time.sleep(0.05)
