"""AlohaHandover's script: grasp one end across, turn level, take the other end.

The giving hand grasps the sides of the box from above, at the end on its own side, and
turns the box along the line between the arms. The receiving hand comes level and takes
the other end by top and bottom.
"""

import numpy as np

from policies.aloha.script import Hands, Scene, Waypoint, straight, turned

MEET = np.array([0.0, 0.5, 0.25])
"""Where the box's centre is when it is handed over [m]."""
LOWEST = 0.023
"""Height of the grip at which the tips keep clear of the table [m]."""
INWARDS = {"gives": 0.02, "takes": 0.015}
"""How far from the box's end each hand grips it [m]."""


def handover(scene: Scene, rng: np.random.Generator) -> Hands:
    """Waypoints of both hands."""
    values, box = scene.values, scene.pose("box")
    half_x, half_z = values["box_half_x"], values["box_half_z"]
    to_left = values["target_is_left"] > 0.5
    giver, taker = ("right", "left") if to_left else ("left", "right")
    sign = 1.0 if to_left else -1.0
    turn = {"right": np.pi, "left": 0.0}
    pace = rng.uniform(0.9, 1.1)
    above = rng.uniform(0.08, 0.12)
    pitch = np.radians(rng.uniform(55, 65))
    meet = MEET + rng.uniform(-0.02, 0.02, 3)

    yaw = np.arctan2(box.rotation[1, 0], box.rotation[0, 0])
    arm = sign * (half_x - INWARDS["gives"])
    height = max(LOWEST, half_z)
    end = box.position[:2] + arm * np.array([np.cos(yaw), np.sin(yaw)])
    over = Waypoint(
        time=1.3 * pace,
        position=np.array([*end, height + above]),
        rotation=turned(yaw=turn[giver] + yaw, pitch=pitch),
        opening=1.0,
    )
    at = over.moved(0.7 * pace, (0, 0, -above))
    shut = at.moved(0.4, opening=0.0)
    lift = shut.moved(0.5 * pace, (0, 0, above))
    there = Waypoint(
        time=lift.time + 1.2 * pace,
        position=meet + np.array([arm, 0, height - half_z]),
        rotation=turned(yaw=turn[giver], pitch=pitch),
        opening=0.0,
    )
    wait = there.moved(1.0 * pace + 0.25)
    let_go = wait.moved(0.3, opening=1.0)
    away = let_go.moved(0.6 * pace, (0.08 * sign, 0, 0.08))

    take = meet - np.array([sign * (half_x - INWARDS["takes"]), 0, 0])
    ready = Waypoint(
        time=there.time - 0.2,
        position=take - np.array([sign * 0.1, 0, 0]),
        rotation=turned(yaw=turn[taker], roll=np.pi / 2),
        opening=1.0,
    )
    reach = ready.moved(1.0 * pace, (sign * 0.1, 0, 0))
    hold = reach.moved(0.4, opening=0.0)
    keep = hold.moved(away.time - hold.time + 0.8)
    return {
        giver: [
            over,
            *straight(over, at),
            shut,
            lift,
            *straight(lift, there),
            wait,
            let_go,
            away,
        ],
        taker: [ready, *straight(ready, reach), hold, keep],
    }
