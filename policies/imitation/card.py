"""What a checkpoint says of itself: ``config.json``, and the model card."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ml.model_card import model_card
from ml.provenance import command, commit, versions
from policies.learners import LEARNERS

if TYPE_CHECKING:
    from ml.training import TrainingResult
    from policies.imitation.config import ImitationConfig
    from policies.imitation.data import Subject


def about(
    subject: "Subject", config: "ImitationConfig", result: "TrainingResult"
) -> dict[str, Any]:
    """All of ``config.json`` beside what identifies the training."""
    dataset, task = subject.dataset, subject.task
    return {
        "robot": task.robot if task is not None else dataset.info.get("robot_type"),
        "observation": subject.inputs.to_dict(),
        "action_spec": subject.action_spec.to_dict(),
        "control_dt": dataset.control_dt,
        "training": asdict(config.training),
        "dataset": dataset.folder.as_posix(),
        "dataset_episodes": len(dataset.episodes),
        "dataset_command": dataset.about.get("command"),
        "parameters": sum(v.numel() for v in result.weights.values()),
        "steps": result.steps,
        "best_step": result.best_step,
        "validation_loss": result.validation_loss,
        "evaluation": result.figures,
        "seconds": round(result.seconds, 1),
        "command": command().replace(" --resume", ""),  # it ends with the same bits
        "commit": commit(),
        "versions": versions(),
    }


def card(about: dict[str, Any], result: "TrainingResult") -> str:
    """The text of ``README.md``."""
    kind, network = about["policy"], about["network"]
    unused = () if network["cameras"] else ("image_size", "encoder")
    nothing = (None, [], (), 0, 0.0)
    chosen = {k: v for k, v in network.items() if v not in nothing and k not in unused}
    facts = {
        "task": about["task"] or "none: it fits whatever has its observations",
        "robot": about["robot"],
        "policy": LEARNERS[kind][1],
        "settings": ", ".join(f"{k} {_plain(v)}" for k, v in chosen.items()),
        "parameters": about["parameters"],
        "reads": ", ".join((*about["inputs"], *network["cameras"])),
        "data": f"{about['dataset']}, {about['dataset_episodes']} episodes",
        "data, SHA-256": about["dataset_sha256"],
        "seed": about["training"]["seed"],
        "steps": f"{result.steps}, weights of {result.best_step}",
        "validation loss": result.validation_loss,
        "training time": f"{result.seconds:.0f} s",
        "commit": about["commit"],
        "versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
    }
    summary = (
        f"Learned from demonstrations of `{about['task'] or about['dataset']}`. The "
        f"loss is that of held-out episodes; it does not tell how often the task is "
        f"solved: evaluate."
    )
    title = f"{kind} on {about['task'] or about['dataset']}"
    return model_card(title, summary, facts, about["command"])


def _plain(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
