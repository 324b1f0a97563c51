"""AlohaTransferCube's script: the right hand lifts, the left takes over.

The right hand grasps the cube's sides from above, tilted; it carries the cube to
where both arms reach well. The left hand grasps top and bottom, level, so that the two
pairs of fingers do not meet.
"""

import numpy as np

from policies.aloha.script import Hands, Scene, Waypoint, turned

MEET = np.array([0.0, 0.5, 0.25])
"""Where the cube is handed over [m]."""
WAYS = {"front": -0.12, "back": 0.12}
"""The two ways of :func:`transfer_two_ways`: how far from there along y [m]."""


def transfer_two_ways(scene: Scene, rng: np.random.Generator) -> Hands:
    """Either in front of the arms or behind them, drawn; never between.

    The left hand goes to one place or the other from the first step on, and the mean of
    both is neither: what a policy with one mode makes of such data.
    """
    way = WAYS[("front", "back")[int(rng.integers(2))]]
    return transfer(scene, rng, along_y=way)


def transfer(scene: Scene, rng: np.random.Generator, along_y: float = 0.0) -> Hands:
    """Waypoints of both hands.

    Args:
        scene: what is seen at the start.
        rng: for timing, heights and the place of the handing over.
        along_y: how far from :data:`MEET` it is [m].
    """
    cube = scene.pose("cube").position * [1, 1, 0] + np.array([0, 0, 0.02])
    pace = rng.uniform(0.9, 1.15)
    meet = MEET + rng.uniform(-0.02, 0.02, 3) + np.array([0.0, along_y, 0.0])
    above = rng.uniform(0.08, 0.12)
    down = turned(yaw=np.pi, pitch=np.radians(rng.uniform(55, 65)))
    level = turned(roll=np.pi / 2)

    over = Waypoint(
        time=1.3 * pace,
        position=cube + np.array([0, 0, above]),
        rotation=down,
        opening=1.0,
    )
    at = over.moved(0.7 * pace, (0, 0, 0.005 - above))
    shut = at.moved(0.4, opening=0.0)
    lift = shut.moved(0.5 * pace, (0, 0, above))
    there = lift.moved(1.0 * pace, tuple(meet - lift.position))
    wait = there.moved(1.1 * pace)
    let_go = wait.moved(0.3, opening=1.0)
    away = let_go.moved(0.6 * pace, (0.08, 0, 0.08))

    ready = Waypoint(
        time=there.time - 0.3,
        position=meet - np.array([0.12, 0, 0]),
        rotation=level,
        opening=1.0,
    )
    reach = ready.moved(0.9 * pace, (0.115, 0, 0))
    hold = reach.moved(0.4, opening=0.0)
    keep = hold.moved(away.time - hold.time + 0.8)
    return {
        "right": [over, at, shut, lift, there, wait, let_go, away],
        "left": [ready, reach, hold, keep],
    }
