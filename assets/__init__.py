"""What is the robot? MJCF scenes, the one source of every engine's model.

``load_spec("arm", "wall")`` gives a fresh, editable ``mujoco.MjSpec``; ``ROBOTS`` says
what there is. Other packages add robots through the entry point group
``sandbot.robots``, each entry a function that returns a :class:`Robot`.
"""

from assets.errors import SandbotError, UsageError, unknown
from assets.robots import ROBOTS, Robot, load_model, load_spec

__all__ = [
    "ROBOTS",
    "Robot",
    "SandbotError",
    "UsageError",
    "load_model",
    "load_spec",
    "unknown",
]
