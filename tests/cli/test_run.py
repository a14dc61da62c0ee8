"""Programs that know nothing of pins, run for real against a pinned server and its impostor."""

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from holdfast.certificates.load_policy import load_policy
from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode
from holdfast.run_child import STARTUP
from holdfast.testing import PinnedServer
from holdfast.updates.document import Bundle, DenyList, bundle_to_bytes, deny_list_to_bytes
from tests.clients.servers.mongo import mongo
from tests.updates.origin import Origin
from tests.updates.signed_repository import SignedRepository

Enforced = Callable[..., subprocess.CompletedProcess[str]]

_GET = """\
import sys
from urllib.request import urlopen
import ssl
context = ssl.create_default_context(cafile=sys.argv[1])
REFUSED = {"PIN_VIOLATION": "refused"}
for url in sys.argv[2:]:
    try:
        print(urlopen(url, context=context).status)
    except OSError as error:
        print(REFUSED.get(getattr(error.reason, "reason", None), error))
"""


@pytest.fixture
def enforced(tmp_path: Path, pinned_server: PinnedServer) -> Enforced:
    """Return a function that runs `holdfast run` with the policy of the pinned server."""

    def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "holdfast", "run", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "HOLDFAST_POLICY": str(pinned_server.policy_path), **variables},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    return run


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a program."""

    def write(text: str, name: str = "app.py") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize("way", ["file", "module", "script"])
def test_a_program_is_pinned_without_being_changed(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer, way: str
) -> None:
    """As a file, as a module, and as a script that pip installed, it reaches the right key only."""
    app = script(f"#!{sys.executable}\n{_GET}")
    app.chmod(0o755)
    start: dict[str, tuple[object, ...]] = {
        "file": (sys.executable, app),
        "module": (sys.executable, "-m", "app"),
        "script": (app,),
    }

    done = enforced(
        *("--", *start[way], pinned_server.anchors_path),
        *(pinned_server.url, pinned_server.impostor.url),
    )

    assert (0, ["200", "refused"]) == (done.returncode, done.stdout.split())
    assert done.stderr.startswith(
        "holdfast: 1 host pattern is enforced, 0 report-only; other hosts are let pass\n"
    )
    assert "refused: mismatch" in done.stderr
    assert 0 == pinned_server.impostor.application_bytes


def test_what_is_not_enforced_does_not_run(
    enforced: Enforced, script: Callable[..., Path], tmp_path: Path
) -> None:
    """A Python that ignores the environment, one without Holdfast, and no Python: nothing runs."""
    trace = tmp_path / "trace"
    app = script(f"open({str(trace)!r}, 'w')")
    empty = script("#!/bin/sh\nexec true\n", "python3")
    empty.chmod(0o755)
    commands: list[tuple[object, ...]] = [
        *((sys.executable, option, app) for option in ("-I", "-E", "-S", "-sE")),
        (empty, app),
        ("touch", trace),
        (tmp_path / "nothing-there", app),
    ]

    codes = [enforced("--", *command).returncode for command in commands]

    assert [125] * len(commands) == codes
    assert not trace.exists()


def test_a_python_without_holdfast_does_not_run(
    enforced: Enforced, script: Callable[..., Path], tmp_path: Path
) -> None:
    """The message says in which Python it has to be installed."""
    made = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    python = made / "bin" / "python"
    trace = tmp_path / "trace"
    app = script(f"open({str(trace)!r}, 'w')")

    done = enforced("--", python, app)

    assert 125 == done.returncode
    assert f"{python} has no holdfast: install it there" in done.stderr
    assert not trace.exists()


_OLD_PYTHON = """\
import builtins, sys
there = {name: value for name, value in vars(builtins).items() if name != "ModuleNotFoundError"}
with open(sys.argv[1]) as file:
    exec(file.read(), {"__builtins__": there, "__name__": "sitecustomize"})
