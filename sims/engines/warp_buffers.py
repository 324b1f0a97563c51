"""How much room MuJoCo Warp gets for contacts and constraints, and was it enough?

Buffers have a fixed size: contacts (and the candidate pairs they are found among) share
one for all worlds, constraint rows have one per world. Where the scene's geometry
bounds them tightly the bound is taken. Else a warm-up pass lets some worlds move from
ordinary and from wild postures under random commands, and what they need at most gets
a margin. A scene may also say it: ``<custom><numeric name="warp_nconmax" data="64"/>
<numeric name="warp_njmax" data="256"/></custom>``, per world.
"""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from assets.errors import UsageError
from sims.engine import EngineError
from sims.engines import warp_kernels as kernels
from sims.engines.warp_build import import_warp

wp, mjw = import_warp()

WORLDS, SECONDS, MOST_STEPS, HOLD = 32, 0.6, 300, 20
"""Of the warm-up pass; commands are held for so many steps."""
MARGIN, SPARE = 2.0, 8
CROWD = 16
"""Up to so many worlds may all be at the worst at once; more are so on average."""
SMALL = 64
"""Contacts of one world below which the bound is taken, without a warm-up pass."""
PER_PAIR = 8
"""Contacts of two geoms at most: a geom and a height field have at most 4."""
ROUND = 16
"""Rows come in multiples: some kernels are compiled for their number."""

CAUSES = {
    "NEFC": "njmax, the constraint rows of one world",
    "NJMAX_NNZ": "njmax, the constraint rows of one world",
    "BROADPHASE": "nconmax, contacts and candidate pairs per world",
    "NARROWPHASE": "nconmax, contacts and candidate pairs per world",
    "CCD": "nconmax, contacts and candidate pairs per world",
    "HFIELD": "the contacts that one geom has with a height field: make the field "
    "coarser, or the geom smaller",
    "CONTACT_MATCH": 'the scene\'s <numeric name="contact_sensor_maxmatch">, contacts '
    "that one sensor looks at",
    "TACTILE": "the contacts that one tactile sensor looks at",
    "EPA_HORIZON": "the collision of two meshes: give the scene more ccd_iterations",
}
"""What ran out, by the name of MuJoCo Warp's flag. Its other flags are no buffers:
iterations of the solver may run out in MuJoCo as well."""


@dataclass(frozen=True, kw_only=True)
class Buffers:
    """Sizes of the two buffers."""

    naconmax: int
    """Contacts of all worlds, and as many candidate pairs."""
    njmax: int
    """Constraint rows of one world."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What was needed, or can be at most."""

    contacts: float
    """Contacts or candidate pairs of one world."""
    rows: float
    """Constraint rows of one world."""
    crowd: float
    """Contacts or candidate pairs per world, on average over all of them."""


def size(
    model: mujoco.MjModel,
    placed: Any,
    num_envs: int,
    nconmax: int | None = None,
    njmax: int | None = None,
) -> Buffers:
    """The sizes for a number of worlds.

    Args:
        model: of the scene.
        placed: the same, on the device.
        num_envs: worlds.
        nconmax: contacts and candidate pairs per world; None: the scene's, or found.
        njmax: constraint rows of one world; None: the scene's, or found.

    Raises:
        UsageError: a size below 1.
    """
    nconmax = setting(model, "warp_nconmax") if nconmax is None else nconmax
    njmax = setting(model, "warp_njmax") if njmax is None else njmax
    for name, given in (("nconmax", nconmax), ("njmax", njmax)):
        if given is not None and given < 1:
            raise UsageError(f"{name} must be at least 1, got {given}")
    if nconmax is not None and njmax is not None:
        return Buffers(naconmax=nconmax * num_envs, njmax=njmax)
    limit = bound(model, len(placed.nxn_geom_pair_filtered))
    need = limit
    if limit.contacts > SMALL:
        need = warm_up(model, placed, limit)
    contacts = min(num_envs, CROWD) * need.contacts
    contacts += max(0, num_envs - CROWD) * min(need.crowd, need.contacts)
    return Buffers(
        naconmax=int(np.ceil(contacts)) if nconmax is None else nconmax * num_envs,
        njmax=_rounded(need.rows) if njmax is None else njmax,
    )


