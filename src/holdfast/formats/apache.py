"""Apache HttpClient 5.6 or later: `SpkiPinningClientTlsStrategy`, in Java."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import Problem
from holdfast.formats.loss import Loss
from holdfast.formats.marked_text import put_between_marks, text_of
from holdfast.formats.okhttp import pattern_of
from holdfast.formats.platform import Kinds, Overlap, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.formats.source_code import additions_in, rule_of

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Apache HttpClient",
    entries=(Kinds.APEX, Kinds.ONE_BELOW),
    overlap=Overlap.UNION,
    shipped=True,
)
_CLASS = "SpkiPinningClientTlsStrategy"


def scan(data: bytes) -> Reading:
    """Read the calls of `.add(...)` in source code.

    Raises:
        PolicyError: The file is no text.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    rules = []
    for addition in additions_in(text_of(data)):
        rule = rule_of(addition, problems, losses)
        if rule is None:
            continue
        place = f"line {addition.line}"
        if rule.hosts[0].kinds is Kinds.ANY_DEPTH:
            fix = "write the host, and *. before it"
            problems.append(Problem(place, "HttpClient has no wildcard of any depth", fix))
        if rule.hosts[0].kinds is Kinds.ONE_BELOW and "." not in rule.hosts[0].host:
            fix = "name at least two labels after it"
            problems.append(Problem(place, "the wildcard covers too much", fix))
        if len(addition.texts) == 1:
            problems.append(Problem(place, "the rule has no pin", "add one"))
        rules.append(rule)
    return Reading(tuple(rules), tuple(losses), tuple(problems))


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write rules between the marks of source code, as `Format.write` says."""
    lines = [f"{_CLASS} tlsStrategy = {_CLASS}.newBuilder(sslContext)"]
    for rule in rules:
        for entry in rule.hosts:
            pins = ", ".join(f'"{pin}"' for pin in rule.pins)
            lines.append(f'    .add("{pattern_of(entry)}", {pins})')
    return put_between_marks([*lines, "    .build();"], present, comment="//")


def _is_apache(file_name: str, data: bytes) -> bool:
    return file_name.endswith((".java", ".kt")) and _CLASS.encode() in data


FORMAT = Format(name="apache", semantics=SEMANTICS, recognizes=_is_apache, scan=scan, write=write)
