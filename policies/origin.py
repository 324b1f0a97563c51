"""What a dataset notes of its origin, so that it can be repeated and continued."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import UsageError

if TYPE_CHECKING:
    from sims.env import Env


def origin(
    env: "Env",
    policy: str,
    *,
    randomize: str,
    seed: int,
    keep_failures: bool,
    cameras: Sequence[str],
    image_size: tuple[int, int],
) -> dict[str, Any]:
    """What a dataset notes of its origin.

    Args:
        env: in which it is recorded.
        policy: whose demonstrations they are.
        randomize: profile of the randomisation.
        seed: of all draws.
        keep_failures: whether episodes that did not succeed are kept.
        cameras: whose pictures are recorded, too.
        image_size: width and height of the pictures [pixels].
    """
    from ml.provenance import command, commit, versions

    return {
        "task": env.task.name,
        "policy": str(policy),
        "engine": env.engine.name,
        "randomize": randomize,
        "seed": seed,
        "keep_failures": keep_failures,
        "command": command(),
        "commit": commit(),
        "versions": versions(),
        "multiccd": _multiccd(env),
        "cameras": list(cameras),
        "image_size": [*image_size][: 2 * bool(cameras)],
    }


def check_resumed(out: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What the dataset noted, if it was recorded in the same way.

    Args:
        out: the dataset's folder; where there is none, it is about to begin.
        about: what would be noted now.

    Raises:
        UsageError: it was not; the message says what differs.
    """
    from ml.lerobot import read_dataset

    if not Path(out).exists():
        return about
    noted = read_dataset(out).about
    differs = [
        f"{key} was {noted.get(key)!r} and is {value!r}"
        for key, value in about.items()
        if key not in ("command", "commit") and noted.get(key) != value
    ]
    if differs:
        raise UsageError(
            f"{out} cannot be continued: {'; '.join(differs)}. Give the same options, "
            f"or another folder"
        )
    return noted


def _multiccd(env: "Env") -> str | None:
    """Whether MuJoCo finds several contacts of two convex bodies; None: no model.

    It does by default since 3.8, which changes what a gripper's contacts do.
    """
    model = getattr(env.engine, "model", None)
    if model is None:
        return None
    import mujoco

    flag = int(mujoco.mjtDisableBit.mjDSBL_MULTICCD)
    return "disabled" if model.opt.disableflags & flag else "enabled"