def setting(model: mujoco.MjModel, name: str) -> int | None:
    """A number that the scene gives under ``<custom>``; None: it does not."""
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_NUMERIC, name)
    if index < 0:
        return None
    return int(model.numeric_data[model.numeric_adr[index]])


def bound(model: mujoco.MjModel, pairs: int) -> Need:
    """What can be needed at most, by geometry.

    Args:
        model: of the scene.
        pairs: of geoms that may touch.
    """
    contacts = float(max(1, PER_PAIR * pairs))
    if model.nflex or (model.geom_type == mujoco.mjtGeom.mjGEOM_HFIELD).any():
        contacts = np.inf
    condim = max([1, *model.geom_condim.tolist(), *model.pair_dim.tolist()])
    pyramid = model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    per_contact = 2 * (condim - 1) if pyramid and condim > 1 else condim
    widths = {
        int(mujoco.mjtEq.mjEQ_CONNECT): 3,
        int(mujoco.mjtEq.mjEQ_WELD): 6,
        int(mujoco.mjtEq.mjEQ_JOINT): 1,
        int(mujoco.mjtEq.mjEQ_TENDON): 1,
    }
    fixed = sum(widths.get(int(kind), np.inf) for kind in model.eq_type)
    fixed += (model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum()
    # a limit may hold on both sides at once
    fixed += 2 * model.jnt_limited.sum() + 2 * model.tendon_limited.sum()
    rows = float(fixed + contacts * per_contact)
    return Need(contacts=contacts, rows=rows, crowd=contacts)


def warm_up(model: mujoco.MjModel, placed: Any, limit: Need) -> Need:
    """What some worlds need that move from many postures, with a margin.

    Raises:
        EngineError: they need more than there is room for even here.
    """
    nconmax, njmax = 128, 512
    for _ in range(3):
        nconmax = int(min(nconmax, limit.contacts))
        njmax = int(min(njmax, _rounded(limit.rows) if limit.rows < np.inf else njmax))
        peak, seen = _measure(model, placed, nconmax, njmax)
        if not seen[0]:
            crowd = max(seen[2], seen[3]) / WORLDS
            return Need(
                contacts=min(MARGIN * peak + SPARE, limit.contacts),
                rows=min(MARGIN * seen[1] + SPARE, limit.rows),
                crowd=min(MARGIN * crowd + SPARE, limit.contacts),
            )
        nconmax, njmax = 4 * nconmax, 4 * njmax
    raise EngineError(
        f"{WORLDS} worlds that move from wild postures overflow even {nconmax // 4} "
        f"contacts and {njmax // 4} constraint rows per world, in the engine 'warp': "
        + explain(seen, nconmax // 4 * WORLDS, njmax // 4, WORLDS)
    )


def _measure(
    model: mujoco.MjModel, placed: Any, nconmax: int, njmax: int
) -> tuple[int, np.ndarray]:
    """The most contacts of one world, and what :func:`kernels.note_overflow` saw."""
    random = np.random.default_rng(0)
    data = mjw.make_data(model, nworld=WORLDS, nconmax=nconmax, njmax=njmax)
    data.qpos.assign(_postures(model, random).astype(np.float32))
    seen, bad = wp.zeros(4, dtype=int), wp.zeros(WORLDS, dtype=int)
    inputs = [placed.qpos0, data.qpos, data.qvel, data.act, data.qacc_warmstart]
    inputs += [data.sensordata, bad]
    with wp.ScopedCapture() as capture:
        mjw.step(placed, data)
        note(data, seen)
        wp.launch(kernels.guard, dim=WORLDS, inputs=inputs)
    low, high = _commands(model)
    peak = 0
    for step in range(int(min(MOST_STEPS, np.ceil(SECONDS / model.opt.timestep)))):
        if step % HOLD == 0 and model.nu:
            drawn = random.uniform(low, high, (WORLDS, model.nu))
            data.ctrl.assign(drawn.astype(np.float32))
        wp.capture_launch(capture.graph)
        owners = data.contact.worldid.numpy()[: data.nacon.numpy()[0]]
        peak = max(peak, int(np.bincount(owners, minlength=1).max()))
    wp.synchronize_device()
    found = seen.numpy().copy()
    # Candidates of one world are not told apart: at least their average.
    return max(peak, int(np.ceil(found[3] / WORLDS))), found


def _commands(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Limits between which commands are drawn, (nu,) each."""
    limited = model.actuator_ctrllimited.astype(bool)
    low = np.where(limited, model.actuator_ctrlrange[:, 0], -1.0)
    return low, np.where(limited, model.actuator_ctrlrange[:, 1], 1.0)


def _postures(model: mujoco.MjModel, random: np.random.Generator) -> np.ndarray:
    """(WORLDS, nq): half near where the scene starts, half anywhere."""
    starts = np.concatenate([model.qpos0[None], model.key_qpos])
    qpos = starts[np.arange(WORLDS) % len(starts)].copy()
    for joint in range(model.njnt):
        kind, at = model.jnt_type[joint], model.jnt_qposadr[joint]
        if kind in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL):
            turn = at + (3 if kind == mujoco.mjtJoint.mjJNT_FREE else 0)
            drawn = random.normal(size=(WORLDS // 2, 4))
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            qpos[WORLDS // 2 :, turn : turn + 4] = drawn
            continue
        low, high = qpos[0, at] - 1.0, qpos[0, at] + 1.0
        if model.jnt_limited[joint]:
            low, high = model.jnt_range[joint]
        near = qpos[: WORLDS // 2, at]
        near += random.uniform(-0.05, 0.05, WORLDS // 2) * (high - low)
        qpos[: WORLDS // 2, at] = np.clip(near, low, high)
        qpos[WORLDS // 2 :, at] = random.uniform(low, high, WORLDS // 2)
    return qpos


KINDS = int(sum(int(mjw.OverflowType[name]) for name in CAUSES))
"""The bits of MuJoCo Warp's overflow flags that stand for buffers."""


def note(data: Any, seen: Any) -> None:
    """Launch :func:`kernels.note_overflow`."""
    inputs = [KINDS, data.naconmax, data.njmax, data.nacon, data.ncollision]
    inputs += [data.nefc, data.overflow, seen]
    wp.launch(kernels.note_overflow, dim=data.nworld, inputs=inputs)


def explain(seen: np.ndarray, naconmax: int, njmax: int, num_envs: int) -> str:
    """In words: which buffer was too small, by how much, and the way out."""
    bits, rows, contacts, candidates = (int(value) for value in seen)
    causes = {
        cause: None for name, cause in CAUSES.items() if bits & mjw.OverflowType[name]
    }
    return (
        f"too small: {'; '.join(causes)}. There was room for {naconmax / num_envs:g} "
        f"contacts per world and for {njmax} rows; {rows} rows of one world, "
        f"{contacts} contacts and {candidates} candidate pairs of {num_envs} worlds "
        f'were wanted. Write into the scene <custom><numeric name="warp_nconmax" '
        f'data="{_more(max(contacts, candidates) / num_envs, naconmax / num_envs)}"/>'
        f'<numeric name="warp_njmax" data="{_more(rows, njmax)}"/></custom>, or make '
        "WarpEngine with nconmax= and njmax="
    )


def _more(wanted: float, had: float) -> int:
    return _rounded(MARGIN * max(wanted, had))


def _rounded(rows: float) -> int:
    return int(max(ROUND, ROUND * np.ceil(rows / ROUND)))
