"""The robot: a cart on a rail, with a pole that stands on it and falls.

A force pushes the cart; nothing turns the pole.
"""

from assets import Robot

POLE = 0.6
"""Length of the pole [m]."""
TRACK = 1.5
"""How far the cart goes to either side [m]."""

MJCF = f"""
<mujoco model="cart-pole">
  <option timestep="0.002" integrator="implicitfast"/>
  <statistic center="0 0 0.5" extent="1.5"/>
  <visual>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.4 0.4 0.4"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="64" height="384"
             rgb1="0.75 0.82 0.9" rgb2="0.95 0.96 0.98"/>
  </asset>
  <default>
    <geom contype="0" conaffinity="0"/>
  </default>
  <worldbody>
    <light pos="0 -2 3" dir="0 0.5 -1" diffuse="0.5 0.5 0.5"/>
    <camera name="side" pos="0 -2.4 0.9" xyaxes="1 0 0 0 0.2 1"/>
    <geom name="floor" type="plane" size="8 8 0.1" rgba="0.8 0.82 0.85 1"/>
    <geom name="rail" type="capsule" size="0.02" rgba="0.35 0.37 0.4 1"
          fromto="-{TRACK + 0.2} 0 0.3 {TRACK + 0.2} 0 0.3"/>
    <body name="cart" pos="0 0 0.3">
      <joint name="slide" type="slide" axis="1 0 0" damping="0.5"
             range="-{TRACK} {TRACK}"/>
      <geom name="cart" type="box" size="0.14 0.09 0.06" mass="1"
            rgba="0.16 0.32 0.55 1"/>
      <body name="pole">
        <joint name="pivot" type="hinge" axis="0 1 0" damping="0.002"/>
        <geom name="pole" type="capsule" size="0.02" mass="0.2"
              fromto="0 0 0 0 0 {POLE}" rgba="0.9 0.55 0.15 1"/>
        <site name="tip" pos="0 0 {POLE}" size="0.03"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="push" joint="slide" ctrlrange="-10 10"/>
  </actuator>
</mujoco>
"""


def cart_pole() -> Robot:
    """What the entry point names."""
    return Robot(
        name="cart-pole",
        description="a cart on a rail with a pole that it has to keep upright",
        scenes={"free": MJCF},
        tip="tip",
    )
