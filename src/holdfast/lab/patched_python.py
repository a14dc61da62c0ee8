"""Code that runs in each Python that a client starts, before the client does.

`site` imports `sitecustomize` from the first folder on PYTHONPATH that has one. Who can write there
can do anything; the attacks that use it stand for libraries that do such things without meaning it.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["patched_python", "was_patched"]

_MARK = "was-patched"


def patched_python(folder: Path, statement: str) -> dict[str, str]:
    """Write what patches, and return the variables with which Python runs it.

    Args:
        folder: Where to write.
        statement: What to run. Where it fails nothing has happened.
    """
    (folder / "sitecustomize.py").write_text(
        f"try:\n    {statement}\nexcept ImportError:\n    pass\n"
        f"else:\n    open({str(folder / _MARK)!r}, 'w').close()\n",
        "utf-8",
    )
    further = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([further] if further else [])])}


def was_patched(folder: Path) -> bool:
    """Tell whether some Python has run it to its end."""
    return (folder / _MARK).exists()
