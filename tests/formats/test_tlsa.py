import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.loss import Effect
from holdfast.formats.tlsa import FORMAT
from holdfast.pins.pin import Pin, PinAlgorithm
from tests.formats.test_round_trip import ONE, POLICY, TWO, write

OWNER = "_443._tcp.a.test."


def record(usage: int, selector: int = 1, mtype: int = 1, pin: Pin = ONE) -> str:
    """Return one record."""
    return f"{OWNER} IN TLSA {usage} {selector} {mtype} {pin.digest.hex()}\n"


def test_usages_are_roles_and_selectors_algorithms() -> None:
    """PKIX keeps the usual check; DANE does not, which is a loss."""
    whole = Pin(PinAlgorithm.CERTIFICATE, TWO.digest)
    reading = FORMAT.read((record(1) + record(0, 0, pin=TWO)).encode())
    dane = FORMAT.read(record(3).encode())

    assert ((ONE,), (whole,)) == (reading.rules[0].leaf, reading.rules[0].ca)
    assert () == reading.losses
    assert [Effect.REFUSES] == [loss.effect for loss in dane.losses]


def test_what_is_no_pin_of_a_host_is_a_loss() -> None:
    """SHA-512 and whole certificates; another port."""
    other = FORMAT.read(record(1, 1, 2, pin=ONE).replace(" 2 ", " 2 " + "00" * 32).encode())
    port = FORMAT.read(record(1).replace("_443", "_25").encode())

    assert (["certificate-pins"], ()) == ([one.kind.value for one in other.losses], other.rules)
    assert (["hosts"], ()) == ([one.kind.value for one in port.losses], port.rules)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.test. IN TLSA", "no zone file"),
        ("$INCLUDE /etc/passwd", "no zone file"),
        (record(1).replace(ONE.digest.hex(), "00" * 32), "all zeros"),
        (record(1).replace(ONE.digest.hex(), "ab" * 20), "length"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """No other file is read."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(text.encode())


@pytest.mark.skipif(
    shutil.which("named-checkzone", path="/usr/sbin:/usr/bin") is None, reason="bind9-utils"
)
def test_named_takes_the_records(tmp_path: Path) -> None:
    """In a zone of their own."""
    head = "$TTL 3600\n@ IN SOA ns root 1 2 3 4 5\n@ IN NS ns\nns IN A 192.0.2.1\n"
    zone = tmp_path / "zone"
    zone.write_bytes(head.encode() + write(FORMAT, POLICY))

    done = subprocess.run(
        ["/usr/bin/env", "named-checkzone", "-i", "local", "example.com", str(zone)],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin"},
    )

    assert 0 == done.returncode, done.stdout
