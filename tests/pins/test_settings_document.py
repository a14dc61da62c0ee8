from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.errors import CertificateError, PolicyError
from holdfast.pins.decode_document import decode_document
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.local_exception import LocalException
from holdfast.pins.settings_document import Settings, settings_from_document

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SOUND = {
    "hosts": ["api.example.com"],
    "anchor": "ca.pem",
    "until": "2027-01-29T00:00:00Z",
    "reason": "ticket NET-12",
}


def read_anchor(entry: str) -> bytes:
    """Stand for the files."""
    if entry != "ca.pem":
        raise CertificateError(f"{entry!r} cannot be read", hint="check the path")
    return b"der"


def load(document: dict[str, Any]) -> Settings:
    """Return the settings that a document means."""
    return settings_from_document(
        document, now=NOW, read_anchor=read_anchor, source="holdfast.toml"
    )


def problems_of(document: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with a document, by place."""
    with pytest.raises(PolicyError) as caught:
        load(document)
    assert "holdfast.toml" == caught.value.source
    assert all(problem.message and problem.fix for problem in caught.value.problems)
    return {problem.place: str(problem) for problem in caught.value.problems}


def with_exception(**keys: object) -> dict[str, Any]:
    """Return a sound document with one exception, changed; a key that is None is left out."""
    table = {**SOUND, **keys}
    return {"exception": [{key: value for key, value in table.items() if value is not None}]}


def test_nothing_means_the_defaults() -> None:
    """Each value has a default: without a word there is no exception."""
    assert Settings(exceptions=()) == load({})


def test_every_key_is_read() -> None:
    """A document with every key becomes the settings that say the same."""
    document = decode_document(
        """
        [[exception]]
        hosts = ["API.example.com.", "**.shop.example.com"]
        anchor = "ca.pem"
        until = 2027-01-29T01:00:00+01:00
        reason = "ticket NET-12"

        [[exception]]
        hosts = ["10.0.0.1"]
        anchor = "ca.pem"
        until = 2025-01-01T00:00:00Z
        reason = "over, and no mistake"
        """,
        "toml",
    )
    first, second = load(document).exceptions

    assert (
        LocalException(
            hosts=(HostPattern.parse("api.example.com"), HostPattern.parse("**.shop.example.com")),
            anchor=b"der",
            until=datetime(2027, 1, 29, tzinfo=UTC),
            reason="ticket NET-12",
        )
        == first
    )
    assert not second.is_in_force(NOW)


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"exceptions": []}, ["exceptions"]),
        ({"exception": SOUND}, ["exception"]),
        ({"exception": ["api.example.com"]}, ["exception[0]"]),
        ({"exception": [{}]}, [f"exception[0].{key}" for key in SOUND]),
        (with_exception(hosts=[]), ["exception[0].hosts"]),
        (with_exception(hosts="api.example.com"), ["exception[0].hosts"]),
        (with_exception(hosts=["api:443", "a"]), ["exception[0].hosts[0]"]),
        (with_exception(hosts=["a", "A."]), ["exception[0].hosts[1]"]),
        (with_exception(anchor=["ca.pem"]), ["exception[0].anchor"]),
        (with_exception(anchor="other.pem"), ["exception[0].anchor"]),
        (with_exception(until=None), ["exception[0].until"]),
        (with_exception(until="2027-01-29T00:00:00"), ["exception[0].until"]),
        (with_exception(until="2027-01-30T00:00:01Z"), ["exception[0].until"]),
        (with_exception(reason=""), ["exception[0].reason"]),
        (with_exception(reason="a\nb"), ["exception[0].reason"]),
        (with_exception(anchors="ca.pem", anchor=None), ["exception[0].anchors"]),
        (with_exception(strict=False), ["exception[0].strict"]),
        (
            {"exception": [{**SOUND, "hosts": ["*"], "until": 1}, {**SOUND, "reason": 1}], "x": 1},
            ["x", "exception[0].hosts[0]", "exception[0].until", "exception[1].reason"],
        ),
    ],
)
def test_mistakes_are_told_by_place(document: dict[str, Any], places: list[str]) -> None:
    """What is not understood is an error, each at its place and all at once."""
    assert places == list(problems_of(document))


def test_an_end_too_far_ahead_names_the_last_one() -> None:
    """The message says until when an exception may last."""
    told = problems_of(with_exception(until="2028-01-01T00:00:00Z"))["exception[0].until"]

    assert "at most 90 days; write a time before 2027-01-30T00:00:00+00:00" in told
    latest = NOW + timedelta(days=90)
    assert latest == load(with_exception(until=latest)).exceptions[0].until


def test_a_misspelt_table_is_recognized() -> None:
    """The plural is the likeliest slip."""
    assert "did you mean exception?" in problems_of({"exceptions": [SOUND]})["exceptions"]
