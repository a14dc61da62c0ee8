"""Envoy's `CertificateValidationContext`, in YAML.

Envoy looks at the leaf alone; a key or a certificate of the lists is enough. Without `trusted_ca`
the pin alone counts, without chain, dates or name, so that what is written here has one. The
context names hosts of one upstream; it is for one pin set.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from holdfast.errors import PolicyError, Problem
from holdfast.formats.dictionaries import distinct, pins_in, texts_in
from holdfast.formats.hexadecimal import pin_in
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.formats.marked_text import text_of
from holdfast.formats.platform import Kinds, Places, Rule, Semantics
from holdfast.formats.registry import Format, Reading
from holdfast.pins.pin import Pin, PinAlgorithm

__all__ = ["FORMAT"]

SEMANTICS = Semantics(
    title="Envoy",
    entries=(Kinds.APEX,),
    places=Places.LEAF,
    certificate_pins=True,
    hosts=False,
)
_CONTEXT, _SPKI, _HASH = (
    "validation_context",
    "verify_certificate_spki",
    "verify_certificate_hash",
)
_NAMES, _TRUSTED = "match_typed_subject_alt_names", "trusted_ca"
_STORE = "/etc/ssl/certs/ca-certificates.crt"
_LIMIT = 1024 * 1024  # bytes
_DEPTH = 100  # levels of a document


def scan(data: bytes) -> Reading:
    """Read the validation contexts that have pins.

    Raises:
        PolicyError: The text is no YAML.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    rules: list[Rule] = []
    for place, context in _contexts(_parse(data)):
        spki = texts_in(context, _SPKI, place, problems)
        pins = (
            *pins_in(spki, f"{place}.{_SPKI}", problems, losses),
            *_hashes(context, place, problems, losses),
        )
        if not spki and not context.get(_HASH):
            continue
        rules.append(Rule(name=f"envoy-{len(rules) + 1}", hosts=(), leaf=pins, place=place))
        losses += _of_context(context, place)
    return Reading(tuple(rules), tuple(losses), tuple(problems))


def _hashes(
    context: Mapping[str, Any], place: str, problems: list[Problem], losses: list[Loss]
) -> tuple[Pin, ...]:
    pins = []
    for index, text in enumerate(texts_in(context, _HASH, place, problems)):
        there = f"{place}.{_HASH}[{index}]"
        pin = pin_in(text, PinAlgorithm.CERTIFICATE, there, problems)
        if pin is not None:
            pins.append((there, pin))
    return distinct(pins, losses)


def _of_context(context: Mapping[str, Any], place: str) -> Iterator[Loss]:
    if context.get(_TRUSTED) is None:
        yield Loss(
            kind=LossKind.CHAIN,
            effect=Effect.REFUSES,
            place=f"{place}.{_TRUSTED}",
            consequence="without a trusted CA Envoy checks the pin alone; the policy verifies too",
        )
    if context.get("trust_chain_verification") == "ACCEPT_UNTRUSTED":
        yield Loss(
            kind=LossKind.REPORT_ONLY,
            effect=Effect.REFUSES,
            place=f"{place}.trust_chain_verification",
            consequence="Envoy lets a connection pass whose pin does not match; the policy does "
            "not",
        )


def write(rules: Sequence[Rule], present: bytes | None) -> bytes:
    """Write the pins of one rule into the validation context of a file.

    Args:
        rules: One rule.
        present: What the file holds; None for a new one.

    Raises:
        PolicyError: The file has no validation context, or several.
    """
    spki, hashes = _as_text(rules)
    if present is None:
        context: Any = {_TRUSTED: {"filename": _STORE}}
        document: Any = {_CONTEXT: context}
    else:
        document = _parse(present)
        found = [context for _, context in _contexts(document)]
        if len(found) != 1:
            message = f"the file has {len(found)} validation contexts"
            fix = f"give a file with one {_CONTEXT}"
            raise PolicyError([Problem("", message, fix)])
        context = found[0]
        if (context.get(_SPKI, []), context.get(_HASH, [])) == (spki, hashes):
            return present
    for key, texts in ((_SPKI, spki), (_HASH, hashes)):
        if texts:
            context[key] = texts
        else:
            context.pop(key, None)
    written = io.StringIO()
    _yaml().dump(document, written)
    return written.getvalue().encode()


def _as_text(rules: Sequence[Rule]) -> tuple[list[str], list[str]]:
    pins = [pin for rule in rules for pin in rule.pins]
    return (
        [str(pin).removeprefix("sha256/") for pin in pins if pin.algorithm is PinAlgorithm.SPKI],
        [pin.digest.hex() for pin in pins if pin.algorithm is PinAlgorithm.CERTIFICATE],
    )


def _parse(data: bytes) -> Any:  # noqa: ANN401  whatever the YAML is
    text = text_of(data)
    if len(text) > _LIMIT or _is_deep(text):
        raise PolicyError([Problem("", "the file is too long or too deep", "is it the right one?")])
    try:
        return _yaml().load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise PolicyError([Problem("", f"this is no YAML: {reason}", "mend it there")]) from None


def _yaml() -> YAML:
    """Return a reader and writer that keeps comments, order and quotes, and makes no objects."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096  # a pin is not broken
    return yaml


def _is_deep(text: str) -> bool:
    """Tell whether brackets or indentation go deeper than a configuration does."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    indents = (len(line) - len(line.lstrip(" -")) for line in text.splitlines())
    return deepest > _DEPTH or max(indents, default=0) > 4 * _DEPTH


def _contexts(
    value: Any,  # noqa: ANN401
    place: str = "",
    seen: set[int] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Yield the validation contexts anywhere in a document, each with the first of its places."""
    seen = set() if seen is None else seen
    if isinstance(value, Mapping | list):
        if id(value) in seen:  # an alias: followed again and again, a few lines take for ever
            return
        seen.add(id(value))
    if isinstance(value, Mapping):
        for key, below in value.items():
            there = f"{place}.{key}" if place else str(key)
            if key == _CONTEXT and isinstance(below, Mapping):
                yield there, below
            else:
                yield from _contexts(below, there, seen)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _contexts(below, f"{place}[{index}]", seen)


def _is_envoy(file_name: str, data: bytes) -> bool:
    return file_name.endswith((".yaml", ".yml")) and b"verify_certificate_" in data


FORMAT = Format(name="envoy", semantics=SEMANTICS, recognizes=_is_envoy, scan=scan, write=write)
