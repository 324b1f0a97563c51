"""Settings that are known to work, by algorithm and task: what is not told is these.

A recipe lies over the configuration's own defaults, and what a person asks for lies
over the recipe. For the engine ``warp`` on a GPU there are others, since thousands of
environments want larger batches.
"""

from fnmatch import fnmatchcase
from typing import Any

from policies.rl.algorithms import find_algorithm

Recipe = dict[str, Any]

HUMANOID: Recipe = {
    "steps": 1_000_000_000,
    "num_envs": 64,
    "updates": 2,
    "replay": 1_000_000,
    "gamma": 0.97,
    "n_step": 3,
    "learning_rate": 6e-4,
    "target_std": 0.03,
    "curriculum": False,
    "precision": "auto",
}
"""Two cores: one steps the worlds, the other learns; it goes on until it is stopped, or
its ``minutes`` are over. All commands from the beginning: a
curriculum that raised its level by whole episodes was left at its lowest for most of
the training, and taught commands that were not the task's."""
ARM: Recipe = {
    "num_envs": 64,
    "updates": 4,
    "replay": 500_000,
    "warmup": 3_000,
    "n_step": 5,
    "learning_rate": 1e-3,
    "hidden": (128, 128),
    "critic_hidden": (128, 128),
    "target_std": 0.05,
    "evaluate_minutes": 1.0,
    "evaluate_episodes": 100,
}
"""Torques at 100 Hz: windows of five steps, and small networks that learn fast."""
PENDULUM: Recipe = {
    "steps": 20_000,
    "num_envs": 4,
    "updates": 1,
    "replay": 100_000,
    "warmup": 500,
    "gamma": 0.98,
    "tau": 0.02,
    "learning_rate": 2e-3,
    "hidden": (64, 64),
    "critic_hidden": (64, 64),
    "evaluate_minutes": 0.0,
    "overlap": False,
}
"""A quarter of the usual updates, which move faster, on networks a tenth as large; an
environment that takes 20 microseconds is not worth a thread."""
PAPER: Recipe = {
    "steps": 10_000_000_000,
    "num_envs": 4096,
    "replay": 4096 * 1024,
    "warmup": 4096 * 10,
    "batch_size": 8192,
    "updates": 8,
    "actor_every": 4,
    "gamma": 0.97,
    "tau": 0.125,
    "hidden": (512, 256, 128),
    "critic_hidden": (768, 384, 192),
    "atoms": 101,
    "precision": "bf16",
    "target_std": 0.03,
    "curriculum": False,
}
"""Seo et al. 2025, as their code has it (holosoma, ``algo.py``)."""

GYM_HUMANOID: Recipe = {
    "steps": 1_000_000_000,
    "num_envs": 64,
    "updates": 2,
    "replay": 1_000_000,
    "gamma": 0.99,
    "n_step": 3,
    "learning_rate": 6e-4,
    "target_std": 0.1,
    "reward_scale": 0.1,
    "precision": "auto",
    "evaluate_minutes": 2.0,
    "evaluate_episodes": 20,
}
"""Two cores again: an update for 32 steps, where SAC has one for each. Rewards of about
6 a step are scaled so that returns of up to 10,000 lie within the atoms."""
FLASH_HUMANOID: Recipe = {
    "num_envs": 32,
    "updates": 8,
    "batch_size": 256,
    "hidden": (128, 128),
    "critic_hidden": (128, 128),
    "precision": "auto",
    "evaluate_minutes": 15,
    "evaluate_episodes": 10,
}
"""FlashSAC on two cores: an update for four steps, of half the published batch and
half the published width."""
RSL: Recipe = {
    "num_envs": 4096,
    "rollout": 24,
    "epochs": 5,
    "batch_size": 24576,
    "gamma": 0.99,
    "lam": 0.95,
    "learning_rate": 1e-3,
    "desired_kl": 0.01,
    "value_clip": 0.2,
    "value_weight": 1.0,
    "entropy_weight": 0.005,
    "max_grad_norm": 1.0,
    "normalize_advantage": "rollout",
    "activation": "elu",
    "hidden": (512, 256, 128),
    "critic_hidden": (512, 256, 128),
}
"""PPO for a walking humanoid as mjlab has it, on rsl_rl: four batches a roll-out."""
FAST_TD3: Recipe = {
    "num_envs": 1024,
    "replay": 1024 * 10240,
    "warmup": 1024 * 10,
    "batch_size": 32768,
    "updates": 2,
    "gamma": 0.97,
    "hidden": (512, 256, 128),
    "critic_hidden": (1024, 512, 256),
    "precision": "bf16",
}
"""Seo et al. 2025, as their code has it for MuJoCo Playground."""
FLASH: Recipe = {
    "num_envs": 1024,
    "replay": 10_000_000,
    "warmup": 100_000,
    "batch_size": 2048,
    "updates": 2,
    "gamma": 0.97,
    "precision": "bf16",
    "steps": 50_000_000,
}
"""FlashSAC as published for simulators on a GPU, and for a walk's short horizon."""

RECIPES: dict[str, dict[str, Recipe]] = {
    "fastsac": {
        "humanoid-*": HUMANOID,
        "arm-*": ARM,
        "gym-humanoid*": GYM_HUMANOID,
        "Humanoid-v5": GYM_HUMANOID,
    },
    "flashsac": {"gym-humanoid*": FLASH_HUMANOID, "Humanoid-v5": FLASH_HUMANOID},
    "sac": {"Pendulum-v1": PENDULUM},
}
"""By algorithm and pattern of the task's name; the first that fits counts."""
GPU_RECIPES: dict[str, dict[str, Recipe]] = {
    "fastsac": {"humanoid-*": PAPER},
    "fasttd3": {"humanoid-*": FAST_TD3},
    "flashsac": {"humanoid-*": FLASH},
    "ppo": {"humanoid-*": RSL},
}
"""Likewise, on a GPU."""


def find_recipe(algorithm: str, task: str, *, gpu: bool) -> Recipe:
    """The settings for a task; empty: there are none.

    Args:
        algorithm: its name.
        task: its name, or a Gymnasium id.
        gpu: whether the engine's worlds are on a GPU.
    """
    tables = [GPU_RECIPES, RECIPES] if gpu else [RECIPES]
    for table in tables:
        for pattern, recipe in table.get(algorithm, {}).items():
            if fnmatchcase(task, pattern):
                return recipe
    return {}


def configure(algorithm: str, task: str, *, gpu: bool = False, **settings: Any) -> Any:
    """An algorithm's configuration for a task.

    Args:
        algorithm: its name.
        task: its name, or a Gymnasium id.
        gpu: whether the engine's worlds are on a GPU.
        settings: over those of the recipe.

    Raises:
        UsageError: there is no such algorithm, or a setting is not allowed.
    """
    recipe = find_recipe(algorithm, task, gpu=gpu)
    return find_algorithm(algorithm).config(**recipe | settings)
