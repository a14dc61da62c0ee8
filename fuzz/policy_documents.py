"""Documents for `fuzz/policy.py`: policies that keep most rules, written in TOML and JSON.

When the fuzzer's bytes are used up, every choice takes its first option, and the first options make
a sound policy: a short input is one, and each further byte can break a rule.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from policy_rules import Moment, Table

if TYPE_CHECKING:
    import atheris

Value = TypeVar("Value")

_TIMES: list[str] = [
    Moment("2027-06-30T00:00:00Z"), Moment("2026-11-05T12:00:00.25+02:00"),
    Moment("2026-11-08T00:00:00Z"), Moment("2026-11-08T00:00:01Z"), "2027-06-30t00:00:00z",
    "2027-06-30", "2027-06-30T00:00:00", "2027-06-30T24:00:00Z", "0001-01-01T00:00:00+01:00",
    "2027-06-31T00:00:00Z", "2027-06-30T00:00:00+00:60", "2027-06-30T00:00:60Z",
    "2027-W26-3T00:00:00Z", "2027-06-30 00:00:00Z", "2027-06-30T00:00:00.Z",
    "2027-06-30T00:00:00.1234567Z", "9999-12-31T23:59:59-01:00", "2027-06-30T00:00:00-00:00",
]  # fmt: skip
_CLIENTS = ["spiffe://example.com/a", "spiffe://example.com", "A.example.", "a.example", "spiffe://",
            "spiffe://A/b", "spiffe://a/../b", "https://a", "*.a", "10.1.2.3"]  # fmt: skip
_ODD_HOSTS = [
    "*.com", "**", "a.*", "Example.COM.", "b\u00fccher.example", "\u212a.example", "10.1.2.3",
    "*.10.1.2.3", "::1", "[::ffff:10.1.2.3]", "", " a", "a..b", "1.2.3",
]  # fmt: skip
_ODD_PINS = ["", "sha256/", f"sha256/{'A' * 43}=", "sha1/AAAA", "cert-sha256//", "sha256/x"]
_ODD_ENDPOINTS = [
    "https://[::1]:443", "::1", "[::1]:", "https://a@s0.example.com", "HTTPS://s0.example.com/",
    "s0.example.com:0", "s0.example.com:65535", "s0.example.com:065535", "s0.example.com:\u0661",
    "gopher://s0.example.com", "https://https://s0.example.com", "://s0.example.com",
    "s0.example.com//",
]  # fmt: skip
_ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 1.0, "", "x", "enforce", [], ["x"], [1], [[]], Table(),
    Table([("x", 1)]), Moment("2027-06-30T00:00:00Z"),
]  # fmt: skip
_KEYS = [
    "hosts", "mode", "leaf", "backup", "ca", "require", "trust", "anchors", "expires", "on_expiry",
    "report_only_until", "owner", "strict", "single_pin", "redirects", "endpoints", "clients",
    "check_name", "check_validity", "format", "unlisted", "denied", "on_stale", "holdfast",
    "pin_set", "Mode", "\u00e9", "a.b", "",
]  # fmt: skip
_NAMES = ["a", "Shop_1", "c-d", "a-", "", "a.b", "\u00e9", " "]
_SHAPES = (
    "leaf",
    "cas",
    "both",
    "private",
    "private-ca",
    "pins-only",
    "single",
    "clients",
    "empty",
)


class _Writer:
    """Writes one document; pins are numbered, so that none comes twice by chance."""

    def __init__(self, fuzzed: atheris.FuzzedDataProvider) -> None:
        self._fuzzed = fuzzed
        self._number = 0

    def _up_to(self, last: int) -> int:
        return int(self._fuzzed.ConsumeIntInRange(0, last))

    def _happens(self, one_in: int) -> bool:
        return self._up_to(one_in - 1) == one_in - 1

    def _pick(self, options: list[Value], usual: int) -> Value:
        """Pick one of the first few, and now and then one of the others."""
        last = len(options) if self._happens(24) else min(usual, len(options))
        return options[self._up_to(last - 1)]

    def document(self) -> Table:
        document = Table([("holdfast", self._settings())])
        count = self._up_to(3)
        if count:
            pin_sets = Table((self._name(index), self._pin_set(index)) for index in range(count))
            document.append(("pin_set", self._with_flaw(pin_sets)))
        return self._with_flaw(document)

    def _name(self, index: int) -> str:
        return _NAMES[self._up_to(len(_NAMES) - 1) if self._happens(32) else index]

    def _settings(self) -> Table:
        table = Table([("format", 1)])
        table.append(("unlisted", self._pick(["allow", "refuse", "report-only", "enforce"], 3)))
        if self._happens(4):
            table.append(("denied", self._pins(self._up_to(2), certificates=self._happens(16))))
        if self._happens(4):
            table.append(("on_stale", self._pick(["enforce", "report-only", "refuse", "allow"], 3)))
        return self._with_flaw(table)

    def _pin_set(self, index: int) -> Table:
        table = Table()
        shape = _SHAPES[self._up_to(len(_SHAPES) - (1 if self._happens(8) else 2))]
        if shape != "clients" or self._happens(2):
            hosts = [self._host(index) for _ in range(1 + self._up_to(2))]
            table.append(("hosts", hosts if self._happens(8) else sorted(set(hosts))))
        table.append(("mode", self._pick(["enforce", "report-only", "allow"], 2)))
        self._add_pins(table, shape)
        self._add_trust(table, shape)
        self._add_times(table)
        self._add_options(table, index)
        return self._with_flaw(table)

    def _host(self, index: int) -> str:
        if self._happens(16):
            return _ODD_HOSTS[self._up_to(len(_ODD_HOSTS) - 1)]
        if self._happens(32):
            return str(self._fuzzed.ConsumeUnicodeNoSurrogates(8))
        domain = "shared" if self._happens(8) else f"s{index}"
        prefix = ["", "*.", "**.", "api.", "*.api.", "**.a.api."][self._up_to(5)]
        return f"{prefix}{domain}.example.com"

    def _pins(self, count: int, *, certificates: bool = False) -> list[str]:
        return [self._pin(certificates=certificates) for _ in range(count)]

    def _pin(self, *, certificates: bool) -> str:
        if self._happens(48):
            return _ODD_PINS[self._up_to(len(_ODD_PINS) - 1)]
        if not self._happens(32):
            self._number += 1
        encoded = b64encode(hashlib.sha256(bytes([self._number])).digest()).decode("ascii")
        prefix = "cert-sha256/" if certificates else ["sha256/", "sha256//"][self._up_to(1)]
        return prefix + encoded

    def _add_pins(self, table: Table, shape: str) -> None:
        counts = {
            "leaf": (1, 1, 0), "cas": (0, 0, 2), "both": (1, 1, 2),
            "private": (0, 0, 0), "private-ca": (0, 0, 1), "pins-only": (1, 1, 0),
            "single": (1, 0, 0), "clients": (2, 1, 0), "empty": (0, 0, 0),
        }[shape]  # fmt: skip
        for key, count in zip(("leaf", "backup", "ca"), counts, strict=True):
            if self._happens(12):
                count = self._up_to(3)  # noqa: PLW2901 one flaw
            if count:
                table.append((key, self._pins(count, certificates=self._happens(8))))

    def _add_trust(self, table: Table, shape: str) -> None:
        if shape.startswith("private"):
            table += [
                ("trust", "private"),
                ("anchors", ["root.pem", "two.pem"][: 1 + self._up_to(1)]),
            ]
        elif shape == "pins-only":
            table.append(("trust", "pins-only"))
            if self._happens(3):
                table.append((["check_name", "check_validity"][self._up_to(1)], self._happens(2)))
        elif shape == "single":
            table.append(("single_pin", self._pick(["I accept lock-out", "yes"], 1)))
        elif shape == "clients":
            table.append(("clients", [self._pick(_CLIENTS, 4) for _ in range(1 + self._up_to(1))]))
        if shape == "both" and not self._happens(4):
            table.append(("require", self._pick(["leaf-and-ca", "leaf-or-ca", "both"], 2)))

    def _add_times(self, table: Table) -> None:
        if self._happens(4):
            table.append(("expires", self._pick(_TIMES, 5)))
            table.append(("on_expiry", self._pick(["enforce", "report-only", "allow", ""], 3)))
        if self._happens(6):
            table.append(("report_only_until", self._pick(_TIMES[1:], 2)))

    def _add_options(self, table: Table, index: int) -> None:
        if self._happens(6):
            table.append(("strict", self._happens(3)))
        if self._happens(6):
            owner = self._pick(["pay <pay@example.com>", "\u00e9quipe", "", " ", "a\nb"], 2)
            table.append(("owner", owner))
        if self._happens(6):
            table.append(("redirects", self._pick(["any", "pinned-only", "none"], 2)))
        if self._happens(4):
            usual = [f"s{index}.example.com", f"smtp://api.s{index}.example.com:25"]
            table.append(("endpoints", [self._pick(usual + _ODD_ENDPOINTS, 2)]))

    def _with_flaw(self, table: Table) -> Table:
        """Now and then, leave a pair out, repeat one, or give one another key or value."""
        if not table or not self._happens(24):
            return table
        at = self._up_to(len(table) - 1)
        key, value = table[at]
        match self._up_to(4):
            case 0:
                del table[at]
            case 1:
                table.append((key, value))
            case 2:
                table[at] = (_KEYS[self._up_to(len(_KEYS) - 1)], value)
            case 3:
                table[at] = (key, _ODD_VALUES[self._up_to(len(_ODD_VALUES) - 1)])
            case _:
                added = _ODD_VALUES[self._up_to(len(_ODD_VALUES) - 1)]
                table.append((_KEYS[self._up_to(len(_KEYS) - 1)], added))
        return table


def document_from(fuzzed: atheris.FuzzedDataProvider) -> Table:
    """Write a document out of the fuzzer's bytes."""
    return _Writer(fuzzed).document()


