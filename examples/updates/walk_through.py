"""Signed updates from beginning to end, on this machine alone: `python walk_through.py`.

A repository is made and served, a client follows it, and then its keys are rotated, stolen and
attacked. Every step is done with the commands and classes that a real one takes.
"""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import holdfast
from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.pins.pin_set import Mode
from holdfast.testing import PinnedServer
from holdfast.updates.document import PINS_TARGET, bundle_from_bytes, bundle_to_bytes
from holdfast.updates.key_folder import load_signers
from holdfast.updates.repository import Repository

PASSPHRASE = "correct horse battery staple"  # noqa: S105  of keys that live for seconds
KEYS = ("--keys", "keys")


def run(*words: str) -> str:
    """Run `holdfast`, and return what it prints."""
    command = [sys.executable, "-m", "holdfast", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def publish(server: PinnedServer, *words: str) -> str:
    """Publish `pins.toml`; that the server would pass with it is looked at first."""
    anchors = ("--anchors", str(server.anchors_path))
    return run("updates", "publish", "repository", *KEYS, *anchors, *words)


@contextlib.contextmanager
def preview(repository: str) -> Iterator[str]:
    """Serve a repository, and yield its address."""
    command = [sys.executable, "-m", "holdfast", "updates", "preview", repository, "--ca", "ca.pem"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip() if server.stdout else ""
        server.send_signal(signal.SIGTERM)


def visit(url: str, context: holdfast.PinningContext) -> str:
    """Connect, and say what came of it."""
    try:
        with urlopen(url, context=context, timeout=5) as response:
            return f"answered with {response.status}"
    except OSError as error:
        violation = holdfast.violation_from(error)
        if violation is None:
            raise
        return f"refused: {violation.verdict.reason}"


def weaken_with_stolen_keys() -> None:
    """Do what a thief of the online machine can do: sign without asking `publish`."""
    Path("stolen").mkdir()
    for role in ("pins", "snapshot", "timestamp"):
        shutil.copy2(f"keys/{role}-1.pem", "stolen")
    now = datetime.now(UTC)
    signers = load_signers([Path("stolen")], PASSPHRASE.encode())
    repository = Repository.opened(Path("repository"), signers, now)
    bundle = bundle_from_bytes(repository.content("pins", PINS_TARGET) or b"", now=now)
    loose = tuple(replace(one, mode=Mode.REPORT_ONLY) for one in bundle.policy.pin_sets)
    weakened = replace(
        bundle, serial=bundle.serial + 1, policy=replace(bundle.policy, pin_sets=loose)
    )
    repository.put("pins", PINS_TARGET, bundle_to_bytes(weakened))
    repository.write(("pins", "snapshot", "timestamp"))


def put_back(saved: str) -> None:
    """Serve a state of before, as whoever has the web server can."""
    shutil.rmtree("repository")
    shutil.copytree(saved, "repository", copy_function=shutil.copy2)


def tell(step: str, result: str) -> None:
    """Print a step and what came of it."""
    print(f"{step}\n    {result.strip().splitlines()[-1]}")


def walk(server: PinnedServer) -> None:
    """Go through all of it."""
    Path("passphrase").write_text(PASSPHRASE)
    os.environ["HOLDFAST_PASSPHRASE_FILE"] = "passphrase"  # noqa: S105  a file's name
    # Without `endpoints`, `publish` would look at port 443.
    text = server.policy_path.read_text() + f'endpoints = ["{server.url}"]\n'
    Path("pins.toml").write_text(text)
    made = run("updates", "init", "repository", *KEYS, "--profile", "small")
    tell("1. a repository", made)
    tell("2. the policy, published", publish(server, "--rules"))
    tell("3. a seed for the application", run("updates", "seed", "repository", "seed.json"))
    with preview("repository") as address:
        updates = holdfast.UpdatedPolicy(
            root="repository/metadata/1.root.json",
            seed="seed.json",
            url=address,
            cache="cache",
            channel=VerifiedChannel("localhost", public_anchors="ca.pem"),
            background=False,
        )
        context = holdfast.PinningContext(updates, public_anchors=server.anchors_path)
        rotate(server, updates, context)
        deny(server, updates, context)
        attack(server, updates, context)


def rotate(
    server: PinnedServer, updates: holdfast.UpdatedPolicy, context: holdfast.PinningContext
) -> None:
    """Change keys; no connection is refused."""
    updates.refresh()
    tell("4. a client picks it up", f"serial {updates.in_force.serial}, {updates.state}")
    tell("5. it connects", visit(server.url, context))

    server.switch_to_next_key()
    used = visit(server.url, context)
    tell("6. the server takes its backup key: no client is refused", used)
    made = run("key", "new", "spare.key").split()
    (spare,) = (word for word in made if word.startswith("sha256/"))
    former, current = pins_of(server)
    text = Path("pins.toml").read_text().replace(current, spare).replace(former, current)
    Path("pins.toml").write_text(text)
    tell("7. its pin becomes the leaf's, with a new backup", publish(server))
    updates.refresh()
    tell("8. with which it connects too", visit(server.url, context))
    moved = ("rotate-key", "repository", "timestamp", "--new-keys", "fresh", *KEYS)
    tell("9. the repository changes a key of its own", run("updates", *moved))
    shutil.copy2("fresh/timestamp-1.pem", "keys/timestamp-1.pem")
    followed = updates.refresh().succeeded
    tell("10. which the client follows", f"{updates.state}" if followed else "lost")


def deny(
    server: PinnedServer, updates: holdfast.UpdatedPolicy, context: holdfast.PinningContext
) -> None:
    """Deny the key that the server has."""
    shutil.copytree("repository", "old", copy_function=shutil.copy2)
    tcp = socket.create_connection((server.host, server.port))
    with context.wrap_socket(tcp, server_hostname=server.host) as download:
        denied = run("updates", "deny", "repository", pins_of(server)[1], *KEYS)
        tell("11. the server's key is stolen, and denied", denied)
        updates.refresh()
        time.sleep(0.2)
        tell("12. an open connection ends", _fails(download))
    tell("13. and no new one is made", visit(server.url, context))
    shutil.copytree("repository", "newest", copy_function=shutil.copy2)


def attack(
    server: PinnedServer, updates: holdfast.UpdatedPolicy, context: holdfast.PinningContext
) -> None:
    """Serve what clients must not take."""
    put_back("old")
    tell("14. an attacker serves the old state", updates.refresh().reason)
    tell("15. what was denied stays denied", visit(server.url, context))

    shutil.rmtree("repository")
    run("updates", "init", "repository", "--keys", "others", "--profile", "small")
    others = ("--keys", "others", "--rules", "--skip-live")
    run("updates", "publish", "repository", *others)
    tell("16. an attacker signs with keys of his own", updates.refresh().reason)

    put_back("newest")
    weaken_with_stolen_keys()
    tell("17. a thief signs with the online keys: no pins", updates.refresh().reason)
    tell("18. and an interception is refused as ever", visit(server.impostor.url, context))


def pins_of(server: PinnedServer) -> tuple[str, str]:
    """Return the pins of its first key and of the next one."""
    (pin_set,) = server.policy.pin_sets
    return str(pin_set.leaf[0]), str(pin_set.backup[0])


def _fails(download: ssl.SSLSocket) -> str:
    try:
        download.send(b"more")
    except OSError as error:
        return f"{type(error).__name__}"
    return "it goes on"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, PinnedServer(Path(folder)) as pinned:
        os.chdir(folder)
        walk(pinned)
