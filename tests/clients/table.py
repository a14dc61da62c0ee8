"""The table of libraries in `docs/clients/index.md`, made of what the tests run.

`python -m tests.clients.table` writes it anew.
"""

from importlib.metadata import version

from tests.clients.libraries import LIBRARIES, Library
from tests.clients.recipes import PAGES

BEGIN, END = "<!-- libraries: begin -->\n", "<!-- libraries: end -->\n"
INDEX = PAGES / "index.md"


def anchor(heading: str) -> str:
    """Return the fragment that leads to a heading."""
    kept = "".join(sign for sign in heading.lower() if sign.isalnum() or sign in "_- ")
    return kept.replace(" ", "-")


def table() -> str:
    """Return the table, with the versions that are installed here."""
    head = (
        "| library | pinned by | where | what a refusal raises | tested |\n|---|---|---|---|---|\n"
    )
    return head + "".join(map(_row, LIBRARIES))


def with_table(text: str) -> str:
    """Return a page with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(library: Library) -> str:
    tested = "each Python"
    if library.package:
        tested = version(library.package)
        if library.oldest and library.oldest != tested:
            tested = f"{library.oldest} to {tested}"
    raises = f"`{library.raises}`" + (f"; {library.note}" if library.note else "")
    cells = [
        f"[{library.name}]({library.page}.md#{anchor(library.heading)})",
        library.route,
        f"`{library.place}`",
        raises,
        tested,
    ]
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    INDEX.write_text(with_table(INDEX.read_text("utf-8")), "utf-8")
