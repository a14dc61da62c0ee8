"""The command line that tuf-conformance drives, over our fetcher and our settings of python-tuf.

The suite (<https://github.com/theupdateframework/tuf-conformance>) is in no package index. With a
checkout of it in a virtual environment of its own, and `faketime` on the PATH:

    pytest CHECKOUT/tuf_conformance --entrypoint "PYTHON tests/conformance/tuf_client.py"

where PYTHON is one that has holdfast[updates]. All 113 tests of version 2.4.0 passed.

Only one setting is another than ours: the suite asks for delegations of delegations, which we
refuse.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path

from tuf.ngclient import Updater

from holdfast.updates.fetcher import METADATA, TARGETS, OriginFetcher
from holdfast.updates.working_copy import CONFIG

_SHIPPED = ".shipped"  # the root that an application would bring, apart from what is kept


def main() -> int:
    """Run one command.

    Returns:
        0 if it was done, 1 if not.
    """
    options = _options()
    metadata = Path(options.metadata_dir)
    shipped = metadata / _SHIPPED / "root.json"
    if options.command == "init":
        shipped.parent.mkdir(parents=True)
        shutil.copy(options.root, shipped)
        shutil.copy(options.root, metadata / "root.json")
        return 0
    try:
        _follow(options, metadata, shipped.read_bytes())
    except Exception as error:  # noqa: BLE001  the exit code is all that the suite asks for
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _follow(options: argparse.Namespace, metadata: Path, root: bytes) -> None:
    origin = options.metadata_url.rstrip("/").removesuffix(METADATA.rstrip("/"))
    updater = Updater(
        str(metadata),
        METADATA,
        options.target_dir,
        TARGETS,
        OriginFetcher(origin, None, plain_http=True),
        dataclasses.replace(CONFIG, max_delegations=32),
        bootstrap=root,
    )
    updater.refresh()
    for name in options.target_name or []:
        info = updater.get_targetinfo(name)
        if info is None:
            raise LookupError(f"no target is called {name}")
        if updater.find_cached_target(info) is None:
            updater.download_target(info)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--metadata-url", "--metadata-dir", "--target-dir", "--target-base-url"):
        parser.add_argument(name)
    parser.add_argument("--target-name", action="append")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root")
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
