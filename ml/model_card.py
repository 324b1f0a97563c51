"""The model card of a checkpoint: what to know before trusting it.

Mitchell et al. (2019), "Model cards for model reporting". Results are not
written here: whoever evaluates adds them.
"""

from collections.abc import Mapping
from typing import Any


def model_card(title: str, summary: str, facts: Mapping[str, Any], command: str) -> str:
    """The text of ``README.md``.

    Args:
        title: headline.
        summary: a sentence or two.
        facts: name and value of each row of the table.
        command: what was typed to make it.
    """
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    parts = [f"# {title}", summary, "\n".join(["| | |", "|---|---|", *rows])]
    parts += ["## How it was made", f"```\n{command}\n```"]
    return "\n\n".join(parts) + "\n"


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
