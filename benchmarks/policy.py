"""What the parts of a decision cost: the digest of a key, the look-up of a host, loading a policy.

Each is measured against a named peer in interleaved rounds; the table shows medians and their
ratio. `--quick` takes fewer rounds. Nothing here fails on time: machines differ, and the ratio says
more than the microseconds.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import platform
import statistics
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast.certificates.spki import chain_certificate
from holdfast.lab.authorities import Authority
from holdfast.pins.decode_document import decode_document
from holdfast.pins.host_pattern import HostPattern, canonical_host
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.policy_document import policy_from_document

MICROSECONDS = 1e6
LOADED_SETS = 10_000
LOOKED_UP_HOSTS = 100_000

Work = Callable[[], object]


def compare(ours: Work, peer: Work, rounds: int) -> tuple[float, float]:
    """Return the median seconds of both, measured in turns so that a busy machine slows both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, measured in zip((ours, peer), times, strict=True):
            gc.collect()
            start = perf_counter()
            work()
            measured.append(perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def repeated(work: Work, times: int) -> Work:
    """Make one piece of work out of many, for what is too short to measure."""

    def run() -> None:
        for _ in range(times):
            work()

    return run


def digests(rounds: int) -> None:
    """Compare both digests of a certificate with the detour over a parsed key."""
    calls = 2_000
    der = Authority.new("Benchmark").issue("api.example.com").der

    def by_parsing() -> tuple[bytes, bytes]:
        key = x509.load_der_x509_certificate(der).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest(), hashlib.sha256(der).digest()

    ours = repeated(lambda: chain_certificate(der), calls)
    show(
        "both digests of a certificate",
        "us",
        "cryptography",
        compare(ours, repeated(by_parsing, calls), rounds),
        calls,
    )


def look_up(rounds: int) -> None:
    """Compare the look-up among many hosts with a dict, which knows neither patterns nor case."""
    pins = Pin.of_spki(b"leaf"), Pin.of_spki(b"backup")
    sets = tuple(
        PinSet(
            name=f"set-{number}",
            hosts=(HostPattern.parse(f"{('', '*.', '**.')[number % 3]}api-{number}.example.com"),),
            mode=Mode.ENFORCE,
            leaf=pins[:1],
            backup=pins[1:],
        )
        for number in range(LOOKED_UP_HOSTS)
    )
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=sets)
    plain = {pattern.host: pin_set for pin_set in sets for pattern in pin_set.hosts}
    # Every tenth is not pinned, and every third is found by a wildcard.
    names = [
        f"{('', 'www.', 'a.b.')[number % 3]}API-{number}.example.{'com' if number % 10 else 'org'}"
        for number in range(0, LOOKED_UP_HOSTS, 7)
    ]

    def ours() -> None:
        for name in names:
            policy.pin_set_for(canonical_host(name))

    def peer() -> None:
        for name in names:
            plain.get(name)

    label = f"look-up among {LOOKED_UP_HOSTS:,} hosts"
    show(label, "us", "dict.get", compare(ours, peer, rounds), len(names))


def load(rounds: int) -> None:
    """Compare the way from JSON text to a policy with `json.loads` alone."""

    def pin(text: str) -> str:
        return "sha256/" + b64encode(hashlib.sha256(text.encode()).digest()).decode()

    text = json.dumps(
        {
            "holdfast": {"format": 1, "unlisted": "allow"},
            "pin_set": {
                f"set-{number}": {
                    "hosts": [f"api-{number}.example.com"],
                    "mode": "enforce",
                    "leaf": [pin(f"leaf {number}")],
                    "backup": [pin(f"backup {number}")],
                }
                for number in range(LOADED_SETS)
            },
        }
    )
    now = datetime.now(UTC)

    def ours() -> Policy:
        return policy_from_document(
            decode_document(text, "json"), now=now, read_anchors=lambda _: ()
        )

    label = f"{LOADED_SETS:,} pin sets from JSON text"
    show(label, "ms", "json.loads", compare(ours, lambda: json.loads(text), rounds))


def show(label: str, unit: str, peer: str, seconds: tuple[float, float], calls: int = 1) -> None:
    """Print one line of the table."""
    factor = MICROSECONDS / calls / (1 if unit == "us" else 1000)
    ours, theirs = (value * factor for value in seconds)
    print(f"{label:34} {ours:9.2f} {unit} {peer:>14} {theirs:9.2f} {unit} {ours / theirs:7.2f}")


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 5 if parser.parse_args().quick else 25
    print(f"Python {platform.python_version()} on {sys.platform}, medians of {rounds} rounds")
    print(f"{'':34} {'Holdfast':>12} {'peer':>14} {'':>12} {'ratio':>7}")
    # The load comes first: a heap full of other policies would make its garbage collection dearer.
    load(rounds)
    digests(rounds)
    look_up(rounds)


if __name__ == "__main__":
    main()
