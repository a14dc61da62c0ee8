"""Fuzz policies in TOML and JSON: a `PolicyError` and nothing else, or what the document says.

A subject is one document in TOML, in JSON, or in both. Each is accepted exactly when the rules in
`policy_rules` are kept; then the policy says what stands in the document, and looks hosts up as
going over all patterns does. Written in both languages, it gives the same policy, or problems at
the same places.
"""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from typing import Any, Literal, NoReturn

import atheris

from campaign import DisagreementError, Target, expect, run
from host_names import covers, second_reading, second_reading_of_pattern
from pin_text import second_reading as pin_reading
from policy_documents import document_from, in_json, in_toml, seeds
from policy_rules import (
    ANCHORS,
    NOW,
    Moment,
    Table,
    broken_rules,
    client,
    endpoint,
    moment,
)

with atheris.instrument_imports(include=["holdfast"]):
    from holdfast.errors import CertificateError, PolicyError
    from holdfast.pins import decode_document as decode_module
    from holdfast.pins import pin_set as pin_set_module
    from holdfast.pins.policy import Policy
    from holdfast.pins.policy_document import policy_from_document

Subject = dict[Literal["toml", "json"], str]

_DEFAULTS = {"trust": "public", "require": "leaf-or-ca", "strict": False}
_SCALARS = ("mode", "require", "trust", "on_expiry", "owner", "strict", "single_pin", "redirects",
            "check_name", "check_validity")  # fmt: skip


def _build(data: bytes) -> Subject:
    """Take text as it is, or write a document that keeps most rules."""
    kind, rest = data[:1] or b"\0", data[1:]
    if kind[0] < 0x20:
        return {"toml": rest.decode("utf-8", "replace")}
    if kind[0] < 0x40:
        return {"json": rest.decode("utf-8", "replace")}
    document = document_from(atheris.FuzzedDataProvider(rest))
    subject: Subject = {"json": in_json(document)}
    text = in_toml(document)
    return subject if text is None else subject | {"toml": text}


