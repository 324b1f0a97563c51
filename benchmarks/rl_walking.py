"""How a policy walks: straight ahead at one speed, and as the task commands.

Used by the benchmarks of trainings; nothing is recorded here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.statistics import wilson_interval

SPEED = 1.0
"""Of the walk straight ahead [m/s]."""
FIRST_ID = 9_000_000
"""Identity of the first episode straight ahead, apart from all others."""
WALKS_ID = 8_500_000
"""Of the first one of :func:`walks`: nothing was chosen by these."""
TASK = "humanoid-walk"
START = 100
"""Control steps before the speed counts: the task's grace."""


def straight(
    folder: Path,
    episodes: int,
    device: str = "cpu",
    engine: str | None = None,
    steps: int | None = None,
) -> dict[str, Any]:
    """Walk ahead at one speed for 20 s, nothing randomised: who falls, and how far.

    Args:
        folder: checkpoint of the policy.
        episodes: how many, side by side.
        device: where its network runs.
        engine: to walk in; None: the task's usual one.
        steps: control steps; None: an episode.
    """
    from policies import make_policy
    from sims import make_env, make_task

    task: Any = make_task(TASK)
    policy = make_policy(folder, task, episodes, device=device)
    env = make_env(task, num_envs=episodes, engine=engine)
    obs = env.reset(ids=FIRST_ID + np.arange(episodes))
    state: Any = env.state
    state.commands[:] = np.array([SPEED, 0.0, 0.0])
    state.command[:] = state.commands[:, 0]
    obs = {**obs, **task.observe(env.engine, state)}
    begun = state.place[:, :2].copy()
    fallen = np.zeros(episodes, bool)
    speeds = np.zeros(episodes)
    steps = steps or env.max_steps
    for step in range(steps):
        obs, _, terminated, _, _ = env.step(policy.act(obs))
        fallen |= terminated
        if step >= START:
            speeds += np.where(fallen, 0.0, state.velocity[:, 0])
    moved = np.linalg.norm(state.place[:, :2] - begun, axis=1)
    env.close()
    upright = int((~fallen).sum())
    mean = speeds[~fallen] / max(steps - START, 1)
    return {
        "n": episodes,
        "upright": upright,
        "interval": wilson_interval(upright, episodes),
        "speed": float(mean.mean()) if upright else 0.0,
        "distance": float(np.median(moved)),
    }


def own(
    folder: Path,
    episodes: int,
    randomize: str,
    device: str = "cpu",
    engine: str | None = None,
) -> dict[str, Any]:
    """The task's own episodes."""
    from policies import make_policy
    from policies.trial import try_out
    from sims import make_task

    task = make_task(TASK)
    policy = make_policy(folder, task, episodes, device=device)
    figures = try_out(policy, task, episodes, randomize=randomize, engine=engine)
    count = round(figures["success"] * episodes)
    return {"n": episodes, "interval": wilson_interval(count, episodes), **figures}


@dataclass(frozen=True, kw_only=True)
class Walks:
    """The task's own episodes, one by one, in the order of their identities."""

    seconds: np.ndarray
    """(n,) until a fall or the end [s]."""
    metres: np.ndarray
    """(n,) the way in the commanded direction until then [m]."""
    met: dict[str, np.ndarray]
    """Success and its parts, each (n,) bool."""


def walks(
    folder: Path,
    episodes: int,
    *,
    engine: str,
    randomize: str,
    device: str = "cpu",
    steps: int | None = None,
) -> Walks:
    """Episodes that are the same for every policy and in every engine.

    Args:
        folder: checkpoint of the policy.
        episodes: how many; as many side by side as the engine likes.
        engine: to walk in.
        randomize: a profile of the task.
        device: where the policy's network runs.
        steps: control steps of an episode; None: the task's.
    """
    from evaluation.episodes import chunks, start
    from policies import make_policy
    from sims import make_env, make_task
    from sims.registry import find_engine

    task: Any = make_task(TASK)
    size = find_engine(task, engine)[1].default_num_envs
    batches = list(chunks(episodes, size))
    env = make_env(task, engine=engine, num_envs=len(batches[0]), randomize=randomize)
    parts = []
    try:
        for ids in batches:
            policy = make_policy(folder, task, env.num_envs, device=device)
            obs = start(env, policy, WALKS_ID + ids, seed=0)
            parts.append(_walk(env, policy, obs, steps or env.max_steps))
    finally:
        env.close()
    joined = {
        key: np.concatenate([part[key] for part in parts])[:episodes]
        for key in parts[0]
    }
    seconds, metres = joined.pop("seconds"), joined.pop("metres")
    return Walks(seconds=seconds, metres=metres, met=joined)


def _walk(env: Any, policy: Any, obs: Any, steps: int) -> dict[str, np.ndarray]:
    """One batch, (num_envs,) each."""
    n = env.num_envs
    running = np.ones(n, bool)
    seconds, metres = np.zeros(n), np.zeros(n)
    met: dict[str, np.ndarray] = {}
    for step in range(steps):
        command = np.array(env.state.command[:, :2])
        ahead = command / np.linalg.norm(command, axis=1, keepdims=True)
        obs, _, terminated, truncated, info = env.step(policy.act(obs))
        sound = running & ~info["diverged"]
        speed = (np.asarray(env.state.velocity)[:, :2] * ahead).sum(axis=1)
        seconds += np.where(running, env.control_dt, 0.0)
        metres += np.where(sound, speed * env.control_dt, 0.0)
        ended = running & (terminated | truncated | (step == steps - 1))
        for name, values in {"success": info["success"], **info["outcomes"]}.items():
            kept = met.setdefault(name, np.zeros(n, bool))
            kept[ended] = (values & ~info["diverged"])[ended]
        running &= ~ended
        if not running.any():
            break
    return {"seconds": seconds, "metres": metres, **met}
