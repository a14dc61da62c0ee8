"""What becomes of a recipe where the server, or whoever is in between, says that it has no TLS."""

from functools import partial
from pathlib import Path

import pytest

from holdfast.lab.server import Dialogue, LabServer
from holdfast.testing import PinnedServer
from tests.clients.libraries import LIBRARIES
from tests.clients.recipes import for_loopback, run_recipes
from tests.clients.servers.ldap import ldap_without_tls
from tests.clients.servers.lines import (
    ftp_without_tls,
    imap_without_tls,
    pop3_without_tls,
    smtp_without_tls,
)
from tests.clients.servers.mysql import mysql_without_tls
from tests.clients.servers.nats import nats_without_tls
from tests.clients.servers.postgres import postgres_without_tls

# What it is told, and what it raises; nothing if it goes on in the clear, as its page says.
WITHOUT_TLS: dict[str, tuple[Dialogue, str]] = {
    "smtplib": (smtp_without_tls, "smtplib.SMTPNotSupportedError"),
    "imaplib": (imap_without_tls, "imaplib.IMAP4.abort"),
    "poplib": (pop3_without_tls, "poplib.error_proto"),
    "ftplib": (ftp_without_tls, "ftplib.error_perm"),
    "asyncio, start_tls": (smtp_without_tls, "ConnectionError"),
    "PyMySQL": (mysql_without_tls, "pymysql.err.OperationalError"),
    "aiomysql": (mysql_without_tls, ""),
    "pg8000": (postgres_without_tls, "pg8000.exceptions.InterfaceError"),
    "asyncpg": (postgres_without_tls, "ConnectionError"),
    "nats-py": (nats_without_tls, ""),
    "aiosmtplib": (smtp_without_tls, "aiosmtplib.errors.SMTPException"),
    "aioftp": (ftp_without_tls, "aioftp.errors.StatusCodeError"),
    "ldap3": (ldap_without_tls, "ldap3.core.exceptions.LDAPStartTLSError"),
}


@pytest.mark.parametrize("name", WITHOUT_TLS)
def test_a_library_ends_without_tls_or_its_page_says_so(name: str, tmp_path: Path) -> None:
    """It raises, and the credentials stay at home."""
    (library,) = (one for one in LIBRARIES if one.name == name)
    dialogue, error = WITHOUT_TLS[name]
    with PinnedServer(tmp_path), LabServer(None, dialogue=dialogue) as server:
        code = for_loopback(library.code(), "localhost", server.port)
        (came,) = run_recipes([{"folder": str(tmp_path), "code": code}])
        (seen,) = server.wait_for(closed=1)

    failure = (came["failure"] or "").strip().rpartition("\n")[2]
    assert (error, "" if error else library.answer) == (failure.partition(":")[0], came["printed"])
    if error:
        assert not [word for word in (b"secret", b"password", b"PASS") if word in seen.received]


def test_each_library_that_begins_in_the_clear_is_looked_at() -> None:
    """Whoever adds one says what it does."""
    begins = {
        one.name
        for one in LIBRARIES
        if isinstance(one.serve, partial) and "starttls" in one.serve.keywords
    }

    assert WITHOUT_TLS.keys() == begins
