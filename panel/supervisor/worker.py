"""The worker's entry: Celery's prefork pool, each of whose processes ends with the worker."""

import argparse
import gc
import os
import warnings
from typing import Any

from celery.signals import worker_init, worker_process_init

from panel.celery import app
from panel.supervisor.tether import die_with_parent


def load_once(**_kwargs: Any) -> None:
    """Import what runs need before the pool forks: once, not in each process at its first run."""
    from addons.catalogue import all_addons  # noqa: PLC0415 -- once Django is set up

    all_addons()
    # What is loaded stays for good: the collector need not look at it again, and no process of the
    # pool gets a copy of the pages by being looked at (gc.freeze's own advice before a fork).
    gc.collect()
    gc.freeze()


def main() -> None:
    """Run a Celery worker until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m panel.supervisor.worker")
    parser.add_argument("--concurrency", type=int, default=4)
    options = parser.parse_args()
    master = os.getpid()

    def tether(**_kwargs: Any) -> None:
        die_with_parent(master)

    worker_process_init.connect(tether, weak=False)
    worker_init.connect(load_once, weak=False)
    # Celery discourages root because of pickle, which is not accepted here.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    app.start(
        [
            "--quiet",
            "worker",
            "--pool=prefork",
            f"--concurrency={options.concurrency}",
            f"--hostname=redoubt-{master}@%h",
            "--loglevel=WARNING",
            # What they tell, nothing here asks for; without them the worker is there at once.
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


if __name__ == "__main__":
    main()
