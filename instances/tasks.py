"""Doors: each task calls one service with ids."""

from celery import shared_task
from celery.contrib.django.task import DjangoTask

from instances import looks


@shared_task(base=DjangoTask)
def node_look(node: int) -> None:
    """Look at a node."""
    looks.node_look(node=node)
