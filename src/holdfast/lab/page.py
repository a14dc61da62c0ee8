"""A scorecard as one self-contained HTML page, which a security team can file as evidence.

Everything in it may come from outside (a command line, what a client printed): jinja2 escapes it,
and the page's own policy lets a browser run and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import HoldfastError
from holdfast.findings.escape import escaped
from holdfast.lab.scorecard import Scorecard

if TYPE_CHECKING:
    from jinja2 import Template

    from holdfast.lab.evidence import Evidence
    from holdfast.lab.judgment import Result

__all__ = ["html_page", "page_template"]

_TEXT_LIMIT = 10_000  # characters of outside text in one place
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { margin-bottom: 0; } .summary { font-size: 1.25rem; margin-top: .25rem; }
h2 { margin-top: 2rem; border-bottom: 1px solid #ccc; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0;
  border-bottom: 1px solid #eee; overflow-wrap: anywhere; }
table.results { table-layout: fixed; } table.results th:nth-child(1) { width: 9rem; }
table.results th:nth-child(2) { width: 40%; }
td.outcome { font-weight: 600; white-space: nowrap; }
tr.caught .outcome { color: #176b2c; } tr.not-applicable .outcome { color: #555; }
tr.missed .outcome, tr.refused-honest .outcome, tr.hung .outcome, tr.crashed .outcome
  { color: #a80f1c; }
pre { white-space: pre-wrap; } summary { cursor: pointer; }
footer { margin-top: 3rem; color: #555; }
@media print { details > * { display: block; } }
"""


class _Group(NamedTuple):
    """The results of one class."""

    name: str
    masvs: list[str]
    summary: str
    results: tuple[Result, ...]


def html_page(card: Scorecard, evidence: Evidence) -> str:
    """Return the page.

    Raises:
        HoldfastError: jinja2 is not installed.
    """
    digest = hashlib.sha256(_STYLE.encode("utf-8")).digest()
    return page_template().render(
        card=card,
        evidence=evidence,
        command=shlex.join(card.command),
        groups=_groups(card),
        attack_ids={result.attack.id for result in card.results},
        style=_STYLE,
        style_sha256=base64.b64encode(digest).decode("ascii"),
    )


def page_template() -> Template:
    """Return the template. To be asked for before a long run, which would be in vain without.

    Raises:
        HoldfastError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise HoldfastError(
            "the HTML page needs jinja2, which is not installed",
            hint='install it with: pip install "holdfast[lab]"',
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("holdfast.lab", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["visible"] = lambda text: escaped(text, _TEXT_LIMIT)
    return environment.get_template("page.html.jinja")


def _groups(card: Scorecard) -> list[_Group]:
    groups = []
    for name, results in card.by_class().items():
        masvs = sorted({control for result in results for control in result.attack.masvs})
        groups.append(_Group(name, masvs, Scorecard(card.command, results).summary, results))
    return groups
