"""Pins for botocore and boto3: a client's requests go out over pinned connections.

    pin_client(client, policy)

botocore takes no context. Before it sends a request it asks whether somebody else has an answer
(its event `before-send`): here that is a session of its own kind, with the pinned context.

1. Each connection is made with the pinned context, through a proxy too.
2. The anchors are those of the `PinningContext`: `verify=`, AWS_CA_BUNDLE and the CAs that botocore
   brings along are not looked at, so that `verify=False` switches nothing off.
3. A client certificate of the client's settings is refused: the context has it, or nobody.
4. A violation is raised as it is, which botocore does not retry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.errors import PinnedContextError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

    from holdfast.pins.interfaces import PolicySource, ViolationSink

__all__ = ["pin_client"]

_EVENT, _ID = "before-send", "holdfast-pins"


def pin_client(
    client: Any,
    policy: PolicySource | PinningContext,
    *,
    sink: ViolationSink | None = None,
) -> None:
    """Let a botocore or boto3 client talk only to servers whose verified path satisfies the policy.

    Args:
        client: What `create_client` or `boto3.client` returned. Of a boto3 resource it is
            `resource.meta.client`. A client that was pinned before is pinned anew.
        policy: A `Policy`, a `PolicySource` such as `PolicyFile`, or a `PinningContext`.
        sink: Where violations go, as for `PinningContext`.

    Raises:
        PinnedContextError: The client has a certificate of its own.
        TrustStoreError: There are no trust anchors.
        TypeError: The policy is none, or a context came together with a sink.
    """
    config = client.meta.config
    if config.client_cert is not None:
        raise PinnedContextError(
            "a pinned client cannot have a certificate by Config(client_cert=)",
            hint="load it into a PinningContext, and pass that in place of the policy",
        )
    if not isinstance(policy, PinningContext):
        policy = PinningContext(policy, sink=sink)
    elif sink is not None:
        raise TypeError("sink belongs to the PinningContext that was given")
    session = _PinnedSession(
        policy,
        timeout=(config.connect_timeout, config.read_timeout),
        proxies=config.proxies or get_environ_proxies(client.meta.endpoint_url),
        proxies_config=config.proxies_config,
        max_pool_connections=config.max_pool_connections,
    )
    client.meta.events.unregister(_EVENT, unique_id=_ID)
    client.meta.events.register_first(_EVENT, session.answer, unique_id=_ID)


class _PinnedSession(URLLib3Session):  # type: ignore[misc]  # botocore has no types
    """botocore's session, with a pinned context under everything that it connects to."""

    def __init__(self, context: PinningContext, **settings: Any) -> None:
        self._context = context
        super().__init__(**settings)

    def answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send a request.

        Raises:
            PinViolationError: The connection was refused.
        """
        try:
            return self.send(request)
        except BotoCoreError as error:
            violation = violation_from(error)
            if violation is None:
                raise
            raise PinViolationError(violation) from error

    def _get_ssl_context(self) -> PinningContext:
        return self._context

    def _setup_proxy_ssl_context(self, proxy_url: str) -> PinningContext:  # noqa: ARG002
        return self._context

    def _setup_ssl_cert(self, conn: Any, url: str, verify: object) -> None:  # noqa: ARG002
        """Say how a connection verifies: as the pinned context does, which is checked here.

        Raises:
            PinnedContextError: botocore put another context in its place.
        """
        if url.lower().startswith("https") and conn.conn_kw.get("ssl_context") is not self._context:
            raise PinnedContextError(
                "botocore did not make the connection with the pinned context",
                hint="use a version that the documentation names, or pin the whole process",
            )
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None
