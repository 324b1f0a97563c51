# type: ignore -- kernels are a language of their own, in Python's clothes
"""What the engine ``warp`` computes on the device beside MuJoCo Warp's own kernels."""

from functools import cache
from typing import Any

import warp as wp

LIMIT = wp.constant(1.0e10)
"""Beyond it a position or velocity counts as broken down, as in MuJoCo."""
NEFC = wp.constant(1)
BROADPHASE = wp.constant(4)
NARROWPHASE = wp.constant(8)


@wp.kernel(enable_backward=False)
def put_state(
    where: wp.array[bool],
    new_qpos: wp.array2d[float],
    new_qvel: wp.array2d[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    bad: wp.array[int],
):
    """Write positions and velocities of the chosen worlds, which are sound again."""
    world = wp.tid()
    if not where[world]:
        return
    bad[world] = 0
    for i in range(qpos.shape[1]):
        qpos[world, i] = new_qpos[world, i]
    for i in range(qvel.shape[1]):
        qvel[world, i] = new_qvel[world, i]


@wp.kernel(enable_backward=False)
def guard(
    qpos0: wp.array2d[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    act: wp.array2d[float],
    warmstart: wp.array2d[float],
    sensors: wp.array2d[float],
    bad: wp.array[int],
):
    """Put worlds that broke down back to the start, and remember which.

    One world of NaN would keep the solver at its last iteration for all of them.
    """
    world = wp.tid()
    sound = bool(True)  # noqa: UP018 -- a literal would be a constant of the kernel
    for i in range(qpos.shape[1]):
        if not wp.abs(qpos[world, i]) < LIMIT:  # NaN compares false
            sound = False
    for i in range(qvel.shape[1]):
        if not wp.abs(qvel[world, i]) < LIMIT:
            sound = False
        if not wp.abs(warmstart[world, i]) < LIMIT:
            sound = False
    if sound:
        return
    bad[world] = 1
    for i in range(qpos.shape[1]):
        qpos[world, i] = qpos0[world % qpos0.shape[0], i]
    for i in range(qvel.shape[1]):
        qvel[world, i] = 0.0
        warmstart[world, i] = 0.0
    for i in range(act.shape[1]):
        act[world, i] = 0.0
    for i in range(sensors.shape[1]):
        sensors[world, i] = 0.0


@wp.kernel(enable_backward=False)
def note_overflow(
    kinds: int,
    naconmax: int,
    njmax: int,
    nacon: wp.array[int],
    ncollision: wp.array[int],
    nefc: wp.array[int],
    overflow: wp.array[int],
    seen: wp.array[int],
):
    """Gather which buffers were ever too small, and the most that was wanted.

    ``seen`` has the bits of ``OverflowType``, constraint rows of one world, contacts
    and candidate pairs of all worlds.
    """
    world = wp.tid()
    bits = overflow[world] & kinds
    if nefc[world] > njmax:
        bits = bits | NEFC
    wp.atomic_max(seen, 1, nefc[world])
    if world == 0:
        if ncollision[0] > naconmax:
            bits = bits | BROADPHASE
        if nacon[0] > naconmax:
            bits = bits | NARROWPHASE
        wp.atomic_max(seen, 2, nacon[0])
        wp.atomic_max(seen, 3, ncollision[0])
    if bits != 0:
        wp.atomic_or(seen, 0, bits)


@cache
def copy_where(dtype: Any, ndim: int) -> Any:
    """The kernel that copies rows of the worlds for which ``where`` is ``keep``.

    One per type of element, each a module of its own: Warp's graphs on the CPU tell
    kernels apart by name and module, and take one overload of a generic kernel for
    another, which then writes beyond its array.

    Args:
        dtype: of the elements.
        ndim: 2 or 3, of the arrays.
    """
    if ndim == 3:

        @wp.kernel(enable_backward=False, module="unique")
        def copy_rows_3d(
            where: wp.array[bool],
            keep: bool,
            source: wp.array(dtype=dtype, ndim=3),
            target: wp.array(dtype=dtype, ndim=3),
        ):
            world, i, j = wp.tid()
            if where[world] == keep:
                target[world, i, j] = source[world, i, j]

        return copy_rows_3d

    @wp.kernel(enable_backward=False, module="unique")
    def copy_rows(
        where: wp.array[bool],
        keep: bool,
        source: wp.array(dtype=dtype, ndim=2),
        target: wp.array(dtype=dtype, ndim=2),
    ):
        world, i = wp.tid()
        if where[world] == keep:
            target[world, i] = source[world, i]

    return copy_rows


@cache
def write_rows(dtype: Any, ndim: int) -> Any:
    """The kernel that writes rows of some worlds, one per type as above.

    Args:
        dtype: of the elements.
        ndim: 1 or 2, of the arrays.
    """
    if ndim == 1:

        @wp.kernel(enable_backward=False, module="unique")
        def write_rows_1d(
            worlds: wp.array[int],
            source: wp.array(dtype=dtype, ndim=1),
            target: wp.array(dtype=dtype, ndim=1),
        ):
            row = wp.tid()
            target[worlds[row]] = source[row]

        return write_rows_1d

    @wp.kernel(enable_backward=False, module="unique")
    def write_rows_2d(
        worlds: wp.array[int],
        source: wp.array(dtype=dtype, ndim=2),
        target: wp.array(dtype=dtype, ndim=2),
    ):
        row, i = wp.tid()
        target[worlds[row], i] = source[row, i]

    return write_rows_2d


@wp.func
def _rotate(q: wp.quat, v: wp.vec3) -> wp.vec3:
    """A vector by a quaternion wxyz, which Warp's own functions do not take."""
    axis = wp.vec3(q[1], q[2], q[3])
    turn = 2.0 * wp.cross(axis, v)
    return v + q[0] * turn + wp.cross(axis, turn)


@wp.func
def _multiply(a: wp.quat, b: wp.quat) -> wp.quat:
    """a after b, wxyz."""
    return wp.quat(
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


@wp.kernel(enable_backward=False)
def place_geoms(
    body: wp.array[int],
    pos: wp.array2d[wp.vec3],
    quat: wp.array2d[wp.quat],
    xpos: wp.array2d[wp.vec3],
    xquat: wp.array2d[wp.quat],
    geom_xpos: wp.array2d[wp.vec3],
    geom_xmat: wp.array2d[wp.mat33],
):
    """Poses of all geoms from those of their bodies.

    MuJoCo Warp places geoms of static bodies once and for all, while ours may stand
    elsewhere in every world (the field ``body_pos``).
    """
    world, geom = wp.tid()
    carrier = body[geom]
    turn = xquat[world, carrier]
    geom_xpos[world, geom] = xpos[world, carrier] + _rotate(
        turn, pos[world % pos.shape[0], geom]
    )
    total = _multiply(turn, quat[world % quat.shape[0], geom])
    x = _rotate(total, wp.vec3(1.0, 0.0, 0.0))
    y = _rotate(total, wp.vec3(0.0, 1.0, 0.0))
    z = _rotate(total, wp.vec3(0.0, 0.0, 1.0))
    geom_xmat[world, geom] = wp.matrix_from_cols(x, y, z)
