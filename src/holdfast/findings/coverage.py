"""What a program connected to while pins were enforced in it, and what could not be covered.

It is put together from records that the processes of the program leave behind, each a JSON object:

    {"host": "...", "outcome": "match", "allowed": true, "violation": false,
     "path": ["sha256/...", ...]}
    {"stack": "grpcio", "refused": false}
    {"program": "curl", "reason": "..."}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.pins.chain import VerifiedChain
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.verdict import Outcome, Verdict

__all__ = ["Coverage", "host_record", "program_record", "stack_record"]

Record = dict[str, object]


def host_record(verdict: Verdict) -> Record:
    """Return the record of one connection: the host, what became of it, the keys on the path."""
    chain = verdict.chain
    certificates = chain.certificates if isinstance(chain, VerifiedChain) else ()
    return {
        "host": verdict.host,
        "outcome": verdict.outcome.value,
        "allowed": verdict.allowed,
        "violation": verdict.violation,
        "path": [str(Pin(PinAlgorithm.SPKI, one.spki_sha256)) for one in certificates],
    }


def stack_record(name: str, *, refused: bool) -> Record:
    """Return the record of a TLS stack that is not covered."""
    return {"stack": name, "refused": refused}


def program_record(name: str, reason: str) -> Record:
    """Return the record of a program that was started and is not covered."""
    return {"program": name, "reason": reason}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known when a program has ended; everything sorted.

    Attributes:
        pinned: Hosts whose pins matched.
        reported: Hosts that were let pass although their pins did not match, by their mode, or
            whose path only a local exception vouched for.
        unlisted: Hosts that no pattern covers, let through.
        refused: Hosts that were refused, at least once.
        keys: For each host that was let through, the verified paths seen: SPKI pins, leaf first.
        stacks: TLS stacks that cannot be covered, and whether they were refused.
        programs: Programs that are not covered, and why.
    """

    pinned: tuple[str, ...]
    reported: tuple[str, ...]
    unlisted: tuple[str, ...]
    refused: tuple[str, ...]
    keys: Mapping[str, tuple[tuple[str, ...], ...]]
    stacks: tuple[tuple[str, bool], ...]
    programs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, records: Iterable[Mapping[str, object]]) -> Coverage:
        """Put records together, in any order, with repetitions."""
        hosts: dict[str, set[str]] = {kind: set() for kind in _KINDS}
        keys: dict[str, dict[tuple[str, ...], None]] = {}
        stacks: set[tuple[str, bool]] = set()
        programs: set[tuple[str, str]] = set()
        for record in records:
            if "host" in record:
                host, path = str(record["host"]), record.get("path")
                hosts[_kind(record)].add(host)
                if record.get("allowed") is True and isinstance(path, list) and path:
                    keys.setdefault(host, {})[tuple(map(str, path))] = None
            elif "stack" in record:
                stacks.add((str(record["stack"]), record.get("refused") is True))
            elif "program" in record:
                programs.add((str(record["program"]), str(record.get("reason"))))
        return cls(
            pinned=tuple(sorted(hosts["pinned"])),
            reported=tuple(sorted(hosts["reported"])),
            unlisted=tuple(sorted(hosts["unlisted"])),
            refused=tuple(sorted(hosts["refused"])),
            keys={host: tuple(sorted(paths)) for host, paths in sorted(keys.items())},
            stacks=tuple(sorted(stacks)),
            programs=tuple(sorted(programs)),
        )

    def as_json(self) -> dict[str, object]:
        """Return it as plain data."""
        return {
            "pinned": list(self.pinned),
            "reported": list(self.reported),
            "unlisted": list(self.unlisted),
            "refused": list(self.refused),
            "stacks": [{"name": name, "refused": refused} for name, refused in self.stacks],
            "programs": [{"name": name, "reason": reason} for name, reason in self.programs],
        }


_KINDS = ("pinned", "reported", "unlisted", "refused")


def _kind(record: Mapping[str, object]) -> str:
    if record.get("allowed") is not True:
        return "refused"
    match record.get("outcome"):
        case Outcome.MATCH.value if record.get("violation") is not True:
            return "pinned"
        case Outcome.MATCH.value | Outcome.MISMATCH.value | Outcome.EXPIRED.value:
            return "reported"
        case _:
            return "unlisted"
