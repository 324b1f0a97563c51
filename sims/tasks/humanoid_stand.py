"""HumanoidStand: stay upright for 20 s, whoever pushes.

Pushes of 50 to 200 N last 0.05 s each, and come every 0.5 to 1.5 s from any side (see
:mod:`~sims.tasks.humanoid_pushes`). Solved: no fall in 20 s. The posture "stand" alone,
under its stiff servos, survives a single push of 200 N from about half of all sides,
but not all of an episode's: to stay up the robot has to give way, or to step.
"""

from typing import ClassVar

from sims.tasks.humanoid_pushes import PushedTask


class HumanoidStand(PushedTask):
    """See the module's top."""

    name = "humanoid-stand"
    gym_id = "sandbot/HumanoidStand-v0"
    description = "stay upright for 20 s under pushes of up to 200 N for 0.05 s"
    duration = 0.05
    pauses = (0.5, 1.5)
    weights: ClassVar[dict[str, float]] = {
        "alive": 0.2,
        "upright": 0.2,
        "still": 0.15,
        "height": 0.1,
        "legs": 0.1,
        "arms": 0.1,
        "smooth": 0.1,
        "effort": 0.05,
    }
