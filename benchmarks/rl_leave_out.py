"""Which part of the randomisation does a walk need most? Leave one out, and see.

    python -m benchmarks.rl_leave_out [--steps 1800000] [--only whole push]

FastSAC learns to walk with the project's recipe for the same number of control steps
each time: under all of the profile ``train``, and under what is left of it without one
group of terms. Then all walk the same episodes where no training has been, under
``gap`` and in ``bullet``, and what the whole one has more than another is paired by
episode (:mod:`benchmarks.rl_transfer`, which has one trained under nothing of it, too).
A group has several terms because each training takes minutes; together the groups are
all that ``train`` varies.

Trainings that ``--out`` holds already are not repeated, and one that was stopped goes
on. Each has one seed: a difference tells of these two trainings, and not of all.
"""

import argparse
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from assets.errors import UsageError
from benchmarks.record import record
from benchmarks.rl_transfer import Plan, conclude, find_walker, measure, ranking
from benchmarks.rl_walking import TASK

NAME = "rl_leave_out"
ALGORITHM = "fastsac"
STEPS = 1_800_000
EVALUATIONS = 4
"""On the way; the best of these is kept."""
GROUPS: dict[str, tuple[str, ...]] = {
    "push": ("push",),
    "friction": ("friction",),
    "delay": ("action_delay", "observation_delay"),
    "body": (
        *("link_mass", "centre_of_mass", "joint_damping", "armature"),
        *("motor_strength", "position_gain", "velocity_gain"),
    ),
    "senses": (
        *("encoder_bias", "gyro_noise", "gravity_noise"),
        *("angle_noise", "velocity_noise"),
    ),
}
"""What is left out at once, by name."""
LABELS = {
    "whole": "randomised",
    **{name: f"without {name}" for name in GROUPS},
}
"""Of the trainings, by name."""
ENGINES = ("mujoco", "bullet")


def plan_training(name: str, steps: int, settings: dict[str, Any]) -> Any:
    """A training's configuration.

    Args:
        name: of the training.
        steps: control steps of all environments together.
        settings: over those of the recipe.
    """
    from policies.rl.recipes import configure

    mine = {
        "steps": steps,
        "evaluate_steps": max(1, steps // EVALUATIONS),
        "randomize": "train",
        "without": GROUPS.get(name, ()),
        "tensorboard": False,
    }
    return configure(ALGORITHM, TASK, **settings | mine)


def learn(name: str, out: Path, steps: int, settings: dict[str, Any]) -> None:
    """Train, unless that has been done.

    Args:
        name: of the training.
        out: folder of the run.
        steps: control steps.
        settings: over those of the recipe.

    Raises:
        UsageError: the folder holds another training.
    """
    from policies.rl.training import train

    config = plan_training(name, steps, settings)
    if is_done(out):
        trained = find_walker(name, out).trained
        for key in ("steps", "randomize", "without"):
            there, wanted = trained[key], getattr(config, key)
            if there != (list(wanted) if key == "without" else wanted):
                raise UsageError(
                    f"{out} holds a training with {key} {there}, and not {wanted}: "
                    f"give another --out, or remove it"
                )
        return
    train(ALGORITHM, config, task=TASK, out=out, resume=out.exists(), progress=False)


def is_done(out: Path) -> bool:
    """Whether a folder holds a training that has come to its end."""
    return (out / "config.json").is_file()


def compare(out: Path, plan: Plan) -> dict[str, Any]:
    """Walk with all that are trained: what is recorded.

    Args:
        out: their folders, by name.
        plan: how much is walked.
    """
    done = [name for name in LABELS if is_done(out / name)]
    policy, *others = (find_walker(LABELS[name], out / name) for name in done)
    found = measure(policy, others, plan)
    conclude(found["pairs"])
    return {
        "groups": GROUPS,
        "trained": {k: policy.trained[k] for k in ("steps", "num_envs", "seed")},
        "not_run": [LABELS[name] for name in LABELS if name not in done],
        **found,
        "terms": ranking(found["pairs"]),
    }


def main() -> None:
    """Train, walk, print, record."""
    parser = argparse.ArgumentParser(description="what of the randomisation matters")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--only", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--out", type=Path, default=Path("runs/rl-leave-out"))
    parser.add_argument("--episodes", type=int, default=100, help="in mujoco")
    parser.add_argument("--bullet-episodes", type=int, default=32)
    given = parser.parse_args()
    counts = given.episodes, given.bullet_episodes
    if min(counts) < 2:
        parser.error("an interval wants at least 2 episodes")
    if "whole" not in given.only and not is_done(given.out / "whole"):
        parser.error("all are compared with whole: name it in --only, too")
    for name in given.only:
        with get_context("spawn").Pool(1) as alone:
            alone.apply(learn, (name, given.out / name, given.steps, {}))
        print(f"{LABELS[name]}: trained", flush=True)
    plan = Plan(engines=ENGINES, episodes=dict(zip(ENGINES, counts, strict=True)))
    record(NAME, compare(given.out, plan))


if __name__ == "__main__":
    main()
