"""Fuzz host names and patterns against regular expressions, the C library and `idna`.

Both readings give one canonical name, or refuse; and a pattern covers a name exactly when comparing
their labels one by one says so.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import atheris
import idna

from campaign import Target, expect, run

with atheris.instrument_imports(include=["holdfast"]):
    from holdfast.errors import HostNameError
    from holdfast.pins import host_pattern as module
    from holdfast.pins.host_pattern import HostPattern, Reach, canonical_host, is_ip_literal

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.DOTALL)
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", re.DOTALL)
_PATTERN = re.compile(r"(\*\*\.|\*\.|)([^*]*)", re.DOTALL)

_LABELS = [
    "example", "com", "a", "b", "api", "1", "10", "255", "256", "08", "0x7f", "0x", "1e5", "-",
    "_sip", "xn--bcher-kva", "b\u00fccher", "B\u00dcCHER", "stra\u00dfe", "\u4f8b\u3048", "\u0661",
    "\u212a", "\u0130", "a\u0308", "\u05d0", "\u05d0a", "\u200d", "\u3002", "\uff0e", "\ud800",
    "x" * 63, "x" * 64, "\u00fc" * 40,
]  # fmt: skip
_HEXTETS = ["0", "1", "ffff", "db8", "2001", "00a", "12345", "FFFF", "", "::", "1.2.3.4", "%1", "g"]
_BEFORE = ["", "*.", "**.", "*", "***.", "https://", "a@", "[", " ", "a.*.", "**"]
_AFTER = ["", ".", "..", "]", ":443", "/", "%eth0", "\0", "\n", "]."]
_REACHES = {"": 0, "*.": 1, "**.": 2}


def second_reading(text: str) -> str | None:
    """Return the canonical host as the code under test should; None: refused."""
    name = _in_ascii(text)
    if name is None:
        return None
    if ":" in name or name.startswith("["):
        return _address(name.removeprefix("[").removesuffix("]") if _is_bracketed(name) else name)
    name = name.removesuffix(".")
    if _NUMERIC.fullmatch(name):
        return name if _is_dotted_quad(name) else None
    return name if _NAME.fullmatch(name) else None


def second_reading_of_pattern(text: str) -> tuple[int, str] | None:
    """Return how far a pattern reaches, and its host; None: refused."""
    match = _PATTERN.fullmatch(text)
    host = match and second_reading(match[2])
    if not match or host is None:
        return None
    reach = _REACHES[match[1]]
    return None if reach and (":" in host or _is_dotted_quad(host)) else (reach, host)


def covers(reach: int, pattern: str, host: str) -> bool:
    """Compare label by label, from the last."""
    wanted, labels = pattern.split(".")[::-1], host.split(".")[::-1]
    below = len(labels) - len(wanted)
    return labels[: len(wanted)] == wanted and (below == reach if reach < 2 else below >= 0)


def _in_ascii(text: str) -> str | None:
    if text.isascii():
        return text.lower()
    if len(text) > 253 or _folded_into_ascii(text):
        return None
    labels = text.lower().split(".")
    try:
        return ".".join(
            # The separators of other scripts would split one label into two.
            label if label.isascii() else idna.encode(_one_label(label)).decode("ascii")
            for label in labels
        )
    except UnicodeError:
        return None


def _folded_into_ascii(text: str) -> str:
    """Return what only folding brings into ASCII."""
    lowered = "".join(character.lower() for character in text if character > "\x7f")
    return "".join(character for character in lowered if character < "\x80")


def _one_label(label: str) -> str:
    if re.search("[\u3002\uff0e\uff61]", label):
        raise idna.IDNAError
    return label


def _is_bracketed(name: str) -> bool:
    return name.startswith("[") and name.endswith("]")


def _is_dotted_quad(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part in _OCTETS for part in parts)


_OCTETS = {str(number) for number in range(256)}


def _address(text: str) -> str | None:
    """Read an IPv6 address with the C library, and write it by the rules of RFC 5952."""
    try:
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    if packed[:12] == bytes(10) + b"\xff\xff":
        return ".".join(map(str, packed[12:]))
    groups = [f"{packed[at] << 8 | packed[at + 1]:x}" for at in range(0, 16, 2)]
    runs = re.finditer(r"\b0(:0)+\b", ":".join(groups))
    longest = max(runs, key=lambda found: len(found[0]), default=None)
    whole = ":".join(groups)
    if longest is None:
        return whole
    return f"{whole[: longest.start()].rstrip(':')}::{whole[longest.end() :].lstrip(':')}"


def _build(data: bytes) -> tuple[str, str]:
    """Return a pattern, and a name that is often close to its host."""
    fuzzed = atheris.FuzzedDataProvider(data)
    text = _host(fuzzed)
    other = (
        _host(fuzzed)
        if fuzzed.ConsumeIntInRange(0, 3) == 3
        else fuzzed.PickValueInList(["", "a.", "a.b.", "x"]) + text
    )
    before, after = _piece(fuzzed, _BEFORE, 3), _piece(fuzzed, _AFTER, 2)
    return before + text + after, other


def _piece(fuzzed: atheris.FuzzedDataProvider, pieces: list[str], usual: int) -> str:
    """Pick one, mostly of the first few, which belong there."""
    count = len(pieces) if fuzzed.ConsumeIntInRange(0, 3) == 3 else usual
    return pieces[int(fuzzed.ConsumeIntInRange(0, count - 1))]


def _host(fuzzed: atheris.FuzzedDataProvider) -> str:
    kind = fuzzed.ConsumeIntInRange(0, 9)
    count = fuzzed.ConsumeIntInRange(1, 8)
    match kind:
        case 0:
            return ":".join(fuzzed.PickValueInList(_HEXTETS) for _ in range(count))
        case 1:
            zeros = fuzzed.ConsumeIntInRange(0, 255)
            groups = [
                "0" if zeros >> at & 1 else fuzzed.PickValueInList(_HEXTETS[:5]) for at in range(8)
            ]
            return ":".join(groups)
        case 2:
            return ".".join(str(fuzzed.ConsumeIntInRange(0, 260)) for _ in range(4))
        case 3:
            return str(fuzzed.ConsumeUnicode(count * 4))
        case 4:
            return ".".join(fuzzed.PickValueInList(_LABELS) for _ in range(count))
        case 5:
            return ".".join(fuzzed.PickValueInList(_LABELS[:2]) * count * 4 for _ in range(count))
        case _:
            labels = [fuzzed.PickValueInList(_LABELS[:5]) for _ in range(min(count, 3))]
            if fuzzed.ConsumeIntInRange(0, 3) == 3:
                labels[0] += fuzzed.ConsumeUnicodeNoSurrogates(2)
            return ".".join(labels)


def _seeds() -> Iterator[bytes]:
    """Let every kind be there, with different data."""
    for number in range(48):
        yield bytes((number * 37 + at * at * 11) % 256 for at in range(40))


def _reading(text: str) -> str | None:
    try:
        host = canonical_host(text)
    except HostNameError:
        return None
    expect(host, canonical_host(host), "a canonical host is its own canonical form")
    expect(_is_address(host), is_ip_literal(host), "whether it is an address")
    return host


def _is_address(host: str) -> bool:
    return ":" in host or _is_dotted_quad(host)


def _judge(subject: tuple[str, str]) -> bool:
    text, other = subject
    host = _reading(other)
    expect(second_reading(other), host, "the host")
    expect(second_reading(text), _reading(text), "the pattern's text, as a host")
    try:
        pattern = HostPattern.parse(text)
    except HostNameError:
        expect(second_reading_of_pattern(text), None, "the pattern")
        return host is not None
    expect(second_reading_of_pattern(text), (pattern.reach, pattern.host), "the pattern")
    expect(pattern, HostPattern.parse(str(pattern)), "the pattern's own text gives it back")
    if host is not None:
        expect(covers(pattern.reach, pattern.host, host), pattern.covers(host), "whether it covers")
    return True


def _plant_suffix_without_dot() -> None:
    """Let `**.example.com` cover evilexample.com."""

    def covers_suffix(self: HostPattern, host: str) -> bool:
        if self.reach is Reach.ONE_LABEL:
            return host.partition(".")[2] == self.host
        return host.endswith(self.host) if self.reach else host == self.host

    HostPattern.covers = covers_suffix  # type: ignore[method-assign]


def _plant_kelvin_sign() -> None:
    """Fold a look-alike of an ASCII letter into one."""

    def to_a_labels(text: str) -> str:
        try:
            return idna.encode(text.lower()).decode("ascii")
        except idna.IDNAError:
            raise HostNameError("not a host name") from None

    module._to_a_labels = to_a_labels


if __name__ == "__main__":
    run(
        Target(
            build=_build,
            judge=_judge,
            seeds=_seeds,
            mutants={
                "suffix-without-dot": _plant_suffix_without_dot,
                "kelvin-sign": _plant_kelvin_sign,
            },
        )
    )
