"""What it costs to write a policy of ten thousand hosts in each platform's format.

Each host has a pin set of its own, unless the format is for one. Measured with the translation: a
new file, every pin exchanged in a present one, and a present one that says so already (`--check`).
The peer is the format's library, which reads the same text and writes it back; where the text is
lines, it is `json.dumps` of the hosts and their pins.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import plistlib
from collections.abc import Callable

from _interleaved import compare, timed
from lxml import etree
from ruamel.yaml import YAML

from holdfast.formats.from_policy import rules_of
from holdfast.formats.registry import NAMES, Format, format_named
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted


def policy_for(target: Format, hosts: int, generation: int) -> Policy:
    """Return a policy with so many hosts, whose keys in use are of a generation."""
    kind = PinAlgorithm.SPKI if target.semantics.key_pins else PinAlgorithm.CERTIFICATE
    size = 1 if target.semantics.hosts else hosts

    def pin(text: str) -> Pin:
        return Pin(kind, hashlib.sha256(text.encode()).digest())

    return Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=tuple(
            PinSet(
                name=f"set-{first}",
                hosts=tuple(
                    HostPattern.parse(f"{('', '**.', '*.')[number % 3]}host-{number}.example.com")
                    for number in range(first, first + size)
                ),
                mode=Mode.ENFORCE,
                leaf=(pin(f"{generation} {first}"),),
                backup=(pin(f"backup {first}"),),
            )
            for first in range(0, hosts, size)
        ),
    )


def peer_of(name: str, text: bytes, policy: Policy) -> tuple[str, Callable[[], object]]:
    """Return what does the same work without deciding anything, and its name."""
    if name in ("android", "trustkit-android"):
        return "lxml, read and write", lambda: etree.tostring(etree.fromstring(text))
    if name in ("apple", "trustkit-ios"):
        return "plistlib, read and write", lambda: plistlib.dumps(plistlib.loads(text))
    if name == "envoy":

        def round_trip() -> None:
            yaml = YAML(typ="rt")
            yaml.dump(yaml.load(text), io.StringIO())

        return "ruamel.yaml, read and write", round_trip
    plain = {
        str(pattern): [str(pin) for pin in one.pins]
        for one in policy.pin_sets
        for pattern in one.hosts
    }
    return "json.dumps", lambda: json.dumps(plain, indent=2)


def measure(target: Format, hosts: int, rounds: int) -> None:
    """Measure one format."""
    if target.write is None:
        return
    write, semantics = target.write, target.semantics
    former, policy = (policy_for(target, hosts, generation) for generation in (0, 1))
    before = write(rules_of(former, semantics).rules, None)
    after = write(rules_of(policy, semantics).rules, before)
    peer, work = peer_of(target.name, after, policy)
    compare(
        f"{target.name}: {hosts} hosts, {len(after)} bytes",
        {
            peer: timed(work),
            "a new file": timed(lambda: write(rules_of(policy, semantics).rules, None)),
            "every pin exchanged": timed(lambda: write(rules_of(policy, semantics).rules, before)),
            "nothing to change": timed(lambda: write(rules_of(policy, semantics).rules, after)),
        },
        rounds,
        warm_up=1,
    )


def main() -> None:
    """Measure each format that can be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the hosts, for a look")
    quick = parser.parse_args().quick
    for name in NAMES:
        measure(format_named(name), 500 if quick else 10_000, 2 if quick else 7)


if __name__ == "__main__":
    main()
