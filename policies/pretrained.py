"""Checkpoints that come with the sandbox: ``assets/pretrained/<task>/<kind>``.

Each has a model card with the command that made it and what it reaches. By its kind it
plays at once: ``sandbot play aloha-transfer-cube --policy act``.
"""

from pathlib import Path

import assets

FOLDER = Path(assets.__file__).parent / "pretrained"


def pretrained(task: str) -> dict[str, Path]:
    """The checkpoints for a task, by kind.

    Args:
        task: its name.
    """
    places = sorted((FOLDER / task).glob("*/config.json"))
    return {place.parent.name: place.parent for place in places}


def all_pretrained() -> dict[str, dict[str, Path]]:
    """The checkpoints of each task that has any."""
    tasks = sorted(p.name for p in FOLDER.iterdir()) if FOLDER.is_dir() else []
    return {task: found for task in tasks if (found := pretrained(task))}
