"""What the pins of a million hosts cost: publishing, fetching five of them, looking them up.

The origin is an HTTP server on loopback. The client is a process of its own, so that its memory is
its own. Peers: a `dict` of all pin sets for the look-up, python-tuf alone for the five bins.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from _interleaved import compare, timed
from securesystemslib.signer import CryptoSigner

from holdfast import HostPattern, Mode, Pin, PinSet, Policy, Unlisted
from holdfast.pins.host_pins import HostPins
from holdfast.updates.host_index import HostIndex
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from updates import Origin

_CLIENT = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
import holdfast
from holdfast.updates.cache import Cache
from holdfast.updates.client import UpdateClient
from holdfast.updates.fetcher import OriginFetcher
from holdfast.updates.signed_hosts import Wanted

def memory():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return 0.0

url, root, cache, *hosts = sys.argv[1:]
wanted = Wanted(every_host=True) if hosts == ["every"] else Wanted(frozenset(hosts))
imported = memory()
start = time.perf_counter(), time.process_time()
client = UpdateClient([OriginFetcher(url, None, plain_http=True)], root=Path(root).read_bytes(),
                      cache=Cache(cache), wanted=wanted)
loaded = time.perf_counter() - start[0]
answer = client.refresh()
assert answer.succeeded, answer.reason
assert not client.in_force.notes, client.in_force.notes
for host in hosts if hosts != ["every"] else ["host-1.example.com"]:
    assert client.current().pin_set_for(host).leaf != client.current().pin_sets[0].leaf
print(json.dumps({"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1],
                  "loaded": loaded, "memory": memory() - imported}))
"""


def _host(number: int) -> str:
    return f"host-{number}.example.com"


def _pins(number: int, generation: int = 0) -> HostPins:
    return HostPins(
        leaf=(Pin.of_spki(f"{generation} {number}".encode()),),
        backup=(Pin.of_spki(f"backup {number}".encode()),),
    )


def _policy() -> Policy:
    return Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=(
            PinSet(
                name="many",
                hosts=(HostPattern.parse("**.example.com"),),
                mode=Mode.ENFORCE,
                leaf=(Pin.of_spki(b"set"),),
                backup=(Pin.of_spki(b"backup of the set"),),
            ),
        ),
    )


@contextmanager
def _told(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {wall:.2f} s, of which {cpu:.2f} s are CPU")


def _follow(origin: Origin, folder: Path, what: str, hosts: list[str]) -> None:
    """Run a client with a cache of its own, kept between runs, and say what it took."""
    before = origin.requests, origin.bytes
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, origin.url, folder / "root.json", folder / what, *hosts],
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    print(
        f"  {origin.requests - before[0]} answers, {origin.bytes - before[1]} bytes, "
        f"{told['wall'] * 1e3:.0f} ms ({told['cpu'] * 1e3:.0f} ms CPU, "
        f"{told['loaded'] * 1e3:.0f} ms offline), {told['memory']:.1f} MB above imports"
    )


def measure(folder: Path, number: int, rounds: int) -> None:
    """Measure with so many hosts."""
    keys: dict[str, list[Any]] = {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in PROFILES["saas"].items()
    }
    signers = {one.public_key.keyid: one for several in keys.values() for one in several}
    served = folder / "served"
    made = Publisher.created(served, keys, PROFILES["saas"], datetime.now(UTC))
    made.publish(_policy(), refresh=timedelta(hours=1), rules=True)
    (folder / "root.json").write_bytes(made.root)
    origin = Origin(served)
    some = [_host(number // 7 * turn + 1) for turn in range(5)]
    hosts = {_host(one): _pins(one) for one in range(number)}
    changed = {_host(one): _pins(one, 1) for one in range(0, number, 1000)}

    def publisher() -> Publisher:
        return Publisher.opened(served, signers, datetime.now(UTC))

    with _told(f"publish {number} hosts in bins"):
        print(publisher().publish_hosts(hosts, changes=False))
    with _told("publish a change of 0.1 % in bins"):
        print(publisher().publish_hosts(changed, changes=True))
    print("first fetch for five hosts")
    _follow(origin, folder, "some", some)
    print("idle")
    _follow(origin, folder, "some", some)
    again = {_host(one): _pins(one, 2) for one in range(0, number, 1000)}
    with _told("publish a change of 0.1 % in bins"):
        publisher().publish_hosts(again, changes=True)
    print("after this change")
    _follow(origin, folder, "some", some)
    with _told("publish them in one file too"):
        print(publisher().publish_hosts(hosts, changes=False, index=True))
    with _told("publish a change of 0.1 % in bins and file"):
        print(publisher().publish_hosts(changed, changes=True))
    print("first fetch for every host")
    _follow(origin, folder, "every", ["every"])
    print("idle")
    _follow(origin, folder, "every", ["every"])
    _look_up(served, number, rounds)
    origin.shutdown()


def _look_up(served: Path, number: int, rounds: int) -> None:
    (path,) = sorted((served / "targets" / "pins").glob("*.sqlite"), key=_age)[-1:]
    index = HostIndex(path, "0" * 64)
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=_policy().pin_sets, host_pins=index)
    (pin_set,) = policy.pin_sets
    pick = [_host(one) for one in random.sample(range(number), 1000)]
    peer = {host: _pins(one).within(pin_set) for one, host in enumerate(pick)}
    compare(
        f"1000 look-ups among {number} hosts",
        {
            "a dict of pin sets": timed(lambda: [peer[host] for host in pick]),
            "the file": timed(lambda: [index[host] for host in pick]),
            "the file, through the policy": timed(lambda: _asked(policy, pick)),
            "hosts that it has not": timed(lambda: [index.get(f"x{host}") for host in pick]),
        },
        rounds,
        warm_up=5,
    )


def _asked(policy: Policy, hosts: list[str]) -> None:
    policy._with_host_pins.clear()  # noqa: SLF001  as if they had not been asked for before
    for host in hosts:
        policy.pin_set_for(host)


def _age(path: Path) -> float:
    return path.stat().st_mtime


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the hosts, for a look")
    quick = parser.parse_args().quick
    folder = Path(tempfile.mkdtemp())
    try:
        measure(folder, 10_000 if quick else 1_000_000, 10 if quick else 50)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
