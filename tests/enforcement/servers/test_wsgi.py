from typing import Any

import pytest

from holdfast.enforcement.pinned_client import PinnedClient
from holdfast.enforcement.servers.wsgi import PinnedClients
from holdfast.pins.pin import Pin

PAYMENTS = "spiffe://example.org/payments"
PIN = Pin.of_spki(b"a key")


class Connection:
    """What a server puts into the environ."""

    def __init__(self, client: PinnedClient | None) -> None:
        self.pinned_client = client


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"gunicorn.socket": Connection(PinnedClient(PAYMENTS, "payments", PIN))},
            {
                "holdfast.identity": PAYMENTS,
                "holdfast.pin_set": "payments",
                "holdfast.pin": str(PIN),
            },
        ),
        (
            {"gunicorn.socket": Connection(PinnedClient(PAYMENTS, "payments", None))},
            {"holdfast.identity": PAYMENTS, "holdfast.pin_set": "payments"},
        ),
        ({"gunicorn.socket": Connection(None)}, {}),
        ({"gunicorn.socket": object()}, {}),
        ({"HTTP_HOLDFAST_IDENTITY": "admin"}, {}),
    ],
)
def test_what_the_application_is_told(environ: dict[str, Any], expected: dict[str, str]) -> None:
    """It learns who was accepted on this very connection, and nothing about any other."""
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], _: object) -> list[bytes]:
        seen.append(environ)
        return [b"hello"]

    assert [b"hello"] == PinnedClients(application)(environ, None)
    assert environ | expected == seen[0]
