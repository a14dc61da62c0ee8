"""The client libraries that are tested, each with its recipe. The table in the docs is made of it.

Order is that of the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from holdfast.lab.server import Dialogue, LabServer
from tests.clients.recipes import code_of
from tests.clients.servers.amqp import amqp
from tests.clients.servers.http import answering
from tests.clients.servers.http2 import grpc_health, http2
from tests.clients.servers.kafka import kafka
from tests.clients.servers.ldap import ldap
from tests.clients.servers.lines import ftp, imap, pop3
from tests.clients.servers.mongo import mongo
from tests.clients.servers.mqtt import mqtt
from tests.clients.servers.mysql import SSL_REQUEST as MYSQL_REQUEST
from tests.clients.servers.mysql import mysql
from tests.clients.servers.nats import nats, nats_over_tls
from tests.clients.servers.postgres import SSL_REQUEST, postgres, postgres_over_tls
from tests.clients.servers.redis import redis
from tests.clients.servers.stomp import stomp
from tests.clients.servers.websocket import websocket

Serve = Callable[..., LabServer]

CONTEXT, HELPER, PROCESS = "its own argument", "a helper", "the whole process"
OURS = "holdfast.PinViolationError"
SINK = "the cause is lost: a sink tells of it"


@dataclass(frozen=True)
class Library:
    """A library, or one way of using it.

    Attributes:
        name: What people call it.
        page: The page of `docs/clients` with its recipe.
        heading: The heading of the recipe.
        place: Where the context, or what a helper makes of it, goes.
        raises: What a refusal raises, as the recipe catches it.
        package: The distribution that it comes in; None for the standard library.
        oldest: The oldest version of it that is tested.
        route: How pins get into it.
        note: What else is to be known.
        serve: Makes a server that speaks to it.
        answer: What the recipe prints when all is well.
        last_plain: What the client says last before TLS.
        changes: What the page tells to write in place of what stands in the recipe.
    """

    name: str
    page: str
    heading: str
    place: str
    raises: str = OURS
    package: str | None = None
    oldest: str | None = None
    route: str = CONTEXT
    note: str = ""
    serve: Serve = LabServer
    answer: str = "hello from the lab"
    last_plain: bytes = b""
    changes: tuple[tuple[str, str], ...] = ()

    def code(self) -> str:
        """Return the recipe."""
        code = code_of(self.page, self.heading)
        for old, new in self.changes:
            assert old in code, f"the recipe {self.heading} of {self.page}.md has no {old}"
            code = code.replace(old, new)
        return code


def _speaking(dialogue: Dialogue, *alpn: str) -> Serve:
    return partial(LabServer, dialogue=dialogue, alpn=alpn)


def _starting(starttls: Literal["smtp"] | Dialogue) -> Serve:
    return partial(LabServer, starttls=starttls)


_JSON = "content-type: application/json"
_XML = (
    b"<?xml version='1.0'?><methodResponse><params><param><value>"
    b"<string>hello from the lab</string></value></param></params></methodResponse>"
)
_SEARCH = _speaking(answering(b'{"name": "lab"}', _JSON, "x-elastic-product: Elasticsearch"))
_FIELDS = ["buildDate", "compiler", "gitCommit", "gitTreeState", "gitVersion", "goVersion"]
_VERSION = json.dumps(dict.fromkeys([*_FIELDS, "major", "minor", "platform"], "lab")).encode()
_STD, _HTTP, _LOOPS, _DATA = "standard-library", "more-http", "event-loops", "databases"
_QUEUES, _MAIL = "messaging", "mail-files-directories"
_HTTPX2 = ("httpx", "httpx2")
_ON_TRIO = (("import asyncio", "import trio"), ("asyncio.run(fetch())", "trio.run(fetch)"))

LIBRARIES = (
    Library("http.client", _STD, "http.client", "HTTPSConnection(context=)"),
    Library("urllib", _STD, "urllib", "HTTPSHandler(context=)", "urllib.error.URLError"),
    Library(
        *("xmlrpc", _STD, "xmlrpc", "ServerProxy(context=)"),
        serve=_speaking(answering(_XML, "content-type: text/xml")),
    ),
    Library(
        *("smtplib", _STD, "smtplib", "starttls(context=)"),
        serve=_starting("smtp"),
        answer="ok",
        last_plain=b"STARTTLS\r\n",
    ),
    Library(
        *("imaplib", _STD, "imaplib", "starttls(ssl_context=)"),
        serve=_starting(imap),
        answer="OK",
        last_plain=b"STARTTLS\r\n",
    ),
    Library(
        *("poplib", _STD, "poplib", "stls(context=)"),
        serve=_starting(pop3),
        answer="+OK done",
        last_plain=b"STLS\r\n",
    ),
    Library(
        *("ftplib", _STD, "ftplib", "FTP_TLS(context=)"),
        serve=_starting(ftp),
        answer="/",
        last_plain=b"AUTH TLS\r\n",
    ),
    Library("asyncio", _STD, "asyncio", "open_connection(ssl=)"),
    Library(
        *("asyncio, start_tls", _STD, "start_tls", "start_tls(context, server_hostname=)"),
        serve=_starting("smtp"),
        answer="250 ok",
        last_plain=b"STARTTLS\r\n",
    ),
    Library("uvloop", _LOOPS, "uvloop", "open_connection(ssl=)", OURS, "uvloop", "0.19"),
    Library(
        *("trio", _LOOPS, "trio", "open_ssl_over_tcp_stream(ssl_context=)"),
        *("trio.BrokenResourceError", "trio", "0.25"),
    ),
    Library("anyio", _LOOPS, "anyio", "connect_tcp(ssl_context=)", OURS, "anyio", "4.4"),
    Library(
        *("anyio on trio", _LOOPS, "anyio", "connect_tcp(ssl_context=)", OURS, "anyio", "4.4"),
        changes=(("anyio.run(fetch)", 'anyio.run(fetch, backend="trio")'),),
    ),
    Library(
        *("urllib3", "urllib3", "PoolManager", "PoolManager(ssl_context=)"),
        *("urllib3.exceptions.MaxRetryError", "urllib3", "2.2.2"),
    ),
    Library(
        *("requests", "requests", "Session", 'mount("https://", PinningAdapter(policy))'),
        *("requests.exceptions.SSLError", "requests", "2.32.3", HELPER),
    ),
    Library(
        *("httpx", "httpx", "Client", "Client(verify=)"),
        *("httpx.ConnectError", "httpx", "0.28"),
    ),
    Library(
        *("httpx, async", "httpx", "AsyncClient", "AsyncClient(verify=)"),
        *("httpx.ConnectError", "httpx", "0.28"),
    ),
    Library(
        *("httpx, async on trio", "httpx", "AsyncClient", "AsyncClient(verify=)"),
        *("httpx.ConnectError", "httpx", "0.28"),
        changes=_ON_TRIO,
    ),
    Library(
        *("httpx, HTTP/2", "httpx", "HTTP/2", "Client(http2=True, verify=)"),
        *("httpx.ConnectError", "httpx", "0.28"),
        serve=_speaking(http2(), "h2"),
    ),
    Library(
        *("httpx2", "httpx", "Client", "Client(verify=)"),
        *("httpx2.ConnectError", "httpx2", "2.0"),
        changes=(_HTTPX2,),
    ),
    Library(
        *("httpx2, async", "httpx", "AsyncClient", "AsyncClient(verify=)"),
        *("httpx2.ConnectError", "httpx2", "2.0"),
        changes=(_HTTPX2,),
    ),
    Library(
        *("httpx2, async on trio", "httpx", "AsyncClient", "AsyncClient(verify=)"),
        *("httpx2.ConnectError", "httpx2", "2.0"),
        changes=(_HTTPX2, *_ON_TRIO),
    ),
    Library(
        *("httpx2, HTTP/2", "httpx", "HTTP/2", "Client(http2=True, verify=)"),
        *("httpx2.ConnectError", "httpx2", "2.0"),
        serve=_speaking(http2(), "h2"),
        changes=(_HTTPX2,),
    ),
    Library(
        *("aiohttp", "aiohttp", "ClientSession", "TCPConnector(ssl=)"),
        *("aiohttp.ClientConnectorCertificateError", "aiohttp", "3.10.11"),
    ),
    Library(
        *("websockets", "websockets", "asyncio", "connect(ssl=)", OURS, "websockets", "14.0"),
        serve=_speaking(websocket),
    ),
    Library(
        *("websockets, threading", "websockets", "threading", "connect(ssl=)"),
        *(OURS, "websockets", "14.0"),
        serve=_speaking(websocket),
    ),
    Library("tornado", _HTTP, "tornado", "fetch(ssl_options=)", OURS, "tornado", "6.4.2"),
    Library(
        *("geventhttpclient", _HTTP, "geventhttpclient", "HTTPClient(ssl_context_factory=)"),
        *(OURS, "geventhttpclient", "2.3.1"),
    ),
    Library(
        *("websocket-client", _HTTP, "websocket-client", 'create_connection(sslopt={"context":})'),
        *(OURS, "websocket-client", "1.8"),
        serve=_speaking(websocket),
    ),
    Library(
        *("grpclib", _HTTP, "grpclib", "Channel(ssl=)", OURS, "grpclib", "0.4.7"),
        serve=_speaking(grpc_health, "h2"),
        answer="1",
    ),
    Library(
        *("Elasticsearch", _HTTP, "Elasticsearch", "Elasticsearch(ssl_context=)"),
        *("ConnectionError", "elasticsearch", "8.15"),
        serve=_SEARCH,
        answer="lab",
    ),
    Library(
        *("Elasticsearch, async", _HTTP, "AsyncElasticsearch", "AsyncElasticsearch(ssl_context=)"),
        *("ConnectionError", "elasticsearch", "8.15"),
        note="the cause is lost where nothing is retried",
        serve=_SEARCH,
        answer="lab",
    ),
    Library(
        *("OpenSearch", _HTTP, "OpenSearch", "OpenSearch(ssl_context=)"),
        *("ConnectionError", "opensearch-py", "2.6"),
        serve=_SEARCH,
        answer="lab",
    ),
    Library(
        *("botocore, boto3", _HTTP, "botocore", "pin_client(client, policy)"),
        *(OURS, "botocore", "1.35", HELPER),
        answer="200",
    ),
    Library(
        *("kubernetes", _HTTP, "kubernetes", "holdfast.install()"),
        *("urllib3.exceptions.HTTPError", "kubernetes", "36.0", PROCESS),
        serve=_speaking(answering(_VERSION, _JSON)),
        answer="lab",
    ),
    Library(
        *("PyMySQL", _DATA, "PyMySQL", "connect(ssl=)"),
        *("pymysql.OperationalError", "PyMySQL", "1.1.1"),
        serve=_starting(mysql),
        answer="8.0.0",
        last_plain=MYSQL_REQUEST,
    ),
    Library(
        *("aiomysql", _DATA, "aiomysql", "connect(ssl=)"),
        *("aiomysql.OperationalError", "aiomysql", "0.2"),
        serve=_starting(mysql),
        answer="8.0.0",
        last_plain=MYSQL_REQUEST,
    ),
    Library(
        *("pg8000", _DATA, "pg8000", "Connection(ssl_context=)", OURS, "pg8000", "1.31.6"),
        serve=_starting(postgres),
        answer="[['hello from the lab']]",
        last_plain=SSL_REQUEST,
    ),
    Library(
        *("asyncpg", _DATA, "asyncpg", "connect(ssl=)", OURS, "asyncpg", "0.29"),
        serve=_starting(postgres),
        answer="SELECT 1",
        last_plain=SSL_REQUEST,
    ),
    Library(
        *("asyncpg, direct TLS", _DATA, "asyncpg", "connect(ssl=, direct_tls=True)"),
        *(OURS, "asyncpg", "0.29"),
        serve=_speaking(postgres_over_tls),
        answer="SELECT 1",
        changes=(("ssl=context", "ssl=context, direct_tls=True"),),
    ),
    Library(
        *("redis-py", _DATA, "redis", "ConnectionPool(connection_class=PinningConnection)"),
        *("redis.ConnectionError", "redis", "5.2", HELPER),
        serve=_speaking(redis),
        answer="True",
    ),
    Library(
        *("redis-py, asyncio", _DATA, "redis.asyncio"),
        "ConnectionPool(connection_class=AsyncPinningConnection)",
        *("redis.ConnectionError", "redis", "5.2", HELPER),
        serve=_speaking(redis),
        answer="True",
    ),
    Library(
        *("pymongo", _DATA, "pymongo", "holdfast.install()", "ConnectionFailure"),
        *("pymongo", "4.10", PROCESS, SINK),
        serve=_speaking(mongo),
        answer="1.0",
    ),
    Library(
        *("pika", _QUEUES, "pika", "SSLOptions(context, host)", OURS, "pika", "1.3.2"),
        serve=_speaking(amqp),
        answer="True",
    ),
    Library(
        *("aio-pika", _QUEUES, "aio-pika", "connect(ssl_context=)"),
        *("ConnectionError", "aio-pika", "9.4.3"),
        serve=_speaking(amqp),
        answer="True",
    ),
    Library(
        *("paho-mqtt", _QUEUES, "paho-mqtt", "tls_set_context(context)"),
        *(OURS, "paho-mqtt", "2.1"),
        serve=_speaking(mqtt),
        answer="Success",
    ),
    Library(
        *("kafka-python", _QUEUES, "kafka-python", "KafkaAdminClient(ssl_context=)", "KafkaError"),
        *("kafka-python", "3.0"),
        note=SINK,
        serve=_speaking(kafka),
        answer="[]",
    ),
    Library(
        *("aiokafka", _QUEUES, "aiokafka", "AIOKafkaAdminClient(ssl_context=)", "KafkaError"),
        *("aiokafka", "0.11"),
        note=SINK,
        serve=_speaking(kafka),
        answer="[]",
    ),
    Library(
        *("nats-py", _QUEUES, "nats-py", "connect(tls=)", OURS, "nats-py", "2.9"),
        serve=_starting(nats),
        answer="True",
    ),
    Library(
        *("nats-py, TLS first", _QUEUES, "nats-py", "connect(tls=, tls_handshake_first=True)"),
        *(OURS, "nats-py", "2.9"),
        serve=_speaking(nats_over_tls),
        answer="True",
        changes=(("tls=context", "tls=context, tls_handshake_first=True"),),
    ),
    Library(
        *("stomp.py", _QUEUES, "stomp.py", "holdfast.install()"),
        *("stomp.exception.ConnectFailedException", "stomp.py", "9.0", PROCESS, SINK),
        serve=_speaking(stomp),
        answer="True",
    ),
    Library(
        *("aiosmtplib", _MAIL, "aiosmtplib", "SMTP(tls_context=)", OURS, "aiosmtplib", "3.0.2"),
        serve=_starting("smtp"),
        answer="ok",
        last_plain=b"STARTTLS\r\n",
    ),
    Library(
        *("aioftp", _MAIL, "aioftp", "upgrade_to_tls(context)", OURS, "aioftp", "0.25"),
        serve=_starting(ftp),
        answer="/",
        last_plain=b"AUTH TLS\r\n",
    ),
    Library(
        *("ldap3", _MAIL, "ldap3", "holdfast.install(), Tls(sni=)", OURS, "ldap3", "2.9.1"),
        route=PROCESS,
        note="without `sni=` no host is named: refused",
        serve=_starting(ldap),
        answer="True",
        last_plain=b"1.3.6.1.4.1.1466.20037",
    ),
)