print("went on, unpinned")
"""


@pytest.mark.parametrize(("words", "code"), [(("--observe", "draft.toml"), 0), ((), 125)])
def test_a_child_python_without_holdfast_is_ended_unless_nothing_is_refused(
    enforced: Enforced,
    script: Callable[..., Path],
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
) -> None:
    """Where pins are enforced it would go round them; where nothing is, it goes on."""
    made = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    app = script("import subprocess, sys; sys.exit(subprocess.call([*sys.argv[1:], '-c', '']))")

    done = enforced(*words, "--", sys.executable, app, made / "bin" / "python")

    assert code == done.returncode, done.stderr


def test_an_old_python_without_holdfast_does_not_go_on(tmp_path: Path) -> None:
    """Nor one that lacks what newer ones have built in."""
    startup = Path(STARTUP) / "sitecustomize.py"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _OLD_PYTHON, startup],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert (125, "") == (done.returncode, done.stdout)
    assert "has no holdfast: install it there" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "holdfast run -- python app.py"),
        (("--policy", "nowhere.toml", "--", "python", "app.py"), "nowhere.toml"),
        (("--no-such-option",), "no such option"),
        (("--observe", ".", "--", sys.executable, "app.py"), "still to be made"),
        (("--root", "root.json", "--", sys.executable, "app.py"), "belong to --updates"),
        (("--updates", "https://localhost/", "--", sys.executable, "app.py"), "needs --root"),
    ],
)
def test_own_failures_have_their_own_code(
    enforced: Enforced, words: tuple[str, ...], told: str
) -> None:
    """What is wrong with the call is told as ever, with a code that programs rarely have."""
    done = enforced(*words)

    assert 125 == done.returncode
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_exit_code_is_the_programs_own(enforced: Enforced, script: Callable[..., Path]) -> None:
    """Whatever it exits with, and 128 and the number of a signal that ended it."""
    app = script("import os, sys; os.kill(os.getpid(), 9) if sys.argv[1:] else sys.exit(7)")

    assert 7 == enforced("--", sys.executable, app).returncode
    assert 137 == enforced("--", sys.executable, app, "kill").returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_program(
    script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path, number: int
) -> None:
    """A service manager stops the program by stopping what it started."""
    app = script(
        "import signal, sys, time\n"
        "for one in (15, 2, 1):\n"
        "    signal.signal(one, lambda number, _: sys.exit(40 + number))\n"
        "open('up', 'w').close()\n"
        "time.sleep(30)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "run", "--", sys.executable, app],
        cwd=tmp_path,
        env={**os.environ, "HOLDFAST_POLICY": str(pinned_server.policy_path)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "up").exists():
        time.sleep(0.02)
    process.send_signal(number)

    assert 40 + number == process.wait(10)


def test_a_signal_while_the_program_starts_ends_it(
    script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path
) -> None:
    """It is not left behind, running, by who has started it."""
    slowly = (
        "import os, sys, time; open('starting', 'w').close(); time.sleep(1); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    python = script(
        f'#!/bin/sh\ntest "$1" = -c && exec {sys.executable} "$@"\n'
        f'exec {sys.executable} -S -c "{slowly}" "$@"\n',
        "python3",
    )
    python.chmod(0o755)
    app = script("open('left-behind', 'w').close()")
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "run", "--", python, app],
        cwd=tmp_path,
        env={**os.environ, "HOLDFAST_POLICY": str(pinned_server.policy_path)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "starting").exists():
        time.sleep(0.02)
    process.terminate()
    told = process.communicate(timeout=10)[1]

    assert (128 + signal.SIGTERM, 1) == (process.returncode, len(told.splitlines())), told
    assert not (tmp_path / "left-behind").exists()


@pytest.mark.parametrize("stdin", ["", " </dev/null"], ids=["terminal", "redirected"])
def test_an_interrupt_from_the_terminal_arrives_once(
    script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path, stdin: str
) -> None:
    """The terminal sends it to the program itself, also to one that reads from elsewhere."""
    app = script(
        "import signal, time\n"
        "signal.signal(2, lambda *_: print('interrupted', flush=True))\n"
        "open('up', 'w').close()\n"
        "end = time.monotonic() + 1\n"
        "while time.monotonic() < end: time.sleep(0.01)\n"
    )
    command = [sys.executable, "-m", "holdfast", "run", "--", sys.executable, app]
    variables = {**os.environ, "HOLDFAST_POLICY": str(pinned_server.policy_path)}
    process, terminal = pty.fork()
    if not process:
        os.chdir(tmp_path)
        line = shlex.join(map(str, command)) + stdin
        os.execve("/bin/sh", ["sh", "-c", line], variables)
    while not (tmp_path / "up").exists():
        time.sleep(0.02)
    os.write(terminal, b"\x03")
    said = b""
    with contextlib.suppress(OSError):  # Linux, when nobody has the terminal open any more
        while heard := os.read(terminal, 1000):
            said += heard
    os.close(terminal)
    os.waitpid(process, 0)

    assert 1 == said.count(b"interrupted")


_FAMILY = """\
import multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from urllib.error import URLError
from urllib.request import urlopen
import ssl

