"""OkHttp's `CertificatePinner`, in Kotlin and in Java.

The pins of all patterns that cover a host add up. There is no expiry and no report-only, and the
length of a digest is not checked: a cut-off pin refuses everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.errors import Problem
from holdfast.formats.loss import Loss
from holdfast.formats.marked_text import put_between_marks, text_of
from holdfast.formats.platform import Kinds, Overlap, PlatformHost, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.formats.source_code import additions_in, rule_of

__all__ = ["JAVA", "KOTLIN", "pattern_of"]

SEMANTICS = Semantics(
    title="OkHttp",
    entries=(Kinds.APEX, Kinds.ONE_BELOW, Kinds.ANY_DEPTH),
    overlap=Overlap.UNION,
    shipped=True,
)
_PREFIXES = {Kinds.APEX: "", Kinds.ONE_BELOW: "*.", Kinds.ANY_DEPTH: "**."}


def scan(data: bytes) -> Reading:
    """Read the calls of `.add(...)` in source code.

    Raises:
        PolicyError: The file is no text.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    found = [rule_of(one, problems, losses) for one in additions_in(text_of(data))]
    rules = tuple(rule for rule in found if rule is not None)
    return Reading(rules, tuple(losses), tuple(problems))


def pattern_of(entry: PlatformHost) -> str:
    """Return an entry as OkHttp writes it."""
    return _PREFIXES[entry.kinds] + entry.host


def _calls(rules: Sequence[Rule]) -> list[str]:
    return [
        line
        for rule in rules
        for entry in rule.hosts
        for line in (
            "    .add(",
            f'        "{pattern_of(entry)}",',
            *(f'        "{pin}",' for pin in rule.pins[:-1]),
            *(f'        "{pin}"' for pin in rule.pins[-1:]),
            "    )",
        )
    ]


def _writer(
    declaration: str, end: str, before: Sequence[str]
) -> Callable[[Sequence[Rule], bytes | None], bytes]:
    def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
        lines = [declaration, *_calls(rules), f"    .build(){end}"]
        return put_between_marks(lines, present, comment="//", before=before)

    return write


def _is_source(suffix: str) -> Callable[[str, bytes], bool]:
    return lambda name, data: name.endswith(suffix) and b"CertificatePinner" in data


_IMPORT = "import okhttp3.CertificatePinner"
KOTLIN = Format(
    name="okhttp",
    semantics=SEMANTICS,
    recognizes=_is_source(".kt"),
    scan=scan,
    write=_writer("val certificatePinner = CertificatePinner.Builder()", "", (_IMPORT, "")),
)
JAVA = Format(
    name="okhttp-java",
    semantics=SEMANTICS,
    recognizes=_is_source(".java"),
    scan=scan,
    write=_writer(
        "CertificatePinner certificatePinner = new CertificatePinner.Builder()",
        ";",
        (f"{_IMPORT};", ""),
    ),
)