def in_json(value: object) -> str:
    """Write JSON, with every pair of every table."""
    if isinstance(value, Table):
        pairs = (f"{json.dumps(key)}: {in_json(inner)}" for key, inner in value)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(in_json, value))}]"
    return json.dumps(value)


def in_toml(document: Table) -> str | None:
    """Write TOML, the tables of the first two levels with headers; None: TOML cannot say it."""
    lines: list[str] = []
    try:
        _write_table(document, (), lines)
    except ValueError:
        return None
    return "\n".join(lines) + "\n"


def _write_table(table: Table, path: tuple[str, ...], lines: list[str]) -> None:
    # A header ends the table above it, so what is no table comes first.
    tables = [(key, inner) for key, inner in table if isinstance(inner, Table)]
    if path:
        lines.append(f"[{'.'.join(map(_toml_text, path))}]")
    for key, inner in table:
        if not isinstance(inner, Table):
            is_time = isinstance(inner, Moment) and key in {"expires", "report_only_until"}
            lines.append(f"{_toml_text(key)} = {inner if is_time else _toml(inner)}")
    for key, inner in tables:
        _write_table(inner, (*path, key), lines)


def _toml(value: object) -> str:
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, Table):
        return "{" + ", ".join(f"{_toml_text(key)} = {_toml(inner)}" for key, inner in value) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return _toml_text(value) if isinstance(value, str) else json.dumps(value)


