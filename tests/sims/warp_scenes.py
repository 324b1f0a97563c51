"""Scenes that put the engine ``warp`` to the test."""

import mujoco

WALKER = """
<mujoco><option timestep="0.004" integrator="implicitfast" cone="elliptic"
  jacobian="dense"><flag multiccd="disable"/></option>
<compiler angle="radian" autolimits="true"/>
<default>
  <joint damping="1" armature="0.02" range="-1.2 1.2"/>
  <position kp="60" kv="2" forcerange="-40 40"/>
</default>
<worldbody>
  <geom name="floor" type="plane" size="5 5 .1" friction="0.9"/>
  <body name="step" pos="0.6 0 0.05">
    <geom name="step" type="box" size=".2 .5 .05"/>
  </body>
  <body name="torso" pos="0 0 {height}">
    <freejoint name="root"/>
    <geom name="torso" type="box" size=".08 .15 .1" mass="6"/>
    <site name="imu" pos="0.02 0 0.05" euler="0.1 0.2 0.3"/>
    <body name="left_thigh" pos="0 .1 -.1">
      <joint name="left_hip" axis="0 1 0"/>
      <geom type="capsule" size=".03" fromto="0 0 -.03 0 0 -.17" mass="1.2"/>
      <body name="left_shank" pos="0 0 -.2"><joint name="left_knee" axis="0 1 0"/>
        <geom type="capsule" size=".025" fromto="0 0 -.03 0 0 -.17" mass=".8"/>
        <geom name="left_foot" type="box" size=".1 .05 .015" pos=".02 0 -.2" mass=".4"/>
      </body>
    </body>
    <body name="right_thigh" pos="0 -.1 -.1">
      <joint name="right_hip" axis="0 1 0"/>
      <geom type="capsule" size=".03" fromto="0 0 -.03 0 0 -.17" mass="1.2"/>
      <body name="right_shank" pos="0 0 -.2"><joint name="right_knee" axis="0 1 0"/>
        <geom type="capsule" size=".025" fromto="0 0 -.03 0 0 -.17" mass=".8"/>
        <geom name="right_foot" type="box" size=".1 .05 .015" pos=".02 0 -.2"
          mass=".4"/>
      </body>
    </body>
  </body>
</worldbody>
<actuator>
  <position name="left_hip" joint="left_hip"/>
  <position name="left_knee" joint="left_knee" delay="0.008" nsample="4"/>
  <position name="right_hip" joint="right_hip"/>
  <position name="right_knee" joint="right_knee" delay="0.008" nsample="4"/>
</actuator>
<sensor>
  <actuatorpos name="knee_length" actuator="left_knee"/>
  <actuatorvel name="knee_rate" actuator="left_knee"/>
  <framepos name="where" objtype="site" objname="imu"/>
  <gyro name="turn" site="imu"/>
  <accelerometer name="push" site="imu"/>
  <contact name="left_contact" geom1="floor" geom2="left_foot" reduce="netforce"
    data="force"/>
</sensor>{rest}</mujoco>
"""
"""A torso on two legs with delayed motors; ``height`` and ``rest`` are filled in."""


ROOM = """
<custom><numeric name="warp_nconmax" data="42"/>
<numeric name="warp_njmax" data="112"/></custom>
"""
"""What the warm-up pass finds for the walker, which takes half a second."""


def walker(rest: str = ROOM, height: float = 0.514) -> mujoco.MjModel:
    """It stands, its feet a millimetre deep in the floor, unless it is put higher."""
    return mujoco.MjModel.from_xml_string(WALKER.format(rest=rest, height=height))
