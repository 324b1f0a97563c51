"""The evaluation table in a checkpoint's model card (``README.md``)."""

from collections.abc import Sequence
from pathlib import Path

from evaluation.results import Row, return_interval_text
from ml.files import write_bytes

BEGIN = "<!-- evaluation: written by `sandbot eval` -->"
END = "<!-- end of the evaluation -->"


def update_cards(table: Sequence[Row]) -> None:
    """Put each checkpoint's rows into its model card; names of policies have none.

    Raises:
        SandbotError: a card cannot be written.
    """
    for policy in dict.fromkeys(row["policy"] for row in table):
        update_card(Path(policy), [row for row in table if row["policy"] == policy])


def update_card(folder: Path, table: Sequence[Row]) -> bool:
    """Put the rows of one checkpoint into its model card, in place of older ones.

    Args:
        folder: the checkpoint.
        table: rows of this checkpoint.

    Returns:
        Whether there is a card.

    Raises:
        SandbotError: the card cannot be written.
    """
    card = folder / "README.md"
    if not card.is_file() or not table:
        return False
    text = card.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if found else ""
    section = "\n".join([BEGIN, *_section(table), END])
    text = f"{before.rstrip()}\n\n{section}\n\n{after.strip()}".strip() + "\n"
    write_bytes(card, text.encode())
    return True


def _section(table: Sequence[Row]) -> list[str]:
    """Markdown lines of the table and where it comes from."""
    first = table[0]
    lines = [
        "## Evaluation",
        "",
        "| task | engine | randomisation | success | n | 95% interval |",
        "|---|---|---|---|---|---|",
    ]
    for row in table:
        world = f"| {row['task']} | {row['engine']} | {row['randomize']} "
        if row["success_rate"] is None:
            lines.append(
                f"{world}| return {row['mean_return']:.1f} | {row['n']} "
                f"| {return_interval_text(row)} |"
            )
        else:
            lines.append(
                f"{world}| {row['success_rate']:.1%} | {row['n']} "
                f"| {row['ci_low']:.1%} to {row['ci_high']:.1%} |"
            )
    return [
        *lines,
        "",
        f"`{first['command']}` at commit `{first['commit']}`, seed {first['seed']}.",
    ]
