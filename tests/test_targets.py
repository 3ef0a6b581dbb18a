"""`make test` names where its slow tests are: none may be elsewhere."""

import re

from panel.places import BASE_DIR

TESTS = BASE_DIR / "tests"
MARKED = re.compile(r"mark\.(lab|browser)\b")


def test_make_looks_wherever_a_test_needs_a_node_or_a_browser() -> None:
    makefile = (BASE_DIR / "Makefile").read_text()
    told = [BASE_DIR / name for name in re.findall(r"\btests/[\w./]+", makefile)]
    files = [file for file in TESTS.rglob("*.py") if MARKED.search(file.read_text())]
    assert len(files) > 20
    assert [file for file in files if not any(file.is_relative_to(each) for each in told)] == []
