"""The page `docs/lab-results.md`: each client under each attack, as it came out.

`python -m tests.lab.results` (`make lab`) runs them all and writes it anew, which takes about ten
minutes. With names of clients it tells what came out for those, and writes nothing.
"""

import json
import platform
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from holdfast.lab.attack import Attack, AttackClass, attacks
from tests.lab.clients import CLIENTS, FOLDER, Client

PAGE = FOLDER.parents[1] / "docs" / "lab-results.md"
EARLY, CAUGHT, NOT_APPLICABLE = "early", "caught", "-"
_WORDS = {
    "missed": "**missed**",
    "refused-honest": "**refused**",
    "hung": "**hung**",
    "crashed": "**crashed**",
    "not-applicable": NOT_APPLICABLE,
}
FAILURES = set(_WORDS.values()) - {NOT_APPLICABLE}
_HEAD = """\
# Who catches what

Each client of [`examples/clients`](../examples/clients) under each attack of [the lab](lab.md).
`make lab` runs them and writes this page; no cell is written by hand.

| cell | what happened |
|---|---|
| early | caught, before a client certificate would have been sent |
| caught | caught, before the attacker got an application byte |
| **missed** | the attacker got application bytes, or the secrets of a connection |
| **refused** | the honest server with the right key was refused |
| **hung**, **crashed** | the client had to be killed, or died |
| - | the attack does not apply to this client, which speaks another protocol or takes no notice |

What pins by *Holdfast's rules* is judged by Holdfast: in a context, the helpers for requests, httpx
and aiohttp, a whole process (`install()` in the code, `holdfast run` around a client without pins),
and the verify callback of Twisted's pyOpenSSL.
Where a process is pinned as a whole, redirects are judged that urllib follows, and no others.
pycurl is told its pins by Holdfast, and holds them itself: what it [loses](clients/curl.md) shows,
among it the pins of CAs, which many of the attacks begin with.
The others pin without Holdfast, as their documentation shows, or not at all.
s_client goes by TLSA records, which addresses do not have.
"""


class Column(NamedTuple):
    """What came out for one client.

    Attributes:
        ran: What made its connections, with versions.
        cells: The cell of each attack, by its id.
    """

    ran: str
    cells: dict[str, str]


def measure(client: Client, command: Sequence[str]) -> Column:
    """Run a client against every attack.

    Args:
        client: The client.
        command: How it is run, once it is built.

    Raises:
        RuntimeError: The lab ended without results.
    """
    lab = [
        *(sys.executable, "-m", "holdfast", "lab", "run", "--json", "--timeout", "30"),
        *("--transport", client.transport, "--", *command),
    ]
    done = subprocess.run(lab, check=False, capture_output=True, text=True)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{client.name}: {done.stderr}")
    results = json.loads(done.stdout)["results"]
    return Column(client.what_ran(), {one["attack"]: _cell(one) for one in results})


def _cell(result: Mapping[str, str | None]) -> str:
    if result["outcome"] == "caught":
        return EARLY if result["moment"] == "before the client's certificate" else CAUGHT
    return _WORDS[str(result["outcome"])]


def page(columns: Mapping[str, Column], circumstances: Sequence[str]) -> str:
    """Return the page.

    Args:
        columns: What came out, by the client's name.
        circumstances: When and where, a line each.
    """
    clients = [client for client in CLIENTS if client.name in columns]
    ours = [client for client in clients if client.is_ours]
    others = [client for client in clients if not client.is_ours]
    return "\n".join(
        [
            *(_HEAD, "## In short\n", *_summary(clients, columns), ""),
            *("## By Holdfast's rules\n", *_matrix(ours, columns), ""),
            *("## By other means\n", *_matrix(others, columns), ""),
            *("## Where it ran\n", *(f"- {line}" for line in circumstances), ""),
        ]
    )


def read(text: str) -> dict[str, dict[str, str]]:
    """Return the cells of a page, by client and attack."""
    found: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            names = []
        elif cells[0] == "attack":
            names = cells[1:]
        elif names and not cells[0].startswith(("---", "*")):
            for name, cell in zip(names, cells[1:], strict=True):
                found.setdefault(name, {})[cells[0].strip("`")] = cell
    return found


def _summary(clients: Iterable[Client], columns: Mapping[str, Column]) -> list[str]:
    rows = [
        *("| client | pins | what ran | early | caught | missed | refused | other | - |",),
        *("|---|---|---|--:|--:|--:|--:|--:|--:|",),
    ]
    for client in clients:
        ran, cells = columns[client.name]
        count = Counter(cells.values())
        shown = (EARLY, CAUGHT, _WORDS["missed"], _WORDS["refused-honest"])
        failed = count[_WORDS["hung"]] + count[_WORDS["crashed"]]
        numbers = [*(count[word] for word in shown), failed, count[NOT_APPLICABLE]]
        link = f"[{client.name}](../examples/clients/{client.file})"
        rows.append(_row([link, client.pins, ran, *map(str, numbers)]))
    return rows


def _matrix(clients: Sequence[Client], columns: Mapping[str, Column]) -> list[str]:
    rows = [
        _row(["attack", *(client.name for client in clients)]),
        "|---" * (len(clients) + 1) + "|",
    ]
    for attack_class in AttackClass:
        rows.append(_row([f"*{attack_class}*", *[""] * len(clients)]))
        for attack in _of_class(attack_class):
            cells = (columns[client.name].cells.get(attack.id, "?") for client in clients)
            rows.append(_row([f"`{attack.id}`", *cells]))
    return rows


def _of_class(attack_class: AttackClass) -> list[Attack]:
    return [attack for attack in attacks() if attack.attack_class is attack_class]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _circumstances() -> list[str]:
    return [
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        f"{platform.system()} {platform.machine()}",
        f"{len(attacks())} attacks",
    ]


def main(names: Sequence[str]) -> None:
    """Measure, and write the page."""
    columns: dict[str, Column] = {}
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        if client.lacks is not None:
            raise SystemExit(f"{client.name} needs {client.lacks}: see scripts/system-packages")
        with tempfile.TemporaryDirectory() as built:
            columns[client.name] = measure(client, client.prepared(Path(built)))
        print(client.name, dict(Counter(columns[client.name].cells.values())), flush=True)  # noqa: T201
    if names:
        print(page(columns, _circumstances()))  # noqa: T201
    else:
        PAGE.write_text(page(columns, _circumstances()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
