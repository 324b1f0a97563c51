"""AlohaPegInsertion's script: both hands lift their part, the right one pushes.

Each hand grasps the sides of its part from above, tilted outwards, so that the palms
keep clear of each other when the fingers are 10 cm apart.
"""

import numpy as np

from policies.aloha.script import Hands, Scene, Waypoint, straight, turned

MEET = np.array([0.0, 0.5, 0.17])
"""Where the socket's mouth is when the peg comes [m]."""
GRIP = {"peg": 0.023, "socket": 0.026}
"""Height of the grip above the table, at which the tips do not touch it [m]."""
LYING = {"peg": 0.01, "socket": 0.022}
"""Height of a part's centre where it lies [m]."""
HALF = 0.06
"""Half the length of either part [m]."""


def insertion(scene: Scene, rng: np.random.Generator) -> Hands:
    """Waypoints of both hands."""
    pace = rng.uniform(0.9, 1.1)
    pitch = np.radians(rng.uniform(55, 65))
    mouth = MEET + rng.uniform(-0.02, 0.02, 3)
    above = rng.uniform(0.07, 0.1)
    gap = rng.uniform(0.03, 0.05)
    deep = 0.032
    parts = {"left": ("socket", 0.0, -HALF), "right": ("peg", np.pi, HALF + gap)}
    hands: Hands = {}
    for side, (part, yaw, along) in parts.items():
        place = scene.pose(part).position
        over = Waypoint(
            time=1.3 * pace,
            position=np.array([place[0], place[1], GRIP[part] + above]),
            rotation=turned(yaw=yaw, pitch=pitch),
            opening=1.0,
        )
        at = over.moved(0.7 * pace, (0, 0, -above))
        shut = at.moved(0.4, opening=0.0)
        lift = shut.moved(0.5 * pace, (0, 0, above))
        held = np.array([along, 0, GRIP[part] - LYING[part]])
        meet = lift.moved(1.2 * pace, tuple(mouth + held - lift.position))
        wait = meet.moved(0.3)
        hands[side] = [
            over,
            *straight(over, at),
            shut,
            lift,
            *straight(lift, meet),
            wait,
        ]
    begin = hands["right"][-1]
    pushed = begin.moved(pace, (-gap - deep, 0, 0))
    hands["right"] += [*straight(begin, pushed), pushed.moved(1.0)]
    hands["left"].append(hands["left"][-1].moved(pace + 1.0))
    return hands
