"""Tables for the terminal or a file, all of one look."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FILE_WIDTH = 120
"""Of a table that goes into a file or a pipe [characters]."""


def make_console() -> "Console":
    """Standard output, as wide as the terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    return (
        console if console.is_terminal else Console(highlight=False, width=FILE_WIDTH)
    )


def make_table(*columns: str, header: bool = True) -> "Table":
    """An empty table.

    Args:
        columns: their titles; one that starts with ">" is aligned to the right.
        header: whether to show the titles.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD if header else None, show_header=header)
    for title in columns:
        right = title.startswith(">")
        table.add_column(
            title.removeprefix(">"),
            justify="right" if right else "left",
            overflow="fold",
        )
    return table