def get(url):
    context = ssl.create_default_context(cafile=sys.argv[1])
    try:
        return str(urlopen(url, context=context).status)
    except URLError as error:
        return {"PIN_VIOLATION": "refused"}.get(error.reason.reason, str(error))

if __name__ == "__main__":
    url = sys.argv[2]
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            print(pool.submit(get, url).result())
    if len(sys.argv) < 4:
        again = [sys.executable, *sys.argv, "again"]
        print(subprocess.run(again, capture_output=True, text=True).stdout.split())
"""


def test_child_processes_are_pinned_too(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer
) -> None:
    """Forked, spawned, from a fork server, and started by themselves."""
    app = script(_FAMILY)

    done = enforced(
        "--", sys.executable, app, pinned_server.anchors_path, pinned_server.impostor.url
    )

    assert ["refused"] * 3 == done.stdout.split()[:3], done.stderr
    assert str(["refused"] * 3) == done.stdout.splitlines()[3]
    assert 0 == pinned_server.impostor.application_bytes


def test_coverage_tells_what_was_and_was_not_pinned(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer
) -> None:
    """Hosts of each kind, a TLS library of its own, and programs that enforcement misses."""
    unlisted = pinned_server.url.replace("localhost", "127.0.0.1")
    app = script(
        _GET + "import subprocess\n"
        "import OpenSSL\n"
        "subprocess.run(['true'])\n"
        "subprocess.run([sys.executable, '-I', '-c', ''])\n"
        "subprocess.run([sys.executable, '-c', ''], env={})\n"
        "subprocess.run([sys.executable, '-c', ''])\n"
        "import os; os.system('true')\n"
    )

    done = enforced(
        *("--coverage", "--json", "--", sys.executable, app, pinned_server.anchors_path),
        *(pinned_server.url, unlisted, pinned_server.impostor.url),
    )
    told = json.loads(done.stderr[done.stderr.index("\n{") :])

    assert {
        "pinned": ["localhost"],
        "reported": [],
        "unlisted": ["127.0.0.1"],
        "refused": ["localhost"],
        "stacks": [{"name": "pyOpenSSL", "refused": False}],
        "programs": [
            {"name": Path(sys.executable).name, "reason": reason}
            for reason in (
                "Python is started with -I, and ignores the environment",
                "it is started with another environment",
            )
        ]
        + [{"name": name, "reason": "it is no Python program"} for name in ("sh", "true")],
    } == told


@pytest.mark.parametrize(("option", "folders"), [((), 0), (("--coverage",), 1)])
def test_a_folder_is_made_only_for_what_is_seen(
    enforced: Enforced,
    script: Callable[..., Path],
    tmp_path: Path,
    option: tuple[str, ...],
    folders: int,
) -> None:
    """Where nothing is to be told at the end, no disk is written to."""
    app = script(f"import os; print(len(os.listdir({str(tmp_path / 'temporary')!r})))")
    (tmp_path / "temporary").mkdir()

    done = enforced(*option, "--", sys.executable, app, TMPDIR=str(tmp_path / "temporary"))

    assert f"{folders}\n" == done.stdout


def test_coverage_is_readable(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer
) -> None:
    """For people it is a few lines on stderr, after what the program had to say."""
    app = script(_GET + "import OpenSSL, os; os.system('true')\n")

    done = enforced(
        *("--coverage", "--", sys.executable, app, pinned_server.anchors_path),
        pinned_server.url,
    )

    assert "200\n" == done.stdout
    assert [
        "holdfast: coverage",
        "  pinned: localhost",
        "  let pass, pins did not match: none",
        "  let through, unlisted: none",
        "  refused: none",
        "  TLS library pyOpenSSL: NOT COVERED: it does not use Python's ssl",
        "  program sh: NOT COVERED: it is no Python program",
    ] == done.stderr.splitlines()[1:]


def test_a_tls_library_of_its_own_is_refused_where_unlisted_hosts_are(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path
) -> None:
    """It could reach any host: its import fails, and says what to do instead."""
    policy = tmp_path / "strict.toml"
    policy.write_text(pinned_server.policy_path.read_text().replace('"allow"', '"refuse"'))
    app = script("import OpenSSL")

    done = enforced("--coverage", "--policy", policy, "--", sys.executable, app)

    assert 1 == done.returncode
    assert "UncoveredStackError: pyOpenSSL makes TLS connections" in done.stderr
    assert "  TLS library pyOpenSSL: refused at import" in done.stderr


def test_observing_refuses_nothing_and_drafts_a_policy(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path
) -> None:
    """The draft names each host with the keys seen, enforces nothing, and can be loaded."""
    app = script(
        _GET + "loose = ssl._create_unverified_context()\n"
        "print(urlopen(sys.argv[2].replace('localhost', '127.0.0.1'), context=loose).status)\n"
    )

    done = enforced(
        *("--observe", "draft.toml", "--", sys.executable, app, pinned_server.anchors_path),
        *(pinned_server.url, pinned_server.impostor.url),
    )
    (pin_set,) = load_policy(tmp_path / "draft.toml").pin_sets

    assert (0, ["200", "200", "200"]) == (done.returncode, done.stdout.split())
    assert ["localhost"] == [str(pattern) for pattern in pin_set.hosts]
    assert Mode.REPORT_ONLY is pin_set.mode
    assert 2 == len(pin_set.leaf)
    assert "not in it: 127.0.0.1, whose path was not verified" in done.stderr


def test_a_local_exception_is_said_at_the_start(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path
) -> None:
    """The proxy of the office is let pass, said before the program starts, and each use told."""
    rogue = pinned_server.anchors_path.read_text().split("-----END CERTIFICATE-----\n")[1]
    (tmp_path / "proxy.pem").write_text(rogue + "-----END CERTIFICATE-----\n")
    until = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")
    (tmp_path / "holdfast.toml").write_text(
        f'[[exception]]\nhosts = ["localhost"]\nanchor = "proxy.pem"\nuntil = {until}\n'
        'reason = "the office proxy, NET-12"\n'
    )
    app = script(_GET)

    done = enforced(
        *("--", sys.executable, app, pinned_server.anchors_path),
        *(pinned_server.url, pinned_server.impostor.url),
    )

    assert ["200", "200"] == done.stdout.split(), done.stderr
    assert "(the office proxy, NET-12) is in force" in done.stderr.splitlines()[1]
    assert "let pass: mismatch" in done.stderr


_UNTIL_REFUSED = """\
import ssl, sys, time
from urllib.request import urlopen
context = ssl.create_default_context(cafile=sys.argv[1])
print(urlopen(sys.argv[2], context=context).status, flush=True)
end = time.monotonic() + 15
while time.monotonic() < end:
    try:
        urlopen(sys.argv[2], context=context)
    except OSError as error:
        print(error.reason.reason)
        break
    time.sleep(0.05)
