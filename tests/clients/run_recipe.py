"""Runs recipes one after the other in this interpreter, which is a fresh one, and says what came.

Standard input is a list of cases as JSON, each with its folder (where `pins.toml` and `anchors.pem`
are) and its code. Standard output is a list of what came of each.
"""

import contextlib
import io
import json
import os
import sys
import traceback


def run(code: str, folder: str) -> dict[str, object]:
    """Run a recipe and collect what it prints, and how it failed."""
    os.chdir(folder)
    os.environ["SSL_CERT_FILE"] = os.path.join(folder, "anchors.pem")  # noqa: PTH118
    printed, failure = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, "recipe.py", "exec"), {"__name__": "__main__"})
        except BaseException:  # noqa: BLE001  whatever it is, it is told
            failure = traceback.format_exc()
    return {"printed": printed.getvalue().strip(), "failure": failure}


if __name__ == "__main__":
    json.dump([run(**case) for case in json.load(sys.stdin)], sys.stdout)
