"""AlohaPick's script: the hand on the bowl's side fetches the cube.

All cubes lie where either hand comes, but each bowl is for the hand on its side.
"""

import numpy as np

from policies.aloha.script import Hands, Scene, Waypoint, straight, turned
from sims.tasks.aloha import SIDES
from sims.tasks.aloha_pick import CUBES

LOW = 0.023
"""Height of the grip at which the tips keep clear of the table [m]."""
CARRY = 0.16
"""Height of the grip on the way [m]."""
DROP = 0.085
"""Height of the grip where it lets go above a bowl [m]."""


def pick(scene: Scene, rng: np.random.Generator) -> Hands:
    """Waypoints of the one hand; the other stays."""
    values = scene.values
    side = next(s for s in SIDES if values[f"target_{s}_bowl"] > 0.5)
    name = next(c for c in CUBES if values[f"target_{c}"] > 0.5)
    cube = scene.pose(name)
    bowl = np.array([values[f"{side}_bowl_x"], values[f"{side}_bowl_y"]])
    pace = rng.uniform(0.9, 1.1)
    pitch = np.radians(rng.uniform(58, 66))
    forward = 0.0 if side == "left" else np.pi
    turn = np.arctan2(cube.rotation[1, 0], cube.rotation[0, 0])
    turn = (turn + np.pi / 4) % (np.pi / 2) - np.pi / 4
    above = rng.uniform(0.09, 0.12)

    over = Waypoint(
        time=1.4 * pace,
        position=np.array([*cube.position[:2], LOW + above]),
        rotation=turned(yaw=forward + turn, pitch=pitch),
        opening=1.0,
    )
    at = over.moved(0.8 * pace, (0, 0, -above))
    shut = at.moved(0.4, opening=0.0)
    lift = shut.moved(0.6 * pace, (0, 0, CARRY - LOW))
    base = {"left": -0.469, "right": 0.469}[side]
    aim = np.arctan2(bowl[1] - 0.5, bowl[0] - base)
    there = Waypoint(
        time=lift.time + 1.2 * pace,
        position=np.array([*(bowl + rng.uniform(-0.008, 0.008, 2)), CARRY]),
        rotation=turned(yaw=aim, pitch=pitch),
        opening=0.0,
    )
    down = there.moved(0.5 * pace, (0, 0, DROP - CARRY))
    let_go = down.moved(0.3, opening=1.0)
    away = let_go.moved(0.6 * pace, (0, 0, 0.1))
    return {
        side: [
            over,
            *straight(over, at),
            shut,
            *straight(shut, lift),
            *straight(lift, there),
            down,
            let_go,
            away,
        ]
    }
