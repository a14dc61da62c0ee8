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
from pathlib import Path
from urllib.request import urlopen

import holdfast
from holdfast.enforcement.own_channel import VerifiedChannel
from holdfast.testing import PinnedServer


def run(*words: str) -> str:
    """Run `holdfast updates`, and return what it prints."""
    command = [sys.executable, "-m", "holdfast", "updates", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


@contextlib.contextmanager
def preview(repository: str) -> Iterator[str]:
    """Serve a repository, and yield its address."""
    command = [sys.executable, "-m", "holdfast", "updates", "preview", repository, "--ca", "ca.pem"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip() if server.stdout else ""
        server.send_signal(signal.SIGTERM)


def visit(server: PinnedServer, context: holdfast.PinningContext) -> str:
    """Connect, and say what came of it."""
    try:
        with urlopen(server.url, context=context, timeout=5) as response:
            return f"answered with {response.status}"
    except OSError as error:
        violation = holdfast.violation_from(error)
        if violation is None:
            raise
        return f"refused: {violation.verdict.reason}"


def tell(step: str, result: str) -> None:
    """Print a step and what came of it."""
    print(f"{step}\n    {result.strip().splitlines()[-1]}")


def walk(server: PinnedServer) -> None:
    """Go through all of it."""
    Path("passphrase").write_text("correct horse battery staple\n")
    os.environ["HOLDFAST_PASSPHRASE_FILE"] = "passphrase"  # noqa: S105  a file's name
    policy = ("--policy", str(server.policy_path))
    tell("1. a repository", run("init", "repository", "--keys", "keys", "--profile", "small"))
    keys = ("--keys", "keys")
    tell("2. the policy, published", run("publish", "repository", *keys, *policy, "--rules"))
    tell("3. a seed for the application", run("seed", "repository", "seed.json"))
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
        updates.refresh()
        tell("4. a client picks it up", f"serial {updates.in_force.serial}, {updates.state}")
        tell("5. it connects", visit(server, context))

        server.switch_to_next_key()
        tell("6. the server takes its backup key: no client is refused", visit(server, context))

        shutil.copytree("repository", "old", copy_function=shutil.copy2)
        backup = str(server.policy.pin_sets[0].backup[0])
        tcp = socket.create_connection((server.host, server.port))
        with context.wrap_socket(tcp, server_hostname=server.host) as download:
            tell("7. that key is stolen, and denied", run("deny", "repository", backup, *keys))
            updates.refresh()
            time.sleep(0.2)
            tell("8. an open connection ends", _fails(download))
        tell("9. and no new one is made", visit(server, context))

        shutil.rmtree("repository")
        shutil.copytree("old", "repository")
        tell("10. an attacker serves the old state", updates.refresh().reason)
        tell("11. what was denied stays denied", visit(server, context))

        shutil.rmtree("repository")
        run("init", "repository", "--keys", "others", "--profile", "small")
        run("publish", "repository", "--keys", "others", *policy, "--rules")
        tell("12. an attacker signs with keys of his own", updates.refresh().reason)

        shutil.rmtree("repository")
        shutil.copytree("old", "repository")
        run("deny", "repository", backup, *keys)
        loose = Path("loose.toml")
        loose.write_text(server.policy_path.read_text().replace('"enforce"', '"report-only"'))
        weaken = run("publish", "repository", *keys, "--policy", str(loose))
        tell("13. the online keys cannot switch pins off", weaken)


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
