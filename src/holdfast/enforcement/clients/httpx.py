"""Pins for httpx: transports that check each request, and whose connections are pinned.

    client = httpx.Client(transport=PinningTransport(policy))

What they do is said in `checked_transport`.
"""

from __future__ import annotations

from httpx import AsyncHTTPTransport, ConnectError, ConnectTimeout, HTTPTransport

from holdfast.enforcement.clients.checked_transport import AsyncCheckedTransport, CheckedTransport

__all__ = ["AsyncPinningTransport", "PinningTransport"]


class PinningTransport(CheckedTransport, HTTPTransport):
    """A transport whose requests and connections are judged by a policy.

    Args:
        policy: A `Policy`, a `PolicySource` such as `PolicyFile`, or a `PinningContext`.
        sink: Where violations go, as for `PinningContext`.
        public_anchors: Trust anchors, as for `PinningContext`.
        retries: How often to connect anew where that failed; violations are never retried.
        options: What else `httpx.HTTPTransport` takes, but `verify` and `cert`.

    Raises:
        TrustStoreError: There are no trust anchors.
        TypeError: The policy is none, or a context came together with arguments for making one.
    """

    _connect_errors = (ConnectError, ConnectTimeout)


class AsyncPinningTransport(AsyncCheckedTransport, AsyncHTTPTransport):
    """The same for `httpx.AsyncClient`, with the same arguments."""

    _connect_errors = (ConnectError, ConnectTimeout)
