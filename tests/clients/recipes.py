"""The recipes of `docs/clients`, taken from the pages as they stand there, and run.

A recipe is all Python under one heading of a page. Only the host that it names is replaced.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parents[2] / "docs" / "clients"
HOST = "api.example.com"

_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HOST = re.escape(HOST)
_RUNNER = Path(__file__).with_name("run_recipe.py")
_CHANGES_CLIENTS = re.compile("proxy|^SSL|CA_BUNDLE", re.IGNORECASE)

Came = dict[str, Any]


def code_of(page: str, heading: str) -> str:
    """Return the Python of a recipe."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = _CODE.findall(section)
    assert blocks, f"{page}.md has no Python under the heading {heading}"
    return "\n".join(blocks)


def for_loopback(code: str, host: str, port: int) -> str:
    """Let a recipe talk to another host, with the port in the way in which the recipe gives it."""
    code = re.sub(rf'(server_hostname=|sni=|context, )"{_HOST}"', rf'\g<1>"{host}"', code)
    code = re.sub(rf'"{_HOST}"(,\s+(\w+=)?)\d+', rf'"{host}"\g<1>{port}', code)
    return re.sub(rf"{_HOST}(:\d+)?", f"{host}:{port}", code)


def clean_environment() -> dict[str, str]:
    """Return the environment without what would change what clients do."""
    return {name: value for name, value in os.environ.items() if not _CHANGES_CLIENTS.search(name)}


def run_recipes(cases: list[dict[str, str]], python: str = sys.executable) -> list[Came]:
    """Run recipes in a fresh interpreter, one after the other, and return what came of each."""
    done = subprocess.run(
        [python, _RUNNER],
        input=json.dumps(cases),
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    came: list[Came] = json.loads(done.stdout)
    return came
