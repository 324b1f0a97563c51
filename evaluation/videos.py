"""Short films of a success and a failure, replayed from the episode's seed.

The replay is the episode itself: physics, draws and network actions are the same bits
for one environment as for many. A policy that draws randomness of its own, unkeyed, may
take another course; a replay whose outcome differs from the measured one is not shown.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import SandbotError
from evaluation.rollout import Rollout, start

if TYPE_CHECKING:
    from sims.env import Env
    from sims.render import Renderer

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
    success: bool
    mp4: bytes


def record_clips(results: Sequence[Rollout]) -> tuple[list[Clip], str | None]:
    """The first success and the first failure of each policy in each engine.

    Returns:
        The clips, and a line that says why there are none where pictures cannot be
        drawn on this machine.
    """
    from sims.render import gl_backend

    try:
        gl_backend()
        clips = [record(result, episode) for result, episode in choose(results)]
    except SandbotError as error:
        return [], f"No videos: {error}"
    return [clip for clip in clips if clip is not None], None


def choose(results: Sequence[Rollout]) -> list[tuple[Rollout, int]]:
    """Which episodes to show: (result, episode), by policy and engine."""
    chosen: dict[tuple[str, str, bool], tuple[Rollout, int]] = {}
    for result in results:
        for success in (True, False):
            key = (result.policy, result.engine, success)
            found = np.flatnonzero(result.success == success)
            if key not in chosen and len(found):
                chosen[key] = (result, int(found[0]))
    order = list(dict.fromkeys((r.policy, r.engine) for r in results))
    keys = [(*pair, success) for pair in order for success in (True, False)]
    return [chosen[key] for key in keys if key in chosen]


def record(result: Rollout, episode: int) -> Clip | None:
    """Replay an episode and film it; None if its outcome is not the measured one.

    Raises:
        SandbotError: pictures cannot be drawn, or not be encoded.
    """
    frames, success = film(result, episode)
    if success != bool(result.success[episode]):
        return None
    return Clip(
        policy=result.policy,
        engine=result.engine,
        randomize=result.randomize,
        episode=episode,
        success=success,
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


def film(result: Rollout, episode: int) -> tuple[list[np.ndarray], bool]:
    """Pictures of one episode at :data:`FPS`, and whether it ended in success.

    Raises:
        SandbotError: pictures cannot be drawn.
    """
    from policies import make_policy
    from sims import make_env, make_task
    from sims.render import Renderer

    task = make_task(result.task)
    env = make_env(
        task, engine=result.engine, randomize=result.randomize, seed=result.seed
    )
    frames, success = [], False
    try:
        policy = make_policy(result.policy, task, 1, seed=result.seed)
        obs = start(env, policy, np.array([episode]), result.seed)
        every = max(1, round(1 / (FPS * env.control_dt)))
        with Renderer(env.engine.model, WIDTH, HEIGHT, quality="fast") as renderer:
            for step in range(env.max_steps):
                if step % every == 0:
                    frames.append(_picture(renderer, env))
                obs, _, terminated, truncated, info = env.step(policy.act(obs))
                if (terminated | truncated)[0]:
                    success = bool(info["success"][0]) and not info["diverged"][0]
                    break
            frames.append(_picture(renderer, env))
    finally:
        env.close()
    return frames, success


def _picture(renderer: "Renderer", env: "Env") -> np.ndarray:
    """(height, width, 3) uint8, through the scene's first camera."""
    from sims.render import camera_names

    _, data = env.engine.snapshot(0)
    cameras = camera_names(env.engine.model)
    return renderer.render(
        data, cameras[0] if cameras else None, env.task.markers(env.state, 0)
    )
