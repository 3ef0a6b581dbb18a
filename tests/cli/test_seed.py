"""``manage.py seed`` asks first, and fills only what is empty."""

import pytest

from instances.models import Environment, Node
from tests.cli.conftest import Call


@pytest.mark.django_db
def test_seeding_fills_an_empty_panel_and_no_other(call: Call) -> None:
    done = call("seed", "--environments", "3", "--nodes", "20", "--yes")
    assert (done.status, Node.objects.count()) == (0, 20)
    again = call("seed", "--yes")
    assert again.status == 1
    assert "made-up ones do not belong" in again.err
    assert Node.objects.count() == 20


@pytest.mark.django_db
def test_seeding_asks_or_is_told_not_to(call: Call) -> None:
    assert call("seed").status == 2
    assert call("seed", "--environments", "0", "--yes").status == 2
    assert not Environment.objects.exists()
