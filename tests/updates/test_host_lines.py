import json
from collections.abc import Sequence

import pytest

from holdfast.errors import PolicyError, Problem
from holdfast.pins.host_pins import HostPins, write_host_pins
from holdfast.updates.host_lines import read_host_lines
from tests.updates.host_repository import pins

ENTRY = write_host_pins(pins("a"))


def line(host: object = "a.example.com", **fields: object) -> bytes:
    """Return a line for a host."""
    return json.dumps({"host": host, **(fields or ENTRY)}).encode() + b"\n"


def no_objection(host: str, given: HostPins) -> list[Problem]:
    """Object to one host only."""
    return [Problem("", f"{host} is not ours", "leave it out")] if host == "bad.example" else []


def read(lines: Sequence[bytes], *, changes: bool = False) -> dict[str, HostPins | None]:
    """Read lines."""
    return read_host_lines(lines, fits=no_objection, changes=changes, source="hosts.jsonl")


def test_each_line_is_a_host() -> None:
    """In its canonical form, in the order of the lines, with or without a line break at the end."""
    found = read([line("B.example.com."), line("münchen.example"), line("[::1]").strip()])

    assert ["b.example.com", "xn--mnchen-3ya.example", "::1"] == list(found)
    assert {pins("a")} == set(found.values())


def test_changes_may_remove_hosts() -> None:
    """But not without being changes, nor together with pins."""
    removal = line(remove=True)

    assert {"a.example.com": None} == read([removal], changes=True)
    for lines, changes in (([removal], False), ([line(remove=True, **ENTRY)], True)):
        with pytest.raises(PolicyError, match="the key is not known"):
            read(lines, changes=changes)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "it names no host"),
        ([b"\n"], "line 1: this is not JSON"),
        ([line(), b"{"], "line 2: this is not JSON"),
        ([b"[]"], "line 1: the document is not an object"),
        ([b"[" * 10_000], "line 1: the JSON is nested too deeply"),
        ([b'{"host": "a", "host": "b"}'], "line 1.host: the key stands here twice"),
        ([b'{"host": "\xff"}'], "line 1: it is not UTF-8 (at byte 10)"),
        ([b"x" * 20_000], "line 1: it has more than 16384 bytes"),
        ([json.dumps(ENTRY).encode()], "line 1.host: the key is missing"),
        ([line(7)], "line 1.host: this takes text"),
        ([line("a b")], "line 1.host: 'a b' is not a host name"),
        ([line("*.example.com")], "line 1.host: '*.example.com' is not a host name"),
        ([line(leaf=["sha256/x"])], "line 1.leaf[0]: 'sha256/x' is not a canonical pin"),
        ([line(leaf=[])], "line 1.leaf: the list is empty"),
        ([line(mode="enforce", **ENTRY)], "line 1.mode: the key is not known"),
        ([line(), line("A.example.com")], "line 2: a.example.com stands in line 1 already"),
        ([line(), line("bad.example")], "line 2: bad.example is not ours"),
    ],
)
def test_a_mistake_is_told_with_its_line(lines: list[bytes], told: str) -> None:
    """And what is wrong with it."""
    with pytest.raises(PolicyError) as caught:
        read(lines)

    (problem,) = caught.value.problems
    assert str(problem).startswith(told)
    assert str(caught.value).startswith("hosts.jsonl: 1 problem")


def test_a_hundred_mistakes_are_told() -> None:
    """Of a million; the rest is not even read."""

    def lines() -> list[bytes]:
        return [b"{}" for _ in range(150)]

    with pytest.raises(PolicyError) as caught:
        read(lines())

    assert 101 == len(caught.value.problems)
    assert "there are more problems" in str(caught.value)
