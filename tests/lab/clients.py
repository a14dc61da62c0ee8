"""The clients in `examples/clients` that the lab compares, and how each is run."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parents[2] / "examples" / "clients"

Pins = Literal["Holdfast's rules", "leaf keys", "one certificate", "nothing"]

_PYTHON = sys.executable, "{file}", "{url}"
_JARS = "/usr/share/java/okhttp.jar", "/usr/share/java/okio.jar"  # where Debian has them
_UNDICI = "undici@6.29.1"  # the newest that runs on Node.js 18
_HEAP = "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"  # a short life


@dataclass(frozen=True, kw_only=True)
class Client:
    """One client.

    Attributes:
        name: What it is called in tables.
        file: Its source.
        pins: What it holds a server against.
        command: What runs it, with `{file}`, `{built}` and the lab's place-holders.
        packages: The Python packages that make its connections.
        version: The command that says which version of another program it is.
        needs: Programs and files without which it does not run.
        build: The commands that make what is in the folder `{built}`.
        transport: What it speaks.
    """

    name: str
    file: str
    pins: Pins
    command: tuple[str, ...] = _PYTHON
    packages: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    build: tuple[tuple[str, ...], ...] = ()
    transport: str = "https"

    @property
    def is_ours(self) -> bool:
        """Whether Holdfast judges its connections."""
        return self.pins == "Holdfast's rules"

    @property
    def lacks(self) -> str | None:
        """A program or file that would have to be there; None if all are."""
        lacking = (one for one in self.needs if not (shutil.which(one) or Path(one).exists()))
        return next(lacking, None)

    def prepared(self, built: Path) -> list[str]:
        """Build it into a folder, and return its command line for the lab.

        Raises:
            subprocess.CalledProcessError: It cannot be built.
        """
        for command in self.build:
            subprocess.run(self._filled(command, built), check=True, stdout=subprocess.DEVNULL)
        return self._filled(self.command, built)

    def what_ran(self) -> str:
        """Return the versions of what makes its connections."""
        if self.packages:
            return ", ".join(f"{package} {version(package)}" for package in self.packages)
        if not self.version:
            return "Python's ssl"
        said = subprocess.run(self.version, check=True, capture_output=True, text=True)
        return (said.stdout + said.stderr).partition("\n")[0].partition(" (")[0].strip()

    def _filled(self, command: tuple[str, ...], built: Path) -> list[str]:
        values = {"{file}": str(FOLDER / self.file), "{built}": str(built)}
        return [_replaced(word, values) for word in command]


def _replaced(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


CLIENTS = (
    Client(name="PinningContext", file="stdlib.py", pins="Holdfast's rules"),
    Client(
        name="requests",
        file="requests_client.py",
        pins="Holdfast's rules",
        packages=("requests", "urllib3"),
    ),
    Client(name="httpx", file="httpx_client.py", pins="Holdfast's rules", packages=("httpx",)),
    Client(
        name="aiohttp", file="aiohttp_client.py", pins="Holdfast's rules", packages=("aiohttp",)
    ),
    Client(name="install()", file="installed.py", pins="Holdfast's rules"),
    Client(
        name="holdfast run",
        file="plain_urllib.py",
        pins="Holdfast's rules",
        command=(
            *(_PYTHON[0], "-m", "holdfast", "run", "--policy", "{policy}", "--"),
            *_PYTHON,
        ),
    ),
    Client(
        name="Twisted",
        file="twisted_client.py",
        pins="Holdfast's rules",
        command=("env", "PYTHONPATH={built}", *_PYTHON),
        packages=("twisted", "pyopenssl"),
        # What Twisted needs for TLS is not in the environment of the tests: see pyproject.toml.
        build=(
            (
                *(_PYTHON[0], "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--target", "{built}"),
                *("service-identity", "attrs", "pyasn1", "pyasn1-modules"),
            ),
        ),
    ),
    Client(name="mail", file="mail.py", pins="Holdfast's rules", transport="smtp,imap"),
    Client(name="pycurl", file="pycurl_client.py", pins="leaf keys", packages=("pycurl",)),
    Client(
        name="curl",
        file="curl.sh",
        pins="leaf keys",
        command=("sh", "{file}", "{url}"),
        version=("curl", "--version"),
        needs=("curl",),
    ),
    Client(
        name="s_client",
        file="s_client_dane.sh",
        pins="leaf keys",
        command=("sh", "{file}", "{url}"),
        version=("openssl", "version"),
        needs=("openssl",),
    ),
    Client(
        name="Go",
        file="go_https.go",
        pins="leaf keys",
        command=("{built}/go_https", "{url}"),
        version=("go", "version"),
        needs=("go",),
        build=(("go", "build", "-o", "{built}/go_https", "{file}"),),
    ),
    Client(
        name="Java",
        file="JavaHttps.java",
        pins="leaf keys",
        command=("java", *_HEAP, "-cp", "{built}", "JavaHttps", "{url}"),
        version=("javac", "-version"),
        needs=("javac",),
        build=(("javac", "-d", "{built}", "{file}"),),
    ),
    Client(
        name="OkHttp",
        file="OkHttpPinner.java",
        pins="leaf keys",
        command=("java", *_HEAP, "-cp", ":".join(("{built}", *_JARS)), "OkHttpPinner", "{url}"),
        version=("dpkg-query", "-W", "-f", "OkHttp ${Version}", "libokhttp-java"),
        needs=("javac", *_JARS),
        build=(("javac", "-cp", ":".join(_JARS), "-d", "{built}", "{file}"),),
    ),
    Client(
        name="Node.js https",
        file="node_https.js",
        pins="leaf keys",
        command=("node", "{file}", "{url}"),
        version=("node", "-p", "'Node.js ' + process.version"),
        needs=("node",),
    ),
    Client(
        name="undici",
        file="node_undici.js",
        pins="leaf keys",
        command=("env", "NODE_PATH={built}/node_modules", "node", "{file}", "{url}"),
        version=("node", "-p", f"'{_UNDICI}, Node.js ' + process.version"),
        needs=("node", "npm"),
        build=(
            (
                *("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"),
                *("--no-save", "--no-package-lock", "--prefix", "{built}", _UNDICI),
            ),
        ),
    ),
    Client(
        name="urllib3 fingerprint",
        file="urllib3_fingerprint.py",
        pins="one certificate",
        packages=("urllib3",),
    ),
    Client(
        name="aiohttp Fingerprint",
        file="aiohttp_fingerprint.py",
        pins="one certificate",
        packages=("aiohttp",),
    ),
    Client(name="urllib", file="plain_urllib.py", pins="nothing"),
)
