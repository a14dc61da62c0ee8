"""Pins for requests: an adapter that puts a pinned context under everything it connects to.

    adapter = PinningAdapter(policy)
    session.mount("https://", adapter)
    session.mount("http://", adapter)

1. Each connection is made with the pinned context, through a proxy too, whatever the request says.
   A requests that puts another context in its place, as 2.32.0 to 2.32.2 do, is refused.
2. `verify=False` is refused before anything is sent.
3. requests adds certifi's roots to each connection's context; here the anchors stay those of the
   `PinningContext`. A bundle that the caller names (`verify="ca.pem"`, REQUESTS_CA_BUNDLE) is added
   as requests documents it, which widens trust and never the pins.
4. `cert=` is refused: the context is shared, so every other host that asks would see it too.
5. A violation is not retried, other failures are as often as the caller asked.
6. Under `http://` too, it sees plain text and redirects: neither leads away from an enforced host.
   requests makes the request that follows a redirect with the same `hooks`, by which a request here
   knows where it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from requests import PreparedRequest, Response, __version__
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.exceptions import SSLError

from holdfast.enforcement.clients.retries import NoViolationRetry
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.enforcement.request_check import RequestCheck
from holdfast.errors import PinnedContextError

if TYPE_CHECKING:
    import os

    from urllib3 import Retry

    from holdfast.pins.interfaces import PolicySource, ViolationSink
    from holdfast.pins.redirects import Hop

_CAME_FROM = "holdfast-came-from"  # no event of requests, which calls hooks by their events' names


class PinningAdapter(HTTPAdapter):
    """A transport adapter whose connections are judged by a policy.

    Args:
        policy: A `Policy`, a `PolicySource` such as `PolicyFile`, or a `PinningContext`.
        sink: Where violations go, as for `PinningContext`.
        public_anchors: Trust anchors, as for `PinningContext`.
        max_retries: As for `HTTPAdapter`; violations are never retried.
        pool_connections: As for `HTTPAdapter`.
        pool_maxsize: As for `HTTPAdapter`.
        pool_block: As for `HTTPAdapter`.

    Raises:
        TrustStoreError: There are no trust anchors.
        TypeError: The policy is none, or a context came together with arguments for making one.
    """

    def __init__(
        self,
        policy: PolicySource | PinningContext,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
        max_retries: int | Retry = 0,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        pool_block: bool = False,
    ) -> None:
        """Make the context, unless it is given."""
        if not isinstance(policy, PinningContext):
            policy = PinningContext(policy, sink=sink, public_anchors=public_anchors)
        elif sink is not None or public_anchors is not None:
            raise TypeError("sink and public_anchors belong to the PinningContext that was given")
        _require_shared_hooks()
        self._context = policy
        self._check = RequestCheck.of(policy)
        super().__init__(pool_connections, pool_maxsize, max_retries, pool_block)
        self.max_retries = NoViolationRetry.of(self.max_retries)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request, unless it would leave an enforced host.

        Raises:
            SSLError: It would; the cause is a `PinViolationError`. Or the connection was refused.
        """
        target = self._target(request)
        response = super().send(request, *args, **kwargs)
        if response.is_redirect:
            request.hooks[_CAME_FROM] = target
        else:
            request.hooks.pop(_CAME_FROM, None)
        return response

    def _target(self, request: PreparedRequest) -> Hop:
        """Check where a request goes, by what urllib3 will be told."""
        where, _ = super().build_connection_pool_key_attributes(request, verify=True)
        came_from: Any = request.hooks.get(_CAME_FROM)
        try:
            return self._check.check(where["scheme"], where["host"] or "", where["port"], came_from)
        except PinViolationError as error:
            raise SSLError(error, request=request) from error

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, with the pinned context."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool manager for a proxy. An https:// proxy is judged by the policy too."""
        kwargs["ssl_context"] = self._context
        if not proxy.lower().startswith("socks"):
            kwargs["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **kwargs)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        """Return where a request goes, and how: always with the pinned context."""
        host, how = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {**how, "ssl_context": self._context}

    def cert_verify(
        self,
        conn: Any,
        url: str,
        verify: bool | str | None,  # noqa: FBT001  the signature is requests'
        cert: Any,
    ) -> None:
        """Say how a connection verifies: as the pinned context does.

        Raises:
            PinnedContextError: The request asks for no verification, or brings a client
                certificate, or the connection would be made with another context.
        """
        if not verify:
            raise PinnedContextError(
                "a pinned session always verifies certificates",
                hint="remove verify=False from the request or the session",
            )
        if cert:
            raise PinnedContextError(
                "a client certificate of one request would be shown to other hosts too",
                hint="load it into the PinningContext of an adapter that is mounted for its host",
            )
        if url.lower().startswith("https") and conn.conn_kw.get("ssl_context") is not self._context:
            raise PinnedContextError(
                f"requests {__version__} put another TLS context in place of the pinned one",
                hint="use requests 2.32.3 or newer",
            )
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if verify is True:
            conn.ca_certs = conn.ca_cert_dir = None

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: the copy would not be pinned."""
        raise TypeError(
            "a PinningAdapter cannot be copied or pickled; mount a new one on the other side"
        )


def _require_shared_hooks() -> None:
    """Refuse a requests that would not tell which request a redirect answered."""
    request = PreparedRequest()
    request.prepare(method="GET", url="https://example.com")
    if request.copy().hooks is not request.hooks:
        raise PinnedContextError(
            f"requests {__version__} does not let redirects be followed back",
            hint="use a version that this Holdfast was tested with, or report it",
        )
