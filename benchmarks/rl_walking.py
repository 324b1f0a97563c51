"""How a policy walks: straight ahead at one speed, and as the task commands.

Used by the benchmarks of trainings; nothing is recorded here.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ml.statistics import wilson_interval

SPEED = 1.0
"""Of the walk straight ahead [m/s]."""
FIRST_ID = 9_000_000
"""Identity of the first episode straight ahead, apart from all others."""
TASK = "humanoid-walk"
START = 100
"""Control steps before the speed counts: the task's grace."""


def straight(
    folder: Path, episodes: int, device: str = "cpu", engine: str | None = None
) -> dict[str, Any]:
    """Walk ahead at one speed for 20 s, nothing randomised: who falls, and how far."""
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
    for step in range(env.max_steps):
        obs, _, terminated, _, _ = env.step(policy.act(obs))
        fallen |= terminated
        if step >= START:
            speeds += np.where(fallen, 0.0, state.velocity[:, 0])
    moved = np.linalg.norm(state.place[:, :2] - begun, axis=1)
    env.close()
    upright = int((~fallen).sum())
    mean = speeds[~fallen] / (env.max_steps - START)
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
