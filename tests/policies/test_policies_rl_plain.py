"""SAC and TD3 in the one loop: from the first step to a policy that acts, and on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ml.state_file import load_state
from ml.training_setup import STATE
from policies.rl.algorithms import find_algorithm
from policies.rl.policy import load
from policies.rl.recipes import find_recipe
from policies.rl.training import train
from sims import make_task

SMALL: dict[str, Any] = {
    "num_envs": 2,
    "warmup": 40,
    "replay": 400,
    "batch_size": 16,
    "hidden": (8, 8),
    "critic_hidden": (8, 8),
    "threads": 1,
    "evaluate_minutes": 0,
    "evaluate_episodes": 2,
    "tensorboard": False,
}
PENDULUM = "Pendulum-v1"


def run(name: str, out: Path, steps: int, **more: Any) -> Any:
    config = find_algorithm(name).config(**SMALL, steps=steps)
    return train(name, config, task=PENDULUM, out=out, progress=False, **more)


def weights(out: Path) -> dict[str, torch.Tensor]:
    """All that is learned, optimisers included."""
    tensors, _ = load_state(out / STATE)
    names = ("nets/", "optimizer/")
    return {k: v for k, v in tensors.items() if k.startswith(names)}


@pytest.mark.parametrize("name", ["sac", "td3"])
def test_a_training_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = run(name, whole, 200)
    assert (result.steps, result.updates) == (200, 80)  # one per step after the random
    run(name, parts, 120)
    halfway = weights(parts)
    run(name, parts, 200, resume=True)
    expected, found = weights(whole), weights(parts)
    assert set(expected) == set(found)
    for key, value in expected.items():
        assert torch.equal(value, found[key]), key
    assert any(not torch.equal(v, halfway[k]) for k, v in expected.items())
    policy = load(whole, make_task(PENDULUM), 3)
    action = policy.act({"state": np.random.default_rng(0).normal(size=(3, 3))})
    assert action.shape == (3, 1)
    assert np.abs(action).max() <= 2  # the pendulum's torque


def test_targets_follow_what_they_follow() -> None:
    """Half the way in an update; TD3's only when its actor moves."""
    from policies.rl.replay import Batch
    from policies.rl.worlds import Sizes

    rows, sizes = torch.randn(8, 3), Sizes(actor=3, critic=3, action=1)
    batch = Batch(
        obs=rows,
        action=torch.zeros(8, 1),
        reward=torch.ones(8),
        next_obs=rows + 1,
        discount=torch.full((8,), 0.9),
    )
    for name, moves in (("sac", [True, True]), ("td3", [False, True])):
        algorithm = find_algorithm(name)
        config = algorithm.config(hidden=(8,), critic_hidden=(8,), tau=0.5)
        learner = algorithm.make(sizes, config, torch.device("cpu"), None)
        pairs = [(learner.target, learner.critics)]
        if name == "td3":
            pairs.append((learner.target_policy, learner.policy))
        for moved in moves:
            before = [[p.clone() for p in old.parameters()] for old, _ in pairs]
            learner.update(batch)
            for kept, (old, new) in zip(before, pairs, strict=True):
                for was, now, goal in zip(
                    kept, old.parameters(), new.parameters(), strict=True
                ):
                    expected = (was + goal) / 2 if moved else was
                    torch.testing.assert_close(now, expected)


def test_the_pendulum_has_a_recipe() -> None:
    recipe = find_recipe("sac", PENDULUM, gpu=False)
    assert find_algorithm("sac").config(**recipe).num_envs == 4
    assert find_recipe("td3", PENDULUM, gpu=False) == {}
