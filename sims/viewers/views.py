"""What a viewer looks through: a camera of the scene, or one that a person moves."""

from typing import TYPE_CHECKING

from assets.errors import unknown
from sims.render import camera_names
from sims.viewers.pushes import floating_body

if TYPE_CHECKING:
    import mujoco

FOLLOW = "follow"
"""The view that goes where the robot goes, and that a person may turn."""


class Views:
    """Those of a scene, and which one is chosen."""

    def __init__(self, model: "mujoco.MjModel | None") -> None:
        """Choose what follows the robot, where it travels, or else the free camera.

        Args:
            model: the scene; None: there is none to look at.
        """
        self.cameras: tuple[str, ...] = ()
        """Names of the scene's."""
        self.follows: str | None = None
        """Name of the body that :data:`FOLLOW` follows; None: the robot stays."""
        if model is not None:
            self.cameras = tuple(camera_names(model))
            body = floating_body(model)
            self.follows = None if body is None else model.body(body).name or None
        self.chosen = self.names()[0]
        """One of :meth:`names`."""

    def names(self) -> list[str | None]:
        """What there is; None: the free camera. :data:`FOLLOW`, where the robot
        travels, takes the place of a camera of that name."""
        if self.follows is None:
            return [None, *self.cameras]
        return [FOLLOW, None, *(name for name in self.cameras if name != FOLLOW)]

    def choose(self, name: str | None) -> None:
        """Look through one of :meth:`names`.

        Raises:
            UsageError: there is none of that name.
        """
        if name not in self.names():
            raise unknown("camera", str(name), [n for n in self.names() if n])
        self.chosen = name

    def next(self) -> None:
        """Look through the next one."""
        names = self.names()
        self.chosen = names[(names.index(self.chosen) + 1) % len(names)]

    def followed(self, name: str | None) -> str | None:
        """Name of the body that a view follows by itself; None: it does not."""
        return self.follows if name == FOLLOW else None
