"""The engines, by name. Heavy imports wait until one is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sims.engine import Engine


@dataclass(frozen=True, kw_only=True)
class EngineEntry:
    """An engine that can be asked for by name."""

    description: str
    """One line for ``sandbot list``."""
    make: Callable[..., "Engine"]
    """``(model, num_envs, threads) -> Engine``; with ``arrays``, where there is a
    choice of them."""
    default_num_envs: int
    """How many environments batch work (evaluation, collection) takes at once."""
    arrays: tuple[str, ...] = ("numpy",)
    """What its arrays may be, the usual ones first: "numpy", "torch"."""


def _mujoco(model: Any, num_envs: int, threads: int = 0) -> "Engine":
    from sims.engines.mujoco import MujocoEngine

    return MujocoEngine(model, num_envs, threads=threads)


def _bullet(model: Any, num_envs: int, threads: int = 0) -> "Engine":
    from sims.engines.bullet import BulletEngine

    return BulletEngine(model, num_envs)


def _warp(
    model: Any, num_envs: int, threads: int = 0, arrays: str = "numpy"
) -> "Engine":
    from sims.engines.warp import WarpEngine

    return WarpEngine(model, num_envs, arrays=arrays)


ENGINES: dict[str, EngineEntry] = {
    "mujoco": EngineEntry(
        description="MuJoCo on CPU threads, one environment to thousands",
        make=_mujoco,
        default_num_envs=256,
    ),
    "bullet": EngineEntry(
        description="PyBullet, a client per environment (up to 64): the second opinion",
        make=_bullet,
        default_num_envs=32,
    ),
    "warp": EngineEntry(
        description="MuJoCo Warp: thousands of environments on a GPU; single precision",
        make=_warp,
        default_num_envs=256,
        arrays=("numpy", "torch"),
    ),
}
