"""Do recorded actions give the recorded states again?

Each episode starts from its seed and identity in the engine that recorded it, executes
what was executed then, and every observation, reward and success is compared with the
file, bit for bit. In ``mujoco`` they are the same on one version of it; a difference
says that the simulation, the task or the file has changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError, UsageError

if TYPE_CHECKING:
    from ml.lerobot import Demonstrations
    from sims.env import Env

NUM_ENVS = 10
"""Episodes at once."""
NEEDED = ("task", "engine", "randomize")
"""What a dataset must note to be replayed."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How one episode went again."""

    episode: int
    frames: int
    frame: int | None
    """The first one that differs; None: none does."""
    feature: str | None
    """That differs there."""
    error: float
    """Largest difference of any observation or reward in the episode."""

    @property
    def same(self) -> bool:
        """Whether all bits are the same."""
        return self.frame is None


def replay(
    folder: Path,
    episodes: Sequence[int] = (),
    *,
    num_envs: int = NUM_ENVS,
    threads: int = 0,
    progress: Callable[[int], object] | None = None,
) -> list[Replayed]:
    """Play episodes again.

    Args:
        folder: of the dataset.
        episodes: which; none: all.
        num_envs: how many at once; the result does not depend on it.
        threads: of the engine; 0: one per core.
        progress: told how many are done.

    Raises:
        UsageError: no such episode, or a dataset that does not say how to begin.
        SandbotError: it is damaged.
    """
    from ml.lerobot import read_dataset

    data = read_dataset(folder)
    chosen = list(episodes) or list(range(len(data.episodes)))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index in chosen:
        data.episode(index)
        groups.setdefault(origin(data, index), []).append(index)
    found: list[Replayed] = []
    for (task, engine, randomize, seed), members in groups.items():
        from sims import make_env

        env = make_env(
            task,
            engine=engine,
            randomize=randomize,
            num_envs=min(num_envs, len(members)),
            threads=threads,
        )
        try:
            for first in range(0, len(members), env.num_envs):
                found += _batch(env, data, members[first : first + env.num_envs], seed)
                if progress is not None:
                    progress(len(found))
        finally:
            env.close()
    return sorted(found, key=lambda one: chosen.index(one.episode))


def other_versions(data: "Demonstrations") -> list[str]:
    """Packages that were of another version when the data were recorded."""
    from ml.provenance import versions

    now, lines = versions(), {}
    for index in range(len(data.episodes)):
        for name, version in (data.origin(index).get("versions") or {}).items():
            if now.get(name) != version:
                lines[f"{name} {version} then, {now.get(name, 'none')} now"] = None
    return list(lines)


def origin(data: "Demonstrations", index: int) -> tuple[Any, ...]:
    """Task, engine, randomisation and seed of an episode."""
    about, row = data.origin(index), data.episodes[index]
    if any(about.get(name) is None for name in NEEDED) or row.get("id") is None:
        raise UsageError(
            f"episode {index} of {data.folder} cannot be replayed: the dataset does "
            f"not note task, engine, randomisation, seed and identity, as those of "
            f"'sandbot collect' do"
        )
    return (*(about[name] for name in NEEDED), int(row["seed"]))


def executed(episode: dict[str, Any]) -> np.ndarray:
    """(frames, action_dim): what was done in an episode, noise included."""
    from ml.lerobot.layout import ACTION, EXECUTED

    key = EXECUTED if EXECUTED in episode else ACTION
    return episode[key].reshape(len(episode["frame_index"]), -1)


def _batch(
    env: "Env", data: "Demonstrations", members: list[int], seed: int
) -> list[Replayed]:
    """Replay as many episodes as there are environments, or fewer."""
    from ml.lerobot.layout import PREFIX

    padded = members + members[-1:] * (env.num_envs - len(members))
    ids = np.array([data.episodes[index]["id"] for index in padded])
    recorded = [data.episode(index) for index in padded]
    lengths = np.array([len(one["frame_index"]) for one in recorded])
    actions = [executed(one) for one in recorded]
    groups = [g for g in data.groups if g in env.obs_spec]
    if not groups:
        raise SandbotError(
            f"{data.folder} records {', '.join(data.groups) or 'no vectors'}, the task "
            f"observes {', '.join(env.obs_spec)}: there is nothing to compare"
        )
    differs: list[tuple[int, str] | None] = [None] * len(padded)
    errors = np.zeros(len(padded))
    obs = env.reset(seed=seed, ids=ids)
    for t in range(int(lengths.max())):
        now = {PREFIX + group: obs[group] for group in groups}
        rows = [np.minimum(t, n - 1) for n in lengths]
        acts = np.stack([a[r] for a, r in zip(actions, rows, strict=True)])
        obs, reward, _, _, info = env.step(acts.astype(np.float64))
        now["next.reward"] = np.asarray(reward)
        if info["success"] is not None:
            now["next.success"] = info["success"] & ~info["diverged"]
        for i in np.flatnonzero(t < lengths):
            for name, values in now.items():
                was = np.ravel(recorded[i][name][t])
                new = np.ravel(values[i]).astype(was.dtype)
                if not np.array_equal(was, new):
                    differs[i] = differs[i] or (t, name)
                    error = np.abs(was.astype(float) - new.astype(float)).max()
                    errors[i] = max(errors[i], error)
    return [
        Replayed(
            episode=index,
            frames=int(lengths[i]),
            frame=difference[0] if (difference := differs[i]) else None,
            feature=difference[1] if difference else None,
            error=float(errors[i]),
        )
        for i, index in enumerate(members)
    ]
