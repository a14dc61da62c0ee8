"""A TUF repository in memory: real keys and signatures of all roles, made with python-tuf's API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
OWNERS = {"emergency": "emergency/*", "breakglass": "breakglass/*", "pins": "pins/*"}
FILES = {
    "pins": "pins/bundle.json",
    "targets": "policy/bundle.json",
    "emergency": "emergency/deny.json",
    "breakglass": "breakglass/sets.json",
}
# How many keys there are of a role, how many have to sign, and for how many days that counts.
ROLES = {
    "root": (3, 2, 365),
    "targets": (3, 2, 180),
    "emergency": (2, 1, 180),
    "breakglass": (3, 2, 180),
    "pins": (1, 1, 14),
    "snapshot": (1, 1, 7),
    "timestamp": (1, 1, 1),
}


class SignedRepository:
    """What a publisher holds: the keys, the metadata, and the files that it serves."""

    empty_deny_list = b"[]"

    def __init__(self, *, now: datetime = NOW, roles: Sequence[str] = tuple(ROLES)) -> None:
        """Publish a first state: pins of serial 1, and an empty deny list."""
        self.now = now
        self.files: dict[str, bytes] = {}
        self.serial = 0
        self.keys = {
            role: [CryptoSigner.generate_ed25519() for _ in range(ROLES[role][0])] for role in ROLES
        }
        self.delegated = [role for role in OWNERS if role in roles]
        self.metadata: dict[str, Metadata[Any]] = {
            "root": Metadata(Root(expires=self._expiry("root"))),
            "targets": Metadata(Targets(expires=self._expiry("targets"))),
            "snapshot": Metadata(Snapshot(expires=self._expiry("snapshot"))),
            "timestamp": Metadata(Timestamp(expires=self._expiry("timestamp"))),
        }
        root, targets = self.root, self.targets
        for role in TOP_LEVEL:
            for key in self.keys[role]:
                root.add_key(key.public_key, role)
            root.roles[role].threshold = ROLES[role][1]
        targets.delegations = Delegations(
            {},
            {
                role: DelegatedRole(role, [], ROLES[role][1], True, paths=[OWNERS[role]])
                for role in self.delegated
            },
        )
        for role in self.delegated:
            for key in self.keys[role]:
                targets.add_key(key.public_key, role)
            self.metadata[role] = Metadata(Targets(expires=self._expiry(role)))
        self.snapshot.meta.clear()
        self.publish_root()
        if "emergency" in roles:
            self.put("emergency", self.empty_deny_list)
        self.publish(first=True)

    @property
    def root(self) -> Root:
        """The root, to be changed."""
        return cast("Root", self.signed("root"))

    @property
    def targets(self) -> Targets:
        """The top-level targets, to be changed."""
        return cast("Targets", self.signed("targets"))

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot, to be changed."""
        return cast("Snapshot", self.signed("snapshot"))

    @property
    def timestamp(self) -> Timestamp:
        """The timestamp, to be changed."""
        return cast("Timestamp", self.signed("timestamp"))

    def signed(self, role: str) -> Any:  # noqa: ANN401  each role signs a type of its own
        """What a role signs."""
        return self.metadata[role].signed

    @property
    def root_bytes(self) -> bytes:
        """The first root, which ships with an application."""
        return self.files["metadata/1.root.json"]

    def put(self, role: str, content: bytes, path: str | None = None) -> None:
        """Let a role list a file."""
        path = path or FILES[role]
        target = TargetFile.from_data(path, content, ["sha256"])
        self.signed(role).targets[path] = target
        folder, _, name = path.rpartition("/")
        self.files[f"targets/{folder}/{target.hashes['sha256']}.{name}"] = content

    def publish(
        self, pins: bytes | None = None, *, first: bool = False, roles: Sequence[str] = ()
    ) -> None:
        """Publish pins (of the next serial), and what else these roles list.

        Args:
            pins: The bundle.
            first: Keep the versions at 1.
            roles: Roles beside `pins` whose metadata has changed.
        """
        self.serial += 1
        self.put("pins", self.bundle(self.serial) if pins is None else pins)
        changed = [*self.delegated, "targets"] if first else ["pins", *roles]
        for role in changed:
            self.bump(role, by=0 if first else 1)
        self.publish_top(by=0 if first else 1)

    def publish_top(self, *, by: int = 1) -> None:
        """Publish snapshot and timestamp anew, the timestamp last."""
        for role in ("targets", *self.delegated):
            content = self.bytes_of(role)
            self.snapshot.meta[f"{role}.json"] = meta_file(self.signed(role).version, content)
        self.bump("snapshot", by=by)
        self.timestamp.snapshot_meta = meta_file(self.snapshot.version, self.bytes_of("snapshot"))
        self.bump("timestamp", by=by)

    def bump(self, role: str, *, by: int = 1) -> None:
        """Sign a role's next version, and serve it."""
        self.signed(role).version += by
        self.signed(role).expires = self._expiry(role)
        self.sign(role)
        self.serve(role)

    def sign(self, role: str, keys: Sequence[CryptoSigner] | None = None) -> None:
        """Sign with as many keys as it takes, or with these."""
        metadata = self.metadata[role]
        metadata.signatures.clear()
        for key in self.keys[role][: ROLES[role][1]] if keys is None else keys:
            metadata.sign(key, append=True)

    def serve(self, role: str) -> None:
        """Serve a role's metadata as it is."""
        version = "" if role == "timestamp" else f"{self.signed(role).version}."
        self.files[f"metadata/{version}{role}.json"] = self.bytes_of(role)

    def bytes_of(self, role: str) -> bytes:
        """The metadata of a role, as it is served."""
        return self.metadata[role].to_bytes()

    def publish_root(self, signers: Sequence[CryptoSigner] | None = None) -> None:
        """Serve the root as it is, signed by two keys or these."""
        self.sign("root", signers)
        self.serve("root")

    def rotate(self, *roles: str) -> None:
        """Publish a root with new keys for some roles, signed by the old and the new root keys."""
        old_signers = self.keys["root"][:2]
        for role in roles:
            for key in self.keys[role]:
                self.root.revoke_key(key.public_key.keyid, role)
            self.keys[role] = [CryptoSigner.generate_ed25519() for _ in self.keys[role]]
            for key in self.keys[role]:
                self.root.add_key(key.public_key, role)
        self.root.version += 1
        signers = [*old_signers, *self.keys["root"][:2]]
        self.publish_root(list({key.public_key.keyid: key for key in signers}.values()))
        if "targets" in roles:
            self.bump("targets")
        self.publish_top()

    def bundle(self, serial: int) -> bytes:
        """Return pins that can be told apart."""
        return json.dumps({"serial": serial, "padding": "x" * 200}).encode()

    def _expiry(self, role: str) -> datetime:
        return self.now + timedelta(days=ROLES[role][2])


def meta_file(version: int, content: bytes) -> MetaFile:
    """Describe metadata, as snapshot and timestamp do."""
    digest = hashlib.sha256(content).hexdigest()
    return MetaFile(version, len(content), {"sha256": digest})


def twin_of(signer: CryptoSigner, name: str = "twin") -> CryptoSigner:
    """Return the same key under another name."""
    key = signer.public_key
    public = SSlibKey(name, key.keytype, key.scheme, dict(key.keyval))
    return CryptoSigner(signer._private_key, public)
