"""Python packages that make TLS connections past `ssl`, so that no context pins them.

They bring a TLS library of their own, or bind another one. What each can do about pins by itself is
in docs/clients/. Checked against the packages named, on the date below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

__all__ = ["CHECKED", "TLS_STACKS", "TlsStack"]

CHECKED = date(2026, 11, 26)


@dataclass(frozen=True, slots=True)
class TlsStack:
    """A TLS implementation that `ssl` knows nothing of.

    Attributes:
        module: The module by which it is imported.
        name: What people call it.
        advice: What to use instead, or how it is pinned by itself.
        optional: Who imports it goes on with `ssl` where it cannot be had.
    """

    module: str
    name: str
    advice: str
    optional: bool = False


_OWN_ROOTS = "give it the pinned CA or certificate as its only root"
_HELPERS = "holdfast.enforcement.clients"
_OTHER_CLIENT = "use a client that takes an ssl.SSLContext"

TLS_STACKS = {
    stack.module: stack
    for stack in (
        TlsStack("grpc", "grpcio", f"{_OWN_ROOTS}: {_HELPERS}.grpc"),
        TlsStack("pycurl", "pycurl", f"pin the leaf's key with PINNEDPUBLICKEY: {_HELPERS}.curl"),
        TlsStack("curl_cffi", "curl_cffi", f"pin the leaf's key likewise: {_HELPERS}.curl"),
        TlsStack("OpenSSL", "pyOpenSSL", f"connect with {_HELPERS}.pyopenssl"),
        TlsStack("psycopg", "psycopg (libpq)", f"{_OWN_ROOTS}: {_HELPERS}.libpq"),
        TlsStack("psycopg2", "psycopg2 (libpq)", f"{_OWN_ROOTS}: {_HELPERS}.libpq"),
        TlsStack("aioquic", "QUIC (aioquic)", _OTHER_CLIENT),
        TlsStack("qh3", "QUIC (qh3)", "switch HTTP/3 off: niquests takes disable_http3=True"),
        TlsStack("M2Crypto", "M2Crypto", _OTHER_CLIENT),
        TlsStack("mbedtls", "python-mbedtls", _OTHER_CLIENT),
        TlsStack("MySQLdb", "mysqlclient", f"{_OWN_ROOTS} (ssl_ca), or use PyMySQL"),
        TlsStack("confluent_kafka", "confluent-kafka (librdkafka)", f"{_OWN_ROOTS} (ssl.ca.*)"),
        TlsStack("primp", "primp (rustls)", _OTHER_CLIENT),
        TlsStack("rnet", "rnet (BoringSSL)", _OTHER_CLIENT),
        TlsStack("tls_client", "tls_client (Go)", _OTHER_CLIENT),
        TlsStack("pymssql", "pymssql (FreeTDS)", _OTHER_CLIENT),
        TlsStack(
            "pymongo.pyopenssl_context",
            "pymongo with pyOpenSSL",
            "import pymongo after enforcement has begun: then it uses ssl",
            optional=True,
        ),
    )
}