def _toml_text(text: str) -> str:
    """Write text as JSON does, for which TOML has the same escapes, but for lone surrogates."""
    text.encode("utf-8")
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("\x7f", r"\\u007f", quoted)


_TOML_SEED = """
[holdfast]
format = 1
unlisted = "allow"
denied = []

[pin_set.payments]
hosts = ["api.example.com", "**.pay.example.com"]
mode = "enforce" # comment
leaf = ["PIN1"]
backup = ["PIN2"]
expires = 2027-06-30T00:00:00Z
on_expiry = 'enforce'

[pin_set."mesh"]
hosts = ["**.svc.internal"]
mode = "enforce"
trust = "private"
anchors = ["root.pem"]
"""
_JSON_SEED = (
    '{"holdfast": {"format": 1, "unlisted": "refuse"}, "pin_set": {"shop": {'
    '"hosts": ["*.a.example"], "mode": "report-only", "ca": ["PIN1", "PIN2"],'
    ' "expires": "2027-06-30T00:00:00+01:00",'
    ' "on_expiry": "allow", "clients": ["spiffe://a/b"]}}}'
)


def seeds() -> Iterator[bytes]:
    """Return inputs that are sound text, and some for written documents."""
    for first, text in ((b"\x00", _TOML_SEED), (b"\x20", _JSON_SEED)):
        for number in range(1, 3):
            pin = b64encode(hashlib.sha256(bytes([number])).digest()).decode("ascii")
            text = text.replace(f"PIN{number}", f"sha256/{pin}")  # noqa: PLW2901 filled in
        yield first + text.encode()
    for number in range(40):
        yield b"\xff" + b"".join(
            hashlib.sha512(bytes([number, block])).digest() for block in range(1 + number % 4)
        )
