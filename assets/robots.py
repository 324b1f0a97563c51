"""The robots, their scenes, and how a scene is loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SandbotError, unknown
from assets.jacobian import choose_jacobian
from assets.plugins import find_plugins

if TYPE_CHECKING:
    import mujoco

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Robot:
    """A robot and the scenes it stands in."""

    name: str
    """Name on the command line."""
    description: str
    """One line for ``sandbot list``."""
    scenes: dict[str, Path | str]
    """MJCF file of each scene, or its text (a str); the first is the default."""
    tip: str
    """Site whose position the controllers steer."""
    cameras: tuple[str, ...] = ()
    """Cameras through which it sees, the default of image observations; empty: all
    that stand in its scenes."""
    finish: dict[str, Callable[["mujoco.MjSpec"], None]] = field(default_factory=dict)
    """By scene, what code adds to its file, such as the heights of a field."""


def _arm() -> Robot:
    return Robot(
        name="arm",
        description="two-link arm in the vertical plane, torque motors, gravity on",
        scenes={
            "free": FOLDER / "arm.xml",
            "wall": FOLDER / "arm_wall.xml",
            "obstacles": FOLDER / "arm_obstacles.xml",
        },
        tip="tip",
    )


def _viperx() -> Robot:
    return Robot(
        name="viperx",
        description="one arm of ALOHA, six joints and a parallel gripper",
        scenes={"alone": FOLDER / "aloha" / "viperx.xml"},
        tip="grip",
        cameras=("wrist",),
    )


def _aloha() -> Robot:
    scenes = ("transfer", "insertion", "handover", "pick")
    return Robot(
        name="aloha",
        description="two six-joint arms with grippers that face each other on a table",
        scenes={scene: FOLDER / "aloha" / f"{scene}.xml" for scene in scenes},
        tip="left/grip",
        cameras=("top", "left/wrist", "right/wrist"),
    )


def _mobile_aloha() -> Robot:
    return Robot(
        name="mobile-aloha",
        description="two six-joint arms side by side on a base with wheels",
        scenes={"fetch": FOLDER / "aloha" / "fetch.xml"},
        tip="left/grip",
        cameras=("head", "left/wrist", "right/wrist"),
    )


def _humanoid() -> Robot:
    return Robot(
        name="humanoid",
        description="a walking machine of 1.3 m and 35 kg with 29 joints and box feet",
        scenes={
            scene: FOLDER / "humanoid" / f"{scene}.xml" for scene in ("flat", "terrain")
        },
        tip="right_palm",
        cameras=("head",),
        finish={"terrain": _shape_ground},
    )


def _shape_ground(spec: "mujoco.MjSpec") -> None:
    from assets.terrain import shape_ground

    shape_ground(spec)


ROBOTS: dict[str, Callable[[], Robot]] = {
    "arm": _arm,
    "viperx": _viperx,
    "aloha": _aloha,
    "mobile-aloha": _mobile_aloha,
    "humanoid": _humanoid,
}


def _wrong(robot: object, name: str) -> str | None:
    """What is wrong with a robot of another package."""
    if not isinstance(robot, Robot):
        return f"is a {type(robot).__name__} where an assets.Robot is needed"
    if robot.name != name:
        return f"calls itself {robot.name!r}: give both the same name"
    return None if robot.scenes else "has no scenes"


ROBOTS.update(find_plugins("sandbot.robots", "robot", ROBOTS, _wrong))


def load_spec(robot: str, scene: str | None = None) -> "mujoco.MjSpec":
    """Load a fresh, editable spec of a robot in one of its scenes.

    Args:
        robot: a name in :data:`ROBOTS`.
        scene: one of the robot's scenes, or None for its first.

    Raises:
        UsageError: unknown robot or scene.
        SandbotError: MuJoCo cannot read or compile the file.
    """
    import mujoco

    if robot not in ROBOTS:
        raise unknown("robot", robot, ROBOTS)
    chosen = ROBOTS[robot]()
    scenes = chosen.scenes
    scene = next(iter(scenes)) if scene is None else scene
    if scene not in scenes:
        raise unknown(f"scene of {robot!r}", scene, scenes)
    source = scenes[scene]
    try:
        if isinstance(source, str):
            spec = mujoco.MjSpec.from_string(source)
        else:
            spec = mujoco.MjSpec.from_file(str(source))
        if scene in chosen.finish:
            chosen.finish[scene](spec)
        size = spec.compile().nv
    except ValueError as error:
        place = "its text" if isinstance(source, str) else source
        raise SandbotError(
            f"cannot load scene {scene!r} of {robot!r} from {place}: {error}"
        ) from error
    choose_jacobian(spec, size)
    return spec


def load_model(robot: str, scene: str | None = None) -> "mujoco.MjModel":
    """Compile :func:`load_spec`'s scene; the *nominal* model of the controllers."""
    return load_spec(robot, scene).compile()
