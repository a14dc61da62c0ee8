import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.lab.attack import attacks
from holdfast.lab.evidence import Evidence
from holdfast.lab.judgment import Outcome, Result
from holdfast.lab.page import html_page
from holdfast.lab.scorecard import Scorecard

HOSTILE = "<script>document.title='owned'</script>\x1b[31m\u202e & \"'"
COMMAND = ("client", HOSTILE)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--virtual-time-budget=5000",
    "--dump-dom",
)
BROWSER = shutil.which("chromium")


@pytest.fixture(scope="module")
def page() -> str:
    """Return a page on which two attacks stand, one of them with a hostile detail."""
    rogue, *_, last = attacks()
    results = (
        Result(attack=rogue, outcome=Outcome.MISSED, detail=HOSTILE),
        Result(attack=last, outcome=Outcome.CAUGHT, detail="before the client's certificate"),
    )
    evidence = Evidence(
        date=datetime(2026, 11, 2, tzinfo=UTC),
        arguments=("--only=two",),
        versions={"holdfast": "1.2.3"},
        files={"/bin/client": "f00d"},
        policies={rogue.id: "abcd", "pins.toml": "beef"},
    )
    return html_page(Scorecard(COMMAND, results, evidence), evidence)


def test_everything_is_on_the_page(page: str) -> None:
    """What a security team files: results, controls, versions, date, command and digests."""
    for text in ("the client has gaps", "1 caught, 1 missed", "MASVS-NETWORK-1", "1.2.3"):
        assert text in page
    for text in ("2026-11-02T00:00:00+00:00", "--only=two", "f00d", "abcd", "beef", "/bin/client"):
        assert text in page
    assert attacks()[0].title.replace("'", "&#39;") in page


def test_what_came_from_outside_is_shown_and_not_obeyed(page: str) -> None:
    """Neither markup nor control characters of a command or a client get onto the page."""
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not set("\x1b\u202e") & set(page)


def test_the_page_needs_nothing_else(page: str) -> None:
    """It names no other resource, and its policy lets a browser load none."""
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_browser_shows_it(page: str, tmp_path: Path) -> None:
    """A real browser runs nothing, applies the style, and has every row."""
    file = tmp_path / "page.html"
    file.write_text(page, "utf-8")
    probe = tmp_path / "probe.html"  # measures the page from a frame; the page itself cannot
    probe.write_text(
        f'<iframe id="f" src="{file.as_uri()}" onload="'
        "var d=this.contentDocument;"
        "document.title=[d.title,d.querySelectorAll('tr.missed,tr.caught').length,"
        "d.defaultView.getComputedStyle(d.querySelector('tr.missed td')).color].join('|')"
        '"></iframe>'
    )
    shown = subprocess.run(
        [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path}/profile", probe.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    ).stdout
    title, rows, color = re.findall("<title>(.*)</title>", shown)[0].split("|")

    assert ("Attack lab: 1 caught, 1 missed", "2") == (title, rows)
    assert color == "rgb(168, 15, 28)"


def test_without_jinja(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Where jinja2 is missing, the extra that brings it is named."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    make: Callable[..., str] = html_page

    with pytest.raises(HoldfastError, match=r"holdfast\[lab\]"):
        make(Scorecard((), ()), None)


@pytest.mark.parametrize(
    ("outcomes", "title"),
    [
        ([Outcome.CAUGHT], "all attacks caught"),
        ([Outcome.NOT_APPLICABLE], "nothing was determined"),
    ],
)
def test_the_title_says_how_it_ended(outcomes: list[Outcome], title: str) -> None:
    """The first line is the verdict."""
    results = tuple(Result(attack=attacks()[0], outcome=outcome, detail="") for outcome in outcomes)
    evidence = Evidence.gather((), (), {}, datetime.now(UTC))

    assert title in html_page(Scorecard((), results, evidence), evidence)
