"""Short films of a success and a failure, replayed from the episode's seed.

The replay is the episode itself: physics, draws and network actions are the same bits
for one environment as for many. A policy that draws randomness of its own, unkeyed, may
take another course; a replay whose outcome differs from the measured one is not shown.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import SandbotError
from evaluation.episodes import start
from evaluation.rollout import Rollout

if TYPE_CHECKING:
    from sims.env import Env
    from sims.pictures import Pictures

WIDTH, HEIGHT = 400, 304
FPS = 25


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One episode to watch."""

    policy: str
    engine: str
    randomize: str
    episode: int
    """Its identity among the episodes of the seed."""
    success: bool | None
    """None: the task measures none, and ``total`` stands for it."""
    total: float
    """Return."""
    mp4: bytes


def record_clips(results: Sequence[Rollout]) -> tuple[list[Clip], str | None]:
    """The first success and the first failure of each policy in each engine.

    Where no success is measured, the episodes of the highest and the lowest return.

    Returns:
        The clips, and a line that says why there are none where pictures cannot be
        drawn on this machine.
    """
    try:
        clips = [record(result, episode) for result, episode in choose(results)]
    except SandbotError as error:
        return [], f"No videos: {error}"
    return [clip for clip in clips if clip is not None], None


def choose(results: Sequence[Rollout]) -> list[tuple[Rollout, int]]:
    """Which episodes to show: (result, episode), by policy and engine."""
    chosen: dict[tuple[str, str, bool], tuple[Rollout, int]] = {}
    for result in results:
        for good in (True, False):
            key = (result.policy, result.engine, good)
            found = _episodes(result, good)
            if key not in chosen and len(found):
                chosen[key] = (result, int(found[0]))
    order = list(dict.fromkeys((r.policy, r.engine) for r in results))
    keys = [(*pair, good) for pair in order for good in (True, False)]
    return [chosen[key] for key in keys if key in chosen]


def _episodes(result: Rollout, good: bool) -> np.ndarray:
    """Those that ended well, or badly; of returns alone, the best or the worst one."""
    if result.success is not None:
        return np.flatnonzero(result.success == good)
    if np.ptp(result.returns) == 0:
        return np.arange(int(good))
    return np.array([result.returns.argmax() if good else result.returns.argmin()])


def record(result: Rollout, episode: int) -> Clip | None:
    """Replay an episode and film it; None if its outcome is not the measured one.

    Raises:
        SandbotError: pictures cannot be drawn, or not be encoded.
    """
    frames, success, total = film(result, episode)
    if result.success is None:
        success = None
        same = bool(total == result.returns[episode])
    else:
        same = success == bool(result.success[episode])
    if not same:
        return None
    return Clip(
        policy=result.policy,
        engine=result.engine,
        randomize=result.randomize,
        episode=episode,
        success=success,
        total=total,
        mp4=encode(frames, FPS),
    )


def encode(frames: Iterable[np.ndarray], fps: int) -> bytes:
    """An H.264 film in an MP4 container that every browser plays.

    Args:
        frames: pictures (height, width, 3) uint8, of even height and width.
        fps: pictures per second.
    """
    import imageio

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with imageio.get_writer(
            path,
            fps=fps,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            output_params=[
                "-crf",
                "30",
                "-preset",
                "veryfast",
                "-movflags",
                "+faststart",
            ],
        ) as writer:
            for frame in frames:
                writer.append_data(frame)  # pyright: ignore[reportAttributeAccessIssue]
        return path.read_bytes()


def film(result: Rollout, episode: int) -> tuple[list[np.ndarray], bool | None, float]:
    """Pictures of one episode at :data:`FPS`, whether it ended in success, its return.

    Raises:
        SandbotError: pictures cannot be drawn.
    """
    from policies import make_policy
    from sims import make_env, make_task
    from sims.pictures import open_pictures

    task = make_task(result.task)
    env = make_env(
        task, engine=result.engine, randomize=result.randomize, seed=result.seed
    )
    frames, success, total = [], False, 0.0
    try:
        policy = make_policy(
            result.policy, task, 1, seed=result.seed, device=result.device
        )
        obs = start(env, policy, np.array([episode]), result.seed)
        every = max(1, round(1 / (FPS * env.control_dt)))
        with open_pictures(env.engine, WIDTH, HEIGHT, quality="fast") as pictures:
            for step in range(env.max_steps):
                if step % every == 0:
                    frames.append(_picture(pictures, env))
                obs, reward, terminated, truncated, info = env.step(policy.act(obs))
                total += float(reward[0])
                if (terminated | truncated)[0]:
                    success = _succeeded(info)
                    break
            frames.append(_picture(pictures, env))
    finally:
        env.close()
    return frames, success, total


def _succeeded(info: dict[str, Any]) -> bool | None:
    """At an episode's end; None: not measured."""
    if info["success"] is None:
        return None
    return bool(info["success"][0]) and not bool(info["diverged"][0])


def _picture(pictures: "Pictures", env: "Env") -> np.ndarray:
    """(height, width, 3) uint8, through the scene's first camera."""
    from sims.render import camera_names

    model = env.engine.model
    cameras = camera_names(model) if model is not None else []
    camera = cameras[0] if cameras else None
    return pictures.render(0, camera, env.markers(0))
