"""Scenes that put the engine ``bullet`` to the test, made at random or by hand."""

import mujoco
import numpy as np

BOX = """
<mujoco><option timestep="0.001" integrator="implicitfast"/>
<worldbody>
  <geom name="floor" type="plane" size="1 1 .1" friction="0.9"/>
  <body name="box" pos="0 0 0.099"><freejoint/>
    <geom name="box" type="box" size=".1 .1 .1" mass="1" friction="0.4"/>
    <geom name="bump" type="sphere" size=".03" pos="0 0 .1" mass=".1"/>
  </body>
</worldbody>
<sensor>
  <contact name="on_box" geom1="floor" geom2="box" reduce="netforce" data="force"/>
  <contact name="on_floor" body1="box" geom2="floor" reduce="netforce" data="force"/>
  <contact name="all" subtree1="box" reduce="netforce"
           data="found force torque dist pos normal tangent"/>
  <contact name="two" geom1="floor" num="2" reduce="maxforce"
           data="found force pos normal tangent"/>
  <contact name="six" geom1="floor" num="6" reduce="mindist" data="found force normal"/>
</sensor></mujoco>
"""
"""A box on the floor, and every kind of contact sensor."""

PENDULUM = """
<mujoco><option timestep="0.001"/>
<worldbody><body name="rod"><joint name="rod" axis="0 1 0" {joint}/>
  <geom type="capsule" size=".02" fromto="0 0 0 0 0 -.5" mass="1"/>
</body></worldbody>{rest}</mujoco>
"""
"""One rod on a hinge; ``joint`` and ``rest`` are filled in."""


def pendulum(joint: str = "", rest: str = "") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(PENDULUM.format(joint=joint, rest=rest))


def random_tree(
    seed: int, *, integrator: str, extras: bool, floating: bool, bodies: int = 6
) -> mujoco.MjModel:
    """A branching robot of hinges, slides and welded bodies with nothing aligned.

    Args:
        seed: of everything in it.
        integrator: of the scene.
        extras: armature, damping, springs and force-limited servos as well.
        floating: on a free joint, its centre of mass at the body's origin, else on a
            tilted body of the world.
        bodies: how many.
    """
    rng = np.random.default_rng(seed)
    parents = [-1, *(int(rng.integers(0, i)) for i in range(1, bodies))]

    def vector(size: float) -> str:
        return " ".join(map(str, rng.uniform(-size, size, 3)))

    def quaternion() -> str:
        return " ".join(map(str, rng.normal(size=4)))

    def joint(i: int) -> str:
        if i == 0 and floating:
            return "<freejoint/>"
        if i % 4 == 3:
            return ""
        kind = "slide" if i % 3 == 2 else "hinge"
        more = (
            f'armature="{rng.uniform(0.01, 0.1)}" damping="{rng.uniform(0.1, 1)}" '
            f'stiffness="{rng.uniform(0, 5)}" springref="{rng.uniform(-0.5, 0.5)}"'
        )
        return (
            f'<joint name="j{i}" type="{kind}" axis="{vector(1)}" pos="{vector(0.1)}" '
            f'ref="{rng.uniform(-0.5, 0.5)}" {more if extras else ""}/>'
        )

    def body(i: int) -> str:
        moments = " ".join(map(str, rng.uniform(0.016, 0.03, 3)))
        centre = "0 0 0" if floating and i == 0 else vector(0.1)
        children = "".join(body(k) for k in range(bodies) if parents[k] == i)
        return (
            f'<body name="b{i}" pos="{vector(0.3)}" quat="{quaternion()}">{joint(i)}'
            f'<inertial pos="{centre}" quat="{quaternion()}" '
            f'mass="{rng.uniform(0.5, 2)}" diaginertia="{moments}"/>{children}</body>'
        )

    root = body(0)
    if not floating:
        root = f'<body pos="{vector(0.3)}" quat="{quaternion()}">{root}</body>'
    moved = [i for i in range(bodies) if i % 4 != 3 and not (i == 0 and floating)]
    servos = "".join(
        f'<position joint="j{i}" kp="20" kv="2" gear="1.5" forcerange="-5 5" '
        f'ctrlrange="-1 1"/>'
        for i in moved
    )
    return mujoco.MjModel.from_xml_string(
        f'<mujoco><compiler angle="radian"/><option timestep="0.001" '
        f'integrator="{integrator}"/><worldbody>{root}</worldbody>'
        f"<actuator>{servos if extras else ''}</actuator></mujoco>"
    )
