"""HumanoidPush: stay upright for 20 s under pushes that need a step.

Pushes of 50 to 200 N last 0.1 s each, twice as long as in HumanoidStand, and come every
2 to 4 s from any side (see :mod:`~sims.tasks.humanoid_pushes`). The hardest make the
robot 0.6 m/s faster: more than feet that stay where they are can take up. From 150 N on
the posture "stand" alone falls, whichever side it is pushed from. Solved: no fall in
20 s.

To step is no fault here: rewards care for an upright trunk and a quick return to rest,
and little for where the legs are.
"""

from typing import ClassVar

from sims.tasks.humanoid_pushes import PushedTask


class HumanoidPush(PushedTask):
    """See the module's top."""

    name = "humanoid-push"
    gym_id = "sandbot/HumanoidPush-v0"
    description = "stay upright for 20 s under pushes of up to 200 N for 0.1 s"
    duration = 0.1
    pauses = (2.0, 4.0)
    weights: ClassVar[dict[str, float]] = {
        "alive": 0.3,
        "upright": 0.2,
        "still": 0.15,
        "height": 0.1,
        "legs": 0.05,
        "arms": 0.05,
        "smooth": 0.1,
        "effort": 0.05,
    }