"""


@pytest.mark.timeout(60)
def test_a_program_follows_signed_updates(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer, tmp_path: Path
) -> None:
    """It begins with the seed, and what is published takes effect while it runs."""
    leaf = pinned_server.policy.pin_sets[0].leaf[0]
    repository = SignedRepository(now=datetime.now(UTC))
    denying = DenyList(serial=1, denied=frozenset({leaf}))
    repository.put("emergency", deny_list_to_bytes(denying))
    bundle = Bundle(
        serial=1,
        issued=datetime.now(UTC),
        refresh=timedelta(minutes=1),
        policy=pinned_server.policy,
    )
    repository.publish(bundle_to_bytes(bundle), roles=["emergency"])
    (tmp_path / "root.json").write_bytes(repository.root_bytes)
    authority = Authority.new("CA of the origin")
    (tmp_path / "origin.pem").write_text(authority.pem)
    app = script(_UNTIL_REFUSED)

    with Origin(repository.files, authority.issue("localhost")) as origin:

        def once_visited(request: BaseHTTPRequestHandler) -> None:
            pinned_server.wait_for(1, timeout=15)  # else the seed may have been there for nobody
            origin.answers.clear()
            origin.answer(request)

        origin.answers["*"] = once_visited
        done = enforced(
            *("--updates", origin.url, "--root", "root.json", "--seed", pinned_server.policy_path),
            *("--", sys.executable, app, pinned_server.anchors_path, pinned_server.url),
            SSL_CERT_FILE=str(tmp_path / "origin.pem"),
            XDG_STATE_HOME=str(tmp_path / "state"),
        )

    assert ["200", "PIN_VIOLATION"] == done.stdout.split(), done.stderr
    # Above it may stand a word about pyOpenSSL, which the key services of a publisher bring.
    assert "holdfast: 1 host pattern is enforced" in done.stderr


def test_another_sitecustomize_still_runs(
    enforced: Enforced, script: Callable[..., Path], tmp_path: Path
) -> None:
    """What the program's owner has put there comes second, and is not lost."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import ssl; print('_wrap_socket' in ssl.SSLContext.__dict__)"
    )
    app = script("import sitecustomize; print(sitecustomize.__file__)")

    done = enforced("--", sys.executable, app, PYTHONPATH=str(folder))

    # At first in `holdfast` itself, which has the same environment.
    assert ["False", "True", str(folder / "sitecustomize.py")] == done.stdout.split()


