"""A seven-jointed arm, and any MjModel rebuilt in Pinocchio from its numbers."""

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

CHAIN = """
<mujoco>
  <compiler angle="radian" autolimits="true"/>
  <worldbody>
    <body name="mast" pos="0.1 -0.2 0.3" quat="0.9 0.1 -0.3 0.2">
      <geom size="0.05" mass="1"/>
      <body name="b1" pos="0 0 0.2" quat="0.8 0.2 0.1 -0.3">
        <joint name="j1" axis="0.1 0.2 0.9" pos="0.02 0.01 0" armature="0.02"/>
        <inertial pos="0.05 0.02 0.1" quat="0.7 0.1 0.2 0.3" mass="2.1"
                  diaginertia="0.02 0.03 0.025"/>
        <body name="b2" pos="0.1 0 0.2">
          <joint name="j2" axis="0 1 0.1" range="-1.8 1.8" armature="0.01"/>
          <inertial pos="0 0.03 0.12" mass="1.7" diaginertia="0.02 0.02 0.01"/>
          <body name="b3" pos="0 0.05 0.25" quat="0.9 0 0.2 0.1">
            <joint name="j3" axis="0 0 1" damping="0.5"/>
            <inertial pos="0.02 0 0.1" mass="1.2" diaginertia="0.01 0.012 0.008"/>
            <body name="welded" pos="0.05 0.05 0.05" quat="0.6 0.4 0.1 0.2">
              <inertial pos="0.01 0.02 0.03" mass="0.4"
                        diaginertia="0.001 0.002 0.0015"/>
            </body>
            <body name="b4" pos="0 0 0.22">
              <joint name="j4" axis="1 0 0" range="-2.4 2.4" pos="0 0.01 0"/>
              <inertial pos="0 0 0.08" mass="0.9" diaginertia="0.006 0.006 0.003"/>
              <body name="b5" pos="0 0 0.18">
                <joint name="j5" axis="0 0 1"/>
                <inertial pos="0 0.02 0.03" mass="0.6" diaginertia="0.002 0.003 0.002"/>
                <body name="b6" pos="0 0 0.08">
                  <joint name="j6" axis="0 1 0" range="-2 2"/>
                  <inertial pos="0 0 0.04" mass="0.4" diaginertia="0.001 0.001 0.001"/>
                  <body name="b7" pos="0 0 0.07">
                    <joint name="j7" type="slide" axis="0 0 1" range="-0.1 0.1"/>
                    <inertial pos="0 0 0.02" mass="0.2" diaginertia="4e-4 4e-4 2e-4"/>
                    <site name="tool" pos="0.03 0 0.1" quat="0.9 0.3 0.1 0.1"/>
                  </body>
                </body>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="session")
def chain() -> mujoco.MjModel:
    """Six hinges and a slide, none of them aligned with anything."""
    return mujoco.MjModel.from_xml_string(CHAIN)


@pytest.fixture(scope="session")
def rebuild() -> Callable[[mujoco.MjModel, str], SimpleNamespace]:
    """(model, site) -> the same robot in Pinocchio; joints in MuJoCo's order."""
    return _rebuild


def _rebuild(model: mujoco.MjModel, site: str) -> SimpleNamespace:
    pin = import_module("pinocchio")  # compiled, without types

    def pose(position: np.ndarray, quat: np.ndarray):
        w, x, y, z = quat
        return pin.SE3(
            pin.Quaternion(w, x, y, z).normalized().matrix(), position.copy()
        )

    unit = np.array([1.0, 0.0, 0.0, 0.0])
    out = pin.Model()
    out.gravity.linear = model.opt.gravity.copy()
    frames = {0: (0, pin.SE3.Identity())}  # by body: its joint, and where it sits on it
    for body in range(1, model.nbody):
        parent, offset = frames[int(model.body_parentid[body])]
        placed = offset * pose(model.body_pos[body], model.body_quat[body])
        if model.body_jntnum[body]:
            joint = int(model.body_jntadr[body])
            axis, anchor = model.jnt_axis[joint].copy(), model.jnt_pos[joint]
            slide = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE
            kind = (
                pin.JointModelPrismaticUnaligned
                if slide
                else pin.JointModelRevoluteUnaligned
            )
            parent = out.addJoint(
                parent, kind(axis), placed * pose(anchor, unit), f"joint{joint}"
            )
            placed = pose(-anchor, unit)
            out.armature[out.joints[parent].idx_v] = model.dof_armature[
                model.jnt_dofadr[joint]
            ]
        frames[body] = (parent, placed)
        lever = pose(model.body_ipos[body], model.body_iquat[body])
        inertia = pin.Inertia(
            float(model.body_mass[body]), np.zeros(3), np.diag(model.body_inertia[body])
        )
        if parent:
            out.appendBodyToJoint(parent, inertia, placed * lever)
    index = model.site(site).id
    joint, placed = frames[int(model.site_bodyid[index])]
    where = placed * pose(model.site_pos[index], model.site_quat[index])
    frame = out.addFrame(pin.Frame(site, joint, where, pin.FrameType.OP_FRAME))
    return SimpleNamespace(pin=pin, model=out, data=out.createData(), frame=frame)
