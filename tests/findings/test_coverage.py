from typing import Any

from holdfast.findings.coverage import Coverage, host_record, program_record, stack_record
from holdfast.pins.verdict import Outcome, Verdict


def _host(host: str, outcome: str, *, allowed: bool, path: list[str] | None = None) -> Any:  # noqa: ANN401
    return {"host": host, "outcome": outcome, "allowed": allowed, "path": path or []}


def test_records_are_put_together() -> None:
    """Each host stands under what became of it, each thing once, everything sorted."""
    records = [
        _host("b.example", "match", allowed=True, path=["leaf-b", "ca"]),
        _host("a.example", "match", allowed=True, path=["leaf-a", "ca"]),
        _host("a.example", "match", allowed=True, path=["leaf-a", "ca"]),
        _host("a.example", "mismatch", allowed=False, path=["rogue"]),
        _host("r.example", "mismatch", allowed=True, path=["leaf-r"]),
        _host("e.example", "expired", allowed=True),
        _host("u.example", "not-pinned", allowed=True),
        stack_record("grpcio", refused=False),
        stack_record("grpcio", refused=False),
        program_record("curl", "no Python"),
        {"something": "else"},
    ]

    seen = Coverage.of(records)

    assert ("a.example", "b.example") == seen.pinned
    assert ("e.example", "r.example") == seen.reported
    assert ("u.example",) == seen.unlisted
    assert ("a.example",) == seen.refused
    assert {
        "a.example": (("leaf-a", "ca"),),
        "b.example": (("leaf-b", "ca"),),
        "r.example": (("leaf-r",),),
    } == seen.keys
    assert (("grpcio", False),) == seen.stacks
    assert (("curl", "no Python"),) == seen.programs


def test_what_only_a_local_exception_lets_pass_is_not_pinned() -> None:
    """A proxy whose key is pinned as well is told each time, and counts as let pass."""
    record = host_record(
        Verdict(
            outcome=Outcome.MATCH,
            allowed=True,
            violation=True,
            host="x.example",
            reason="a local exception lets it pass",
        )
    )
    seen = Coverage.of([record])

    assert ((), ("x.example",)) == (seen.pinned, seen.reported)


def test_what_is_damaged_counts_as_refused() -> None:
    """A record without an answer is not taken for a host that was let through."""
    assert ("x.example",) == Coverage.of([{"host": "x.example"}]).refused
