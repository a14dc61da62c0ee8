"""Where the demo takes place: a bank, an attacker, and what their clients trust.

Two servers on loopback have certificates for one name, each from another CA. The clients trust both
CAs, as they would if a public CA were broken into, or an inspection proxy's CA installed. The name
is not looked up: which server it leads to is decided here, as an attacker on the network would.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from holdfast.certificates.spki import chain_certificate
from holdfast.lab.authorities import Authority, Identity, PrivateKey, new_key
from holdfast.lab.server import Connection, LabServer
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from holdfast.pins.chain import ChainCertificate

__all__ = ["HOST", "Exchange", "Stage"]

HOST = "api.bank.example"
_TIMEOUT = 5.0  # seconds, for each wait of a client on loopback


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt to ask a server for a balance, seen from both ends.

    Attributes:
        answer: What the client read; None if it got nothing.
        leaf: The certificate that the client accepted; None if it accepted none.
        error: Why the client got nothing.
        seen: The same connection in the server's log, after it was over.
    """

    answer: str | None
    leaf: ChainCertificate | None
    error: Exception | None
    seen: Connection


class Stage:
    """A bank's server and an attacker's, with certificates for the same name. A context manager.

    Attributes:
        bank: The server that the policy is about.
        attacker: A server that answers in the bank's name.
        anchors_path: PEM trust anchors: the CA of the bank's certificates and that of the attacker.
        token: A secret that each request carries, made anew for each stage.
    """

    def __init__(self, directory: Path) -> None:
        """Make keys, certificates and the trust store; the servers start on entry.

        Args:
            directory: Where to write `anchors.pem`.
        """
        self._web_ca, rogue_ca = Authority.new("Web CA"), Authority.new("Rogue CA")
        self._key, self._backup_key = new_key(), new_key()
        self.bank = LabServer(self._certify(self._key), body=b"1200 EUR")
        self.attacker = LabServer(rogue_ca.issue(HOST), body=b"0 EUR")
        self.anchors_path = directory / "anchors.pem"
        self.anchors_path.write_text(self._web_ca.pem + rogue_ca.pem, "ascii")
        self.token = secrets.token_hex(8)

    def __enter__(self) -> Self:
        """Start both servers."""
        self.bank.start()
        self.attacker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both servers."""
        self.attacker.close()
        self.bank.close()

    def policy(self) -> Policy:
        """Return a policy that pins the bank's key and its backup key, and lists no other host."""
        pin_set = PinSet(
            name="bank",
            hosts=(HostPattern.parse(HOST),),
            mode=Mode.ENFORCE,
            leaf=(Pin.parse(self._certify(self._key).spki_pin),),
            backup=(Pin.parse(self._certify(self._backup_key).spki_pin),),
            owner="the bank's API team",
        )
        return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))

    def renew_certificate(self) -> None:
        """Let the bank show a new certificate for the key that it has."""
        self.bank.switch(self._certify(self._key))

    def switch_to_backup_key(self) -> None:
        """Let the bank show the key that it held in reserve."""
        self.bank.switch(self._certify(self._backup_key))

    def switch_to_unannounced_key(self) -> None:
        """Let the bank show a new key, properly certified, of which it told nobody."""
        self.bank.switch(self._certify(new_key()))

    def ask(self, context: ssl.SSLContext, server: LabServer) -> Exchange:
        """Let a client that believes to speak to `HOST` ask one of the servers for the balance."""
        closed = len(server.connections) + 1
        answer = leaf = failure = None
        try:
            with (
                socket.create_connection((server.address, server.port), _TIMEOUT) as tcp,
                context.wrap_socket(tcp, server_hostname=HOST) as tls,
            ):
                leaf = chain_certificate(tls.getpeercert(binary_form=True) or b"")
                answer = self._request(tls)
        except (OSError, http.client.HTTPException) as error:
            failure = error
        return Exchange(answer, leaf, failure, server.wait_for(closed)[-1])

    def _request(self, tls: ssl.SSLSocket) -> str:
        connection = http.client.HTTPConnection(HOST)
        connection.sock = tls
        headers = {"Authorization": f"Bearer {self.token}", "Connection": "close"}
        connection.request("GET", "/balance", headers=headers)
        with connection.getresponse() as response:
            return response.read().decode()

    def _certify(self, key: PrivateKey) -> Identity:
        return self._web_ca.issue(HOST, key=key)