def _second_decoding(kind: str, text: str) -> object:
    """Decode without losing a pair; None: this is no document."""
    try:
        if kind == "toml":
            return _in_tables(tomllib.loads(text))
        return json.loads(text, object_pairs_hook=Table, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _in_tables(value: object) -> object:
    if isinstance(value, dict):
        return Table((key, _in_tables(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_in_tables(inner) for inner in value]
    return Moment(value.isoformat()) if isinstance(value, datetime) else value


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _broken_rules(document: object) -> set[str]:
    try:
        return broken_rules(document)
    except RecursionError:
        return {"nesting"}


def _meaning(document: Table) -> dict[str, Any]:
    """Return what a sound document says, with the defaults."""
    settings, pin_sets = dict(dict(document)["holdfast"]), dict(document).get("pin_set", Table())
    return {
        "unlisted": settings["unlisted"],
        "on_stale": settings.get("on_stale", "enforce"),
        "denied": [pin_reading(text) for text in settings.get("denied", [])],
    } | {f"pin_set.{name}": _meaning_of_set(dict(table)) for name, table in pin_sets}


def _meaning_of_set(table: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {
        "hosts": second_reading_of_pattern,
        "leaf": pin_reading,
        "backup": pin_reading,
        "ca": pin_reading,
        "endpoints": endpoint,
        "clients": client,
    }
    return (
        {key: [read(text) for text in table.get(key, [])] for key, read in lists.items()}
        | {key: table.get(key, _DEFAULTS.get(key)) for key in _SCALARS}
        | {key: moment(table.get(key)) for key in ("expires", "report_only_until")}
        | {"anchors": sum(ANCHORS[name] for name in table.get("anchors", []))}
    )


def _said(policy: Policy) -> dict[str, Any]:
    """Return what a policy says, in the same form."""
    said: dict[str, Any] = {
        "unlisted": policy.unlisted,
        "on_stale": policy.on_stale,
        "denied": [(pin.algorithm, pin.digest) for pin in policy.denied],
    }
    for pin_set in policy.pin_sets:
        said[f"pin_set.{pin_set.name}"] = (
            {
                "hosts": [(pattern.reach, pattern.host) for pattern in pin_set.hosts],
                "endpoints": [(each.scheme, each.host, each.port) for each in pin_set.endpoints],
                "clients": list(map(str, pin_set.clients)),
                "anchors": len(pin_set.anchors),
            }
            | {
                key: [(pin.algorithm, pin.digest) for pin in getattr(pin_set, key)]
                for key in ("leaf", "backup", "ca")
            }
            | {key: getattr(pin_set, key) for key in (*_SCALARS, "expires", "report_only_until")}
        )
    return said


def _compare_look_ups(policy: Policy, meaning: dict[str, Any]) -> None:
    """Compare with going over all patterns: exact, then longer, then one label before any depth."""
    patterns = [
        ((reach > 0, -host.count("."), reach), reach, host, name)
        for name, said in meaning.items()
        if name.startswith("pin_set.")
        for reach, host in said["hosts"]
    ]
    for _, _, pattern_host, _ in patterns:
        for below in ("", "x.", "x.y."):
            host = second_reading(below + pattern_host)
            if host is None:
                continue
            best = min(
                (entry for entry in patterns if covers(entry[1], entry[2], host)), default=None
            )
            found = policy.pin_set_for(host)
            expect(best and best[3], found and f"pin_set.{found.name}", f"the set of {host}")


def _read_anchors(entry: str) -> tuple[bytes, ...]:
    if entry not in ANCHORS:
        raise CertificateError(f"{entry!r} cannot be read")
    return (b"anchor",) * ANCHORS[entry]


def _read(kind: Literal["toml", "json"], text: str) -> Policy | PolicyError:
    try:
        document = decode_module.decode_document(text, kind)
        return policy_from_document(document, now=NOW, read_anchors=_read_anchors)
    except PolicyError as error:
        if not error.problems or not all(each.message and each.fix for each in error.problems):
            raise DisagreementError("a problem without its fix") from error
        return error


def _judge(subject: Subject) -> bool:
    outcomes = {kind: _read(kind, text) for kind, text in subject.items()}
    for kind, read in outcomes.items():
        document = _second_decoding(kind, subject[kind])
        broken = _broken_rules(document)
        if isinstance(read, PolicyError) != bool(broken):
            raise DisagreementError(
                f"{kind}: broken rules are {sorted(broken)}, but it says {read!r}"
            )
        if isinstance(read, Policy) and isinstance(document, Table):
            meaning = _meaning(document)
            said = _said(read)
            expect(meaning.keys(), said.keys(), f"the sets of the {kind}")
            for key, value in meaning.items():
                expect(value, said[key], f"what the {kind} says in {key}")
            _compare_look_ups(read, meaning)
    if len(outcomes) == 2:
        expect(_outline(outcomes["toml"]), _outline(outcomes["json"]), "the same in both languages")
    return any(isinstance(read, Policy) for read in outcomes.values())


def _outline(read: Policy | PolicyError) -> object:
    """Return the policy, or whether it was refused and why: TOML tells a repeated key otherwise."""
    if isinstance(read, Policy):
        return read
    messages = {problem.message for problem in read.problems}
    if any(text.startswith(("this is not TOML", "the key stands here twice")) for text in messages):
        return "refused as text"
    return {problem.place for problem in read.problems}


def _plant_last_key_wins() -> None:
    """Read JSON as `json` does, where the last of two equal keys counts."""
    decode_module._decode_json = json.loads  # type: ignore[assignment]


def _plant_no_backup_rule() -> None:
    """Enforce a single pin without a word."""
    pin_set_module._backup_rule = lambda _: []  # type: ignore[assignment]


if __name__ == "__main__":
    run(
        Target(
            build=_build,
            judge=_judge,
            show=lambda subject: ", ".join(
                f"decode_document({text!r}, {kind!r})" for kind, text in subject.items()
            ),
            seeds=seeds,
            longest=1024,
            mutants={
                "last-key-wins": _plant_last_key_wins,
                "no-backup-rule": _plant_no_backup_rule,
            },
        )
    )
