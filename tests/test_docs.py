"""What the documentation shows can be typed in, and where it points there is something."""

import ast
import doctest
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)

FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def _page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the fragment of each heading, as the usual Markdown renderers make them."""
    headings = (heading.lower() for heading in HEADING.findall(_prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def _broken_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(_prose(page)):
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (fragment and fragment not in _anchors(target)):
            yield link


def _snippets(page: Path, language: str) -> list[str]:
    return [text for name, text in FENCE.findall(page.read_text("utf-8")) if name == language]


def _pages_with(*languages: str) -> list[Path]:
    return [page for page in PAGES if any(_snippets(page, name) for name in languages)]


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file or a heading of this repository finds it."""
    assert [] == list(_broken_links(page))


@pytest.mark.parametrize("page", _pages_with("python"), ids=_page_id)
def test_python_compiles(page: Path) -> None:
    """Each Python example is valid Python, sessions with a prompt included."""
    for text in _snippets(page, "python"):
        session = doctest.DocTestParser().get_examples(text)
        source = "".join(example.source for example in session) or text
        compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.mark.parametrize("page", _pages_with("toml", "json"), ids=_page_id)
def test_data_parses(page: Path) -> None:
    """Each TOML or JSON example is a whole document that its parser reads."""
    for text in _snippets(page, "toml"):
        assert tomllib.loads(text)
    for text in _snippets(page, "json"):
        assert json.loads(text)


def test_every_rule_id_is_documented() -> None:
    """Each id that a finding can have stands in one of the two lists."""
    used = {
        found
        for path in (ROOT / "src").rglob("*.py")
        for found in re.findall(r'"(HF\d{3})"', path.read_text(encoding="utf-8"))
    }
    documented = {
        found
        for name in ("rules.md", "lint-rules.md")
        for found in re.findall(r"HF\d{3}", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    }

    assert set() == used - documented
    assert len(used) > 30  # the pattern still finds them
