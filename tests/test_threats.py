"""Each row of docs/threats.md is shown by the tests with its mark, or explained as not stopped."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
THREATS = {f"T{number:02}" for number in range(1, 53)}

ROW = re.compile(r"^\| (T\d+) \| .* \| (.*) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py::\w+)`")
NOT_STOPPED = "[not stopped](security.md#threats-that-are-not-stopped-here-and-why)"


def _marks(path: Path) -> Iterator[tuple[str, str]]:
    """Find `@pytest.mark.threat(...)`: each id, and the test that has it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and "pytest.mark.threat" == ast.unparse(mark.func):
                    name = f"{path.relative_to(TESTS).as_posix()}::{node.name}"
                    yield from ((ast.literal_eval(threat), name) for threat in mark.args)


def _marked() -> dict[str, set[str]]:
    """Return the tests of each id."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for threat, name in _marks(path):
            found[threat].add(name)
    return found


def _rows(page: str) -> dict[str, str]:
    """Return the last cell of each row that a page has for a threat."""
    rows = ROW.findall((DOCS / page).read_text("utf-8"))
    assert len(rows) == len(dict(rows)), f"a threat stands twice in {page}"
    return dict(rows)


def test_each_threat_is_shown_or_explained() -> None:
    """Each id has a test with its mark or a line in docs/security.md, and no other id is there."""
    marked, explained = set(_marked()), set(_rows("security.md"))

    missing = sorted(THREATS - marked - explained)
    assert [] == missing, f"neither a marked test nor a line in docs/security.md: {missing}"
    unknown = sorted((marked | explained) - THREATS)
    assert [] == unknown, f"no such threat: {unknown}"
    both = sorted(marked & explained)
    assert [] == both, f"both shown by a test and explained as not stopped: {both}"


def test_the_page_names_the_tests() -> None:
    """docs/threats.md has a row for each of them, with the marked tests or the link to the line."""
    shown = {threat: set(TEST.findall(cell)) for threat, cell in _rows("threats.md").items()}
    linked = {threat for threat, cell in _rows("threats.md").items() if cell == NOT_STOPPED}

    assert {**_marked(), **{threat: set() for threat in _rows("security.md")}} == shown
    assert set(_rows("security.md")) == linked


def test_an_id_selects_its_tests() -> None:
    """`pytest -k T08` runs the tests of that row, as the page says."""
    (name,) = _marked()["T08"]
    path, _, function = name.partition("::")
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-k", "T08", TESTS / path],
        cwd=TESTS.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    collected = [line.split("::")[1] for line in listed.splitlines() if "::" in line]

    assert {function} == {test.partition("[")[0] for test in collected}
