"""The `holdfast` command: starts the command line, or names the extra that brings it."""

import sys

_CLI_PACKAGES = frozenset({"certifi", "click", "publicsuffixlist", "rich", "tomlkit"})


def main() -> int:
    """Run the command line.

    Returns:
        The exit code; 2 when the `cli` extra is not installed.
    """
    try:
        from holdfast.cli.main import main as run

        return run()
    except ModuleNotFoundError as missing:
        if missing.name not in _CLI_PACKAGES:
            raise
        sys.stderr.write(
            f"holdfast: error: the command line needs the package {missing.name}\n"
            "holdfast: hint: pip install 'holdfast[cli]'\n"
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