def test_python_path_keeps_what_else_is_on_it(
    enforced: Enforced, script: Callable[..., Path], tmp_path: Path
) -> None:
    """Nothing between two colons stands for the current folder, in which modules may be."""
    script("print('found')", "beside.py")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    app = script("import beside", "elsewhere/app.py")
    path = os.pathsep + os.environ.get("PYTHONPATH", "")

    done = enforced("--", sys.executable, app, PYTHONPATH=path)

    assert "found\n" == done.stdout, done.stderr


_REQUESTS = """\
import sys, requests
for url in sys.argv[2:]:
    try:
        print(requests.get(url, verify=sys.argv[1], timeout=5).status_code)
    except requests.exceptions.SSLError:
        print("refused")
"""
_AIOHTTP = """\
import asyncio, ssl, sys, aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        for url in sys.argv[2:]:
            try:
                context = ssl.create_default_context(cafile=sys.argv[1])
                async with session.get(url, ssl=context) as response:
                    print(response.status)
            except aiohttp.ClientConnectorError:
                print("refused")
asyncio.run(main())
"""
_BOTOCORE = """\
import sys, botocore.session
from botocore.config import Config
from botocore.exceptions import SSLError
for url in sys.argv[2:]:
    client = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", endpoint_url=url, verify=sys.argv[1],
        aws_access_key_id="a", aws_secret_access_key="b",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
    try:
        response = client.head_object(Bucket="bucket", Key="key")
        print(response["ResponseMetadata"]["HTTPStatusCode"])
    except SSLError:
        print("refused")
"""


@pytest.mark.parametrize(
    "text", [_REQUESTS, _AIOHTTP, _BOTOCORE], ids=["requests", "aiohttp", "botocore"]
)
def test_libraries_are_pinned(
    enforced: Enforced, script: Callable[..., Path], pinned_server: PinnedServer, text: str
) -> None:
    """Scripts as their authors write them, with the context that each library makes itself."""
    app = script(text)

    done = enforced(
        *("--coverage", "--", sys.executable, app, pinned_server.anchors_path),
        *(pinned_server.url, pinned_server.impostor.url),
    )

    assert ["200", "refused"] == done.stdout.split(), done.stderr
    assert "  pinned: localhost" in done.stderr.splitlines()
    assert 0 == pinned_server.impostor.application_bytes


_PYMONGO = """\
import sys
from pymongo import MongoClient
from pymongo.errors import PyMongoError
for port in sys.argv[2:]:
    client = MongoClient(
        f"mongodb://localhost:{port}", tls=True, tlsCAFile=sys.argv[1],
        directConnection=True, serverSelectionTimeoutMS=1000,
    )
    try:
        print(client.admin.command("ping")["ok"])
    except PyMongoError as error:
        print("refused" if "refused: mismatch" in str(error) else error)
    client.close()
"""


def test_a_database_client_is_pinned(script: Callable[..., Path], tmp_path: Path) -> None:
    """Pymongo takes no context: it makes its own, in threads of its own."""
    app = script(_PYMONGO)
    with PinnedServer(tmp_path, serve=partial(LabServer, dialogue=mongo)) as database:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "holdfast", "run", "--coverage"),
                *("--policy", str(database.policy_path), "--", sys.executable, str(app)),
                *(str(database.anchors_path), str(database.port), str(database.impostor.port)),
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert ["1.0", "refused"] == done.stdout.split(), done.stderr
    assert "  pinned: localhost" in done.stderr.splitlines()
    assert 0 == database.impostor.application_bytes
