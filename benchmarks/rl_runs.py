"""One training of ours or of Stable-Baselines3's, judged alike.

Both are judged in Gymnasium's own environment, with the actor's action without noise,
from the same starts. Time is that of the training: what it takes to judge on the way is
taken off. Torch has one thread on either side.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Act = Callable[[np.ndarray], np.ndarray]
"""Observations (rows, size) -> actions (rows, size), in the environment's units."""
JUDGED_FROM = 10_000_000
"""Seed of the first episode that is judged; no training has it."""


def judge(act: Act, gym_id: str, episodes: int) -> np.ndarray:
    """Returns (episodes,) of a policy, in Gymnasium's environment."""
    import gymnasium as gym

    envs = gym.make_vec(gym_id, num_envs=episodes, vectorization_mode="sync")
    obs, _ = envs.reset(seed=JUDGED_FROM)
    returns, running = np.zeros(episodes), np.ones(episodes, bool)
    while running.any():
        obs, reward, terminated, truncated, _ = envs.step(act(obs))
        returns += np.where(running, reward, 0.0)
        running &= ~(terminated | truncated)
    envs.close()
    return returns


class Watch:
    """What is seen of a training: a curve, and its time without the looking."""

    def __init__(self, gym_id: str, every: int, episodes: int) -> None:
        """Begin the time.

        Args:
            gym_id: where it is judged.
            every: control steps between two looks.
            episodes: of a look.
        """
        self.gym_id, self.every, self.episodes = gym_id, every, episodes
        self.curve: list[tuple[int, float]] = []
        self._looking = np.zeros(2)
        self._began = _times()

    def look(self, steps: int, act: Act) -> None:
        """Judge the policy as it is after so many control steps."""
        began = _times()
        mean = float(judge(act, self.gym_id, self.episodes).mean())
        self.curve.append((steps, round(mean, 2)))
        self._looking += _times() - began

    def row(self, act: Act, episodes: int) -> dict[str, Any]:
        """End the time, and judge what came of it."""
        clock, processor = _times() - self._began - self._looking
        returns = judge(act, self.gym_id, episodes)
        return {
            "seconds": round(clock, 2),
            "processor_seconds": round(processor, 2),
            "return": float(returns.mean()),
            "return_spread": float(returns.std(ddof=1)),
            "episodes": episodes,
            "curve": self.curve,
        }


def _times() -> np.ndarray:
    """Of the clock and of the processor [s]."""
    return np.array([time.perf_counter(), time.process_time()])


def train_ours(
    algorithm: str, task: str, watch: Watch, settings: dict[str, Any], seed: int
) -> Act:
    """Train with an algorithm of :mod:`policies.rl`, in a task; its policy.

    Args:
        algorithm: its name.
        task: a task's name or a Gymnasium id, whose data are ``watch.gym_id``'s.
        watch: looks on the way.
        settings: fields of its configuration.
        seed: of everything.
    """
    import torch

    from policies.rl.algorithms import find_algorithm
    from policies.rl.policy import RLPolicy
    from policies.rl.trainer import Trainer
    from policies.rl.worlds import Worlds
    from sims import make_env

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    found = find_algorithm(algorithm)
    quiet = {"tensorboard": False, "checkpoint_seconds": 1e9, "threads": 1}
    config = found.config(evaluate_steps=watch.every, seed=seed, **quiet, **settings)
    device = torch.device("cpu")
    env = make_env(task, num_envs=config.num_envs, seed=seed, autoreset=True, threads=1)
    worlds = Worlds(env, device)
    learner = found.make(worlds.sizes, config, device, None)
    policy = RLPolicy(
        learner.actor(),
        obs_spec=env.obs_spec,
        action_spec=env.action_spec,
        control_dt=env.control_dt,
        num_envs=watch.episodes,
    )

    def act(obs: np.ndarray) -> np.ndarray:
        return policy.act({"state": obs})

    def look() -> dict[str, float]:
        watch.look(trainer.steps, act)
        return {"return": watch.curve[-1][1]}

    with tempfile.TemporaryDirectory() as folder:
        loop: Any = getattr(found, "loop", None) or Trainer
        trainer = loop(learner, worlds, config, Path(folder), look, {}, False)
        try:
            trainer.run()
        finally:
            worlds.close()
    return act


def train_theirs(
    algorithm: str, watch: Watch, steps: int, settings: dict[str, Any], seed: int
) -> Act:
    """Train with Stable-Baselines3's algorithm of that name, likewise.

    Args:
        algorithm: its name, ours.
        watch: looks on the way.
        steps: control steps.
        settings: arguments of its class; ``net_arch``, ``action_std`` and ``n_envs``
            are put where they belong.
        seed: of everything.
    """
    import gymnasium as gym
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    torch.set_num_threads(1)

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % watch.every == 0:
                watch.look(self.num_timesteps, act)
            return True

    given = dict(settings)
    if "net_arch" in given:
        given["policy_kwargs"] = {"net_arch": given.pop("net_arch")}
    if "action_std" in given:
        size: Any = gym.make(watch.gym_id).action_space.shape
        spread = np.full(size, given.pop("action_std"))
        given["action_noise"] = NormalActionNoise(np.zeros(size), spread)
    kind: Any = getattr(stable_baselines3, algorithm.upper())
    env = make_vec_env(watch.gym_id, given.pop("n_envs", 1))
    model = kind("MlpPolicy", env, seed=seed, device="cpu", **given)

    def act(obs: np.ndarray) -> np.ndarray:
        return model.predict(obs, deterministic=True)[0]

    model.learn(steps, callback=Look())
    return act
