"""How a policy does in its task's environment while it is trained.

The episodes' identities begin at :data:`FIRST_ID`, apart from those of recordings, of
trainings by trial and error and of tests: what is chosen by them can still be tested
honestly.
"""

from typing import Any

import numpy as np

from policies.seeing import environment_of

FIRST_ID = 2_000_000
"""Identity of the first episode."""


def try_out(
    policy: Any, task: Any, episodes: int, *, first_id: int = FIRST_ID, **choices: Any
) -> dict[str, float]:
    """Fractions of so many episodes with each notion of success, and mean return.

    Args:
        policy: for as many environments as there are episodes; it has ``ids``.
        task: what is to be done; it has to be one that measures success for "success"
            to be more than 0.
        episodes: how many, side by side.
        first_id: identity of the first.
        choices: of :func:`sims.make_env`: engine, randomisation, threads.

    Returns:
        Also the mean "length" [control steps] and "return".
    """
    env = environment_of(policy, task, num_envs=episodes, **choices)
    try:
        ids = first_id + np.arange(episodes)
        obs = env.reset(ids=ids)
        policy.ids = ids
        policy.reset()
        running, returns = np.ones(episodes, bool), np.zeros(episodes)
        lengths = np.zeros(episodes)
        reached: dict[str, np.ndarray] = {"success": np.zeros(episodes, bool)}
        for _ in range(env.max_steps):
            obs, reward, terminated, truncated, info = env.step(policy.act(obs))
            returns += np.where(running, reward, 0.0)
            lengths += running
            ended = running & (terminated | truncated)
            found = dict(info["outcomes"])
            if info["success"] is not None:
                found["success"] = info["success"]
            for name, values in found.items():
                kept = reached.setdefault(name, np.zeros(episodes, bool))
                kept[ended] = (values & ~info["diverged"])[ended]
            running &= ~ended
            if not running.any():
                break
    finally:
        env.close()
    figures = {name: float(values.mean()) for name, values in reached.items()}
    return figures | {
        "return": float(returns.mean()),
        "length": float(lengths.mean()),
    }
