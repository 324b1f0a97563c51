"""Which MuJoCo body, joint and geom becomes which multibody and link of Bullet.

A layout follows from the nominal model alone; it holds no numbers that
:meth:`Engine.set_field <sims.engine.Engine.set_field>` can vary.

- Each kinematic tree becomes one multibody. A tree that hangs on the world by a hinge
  or a slide has an immovable, empty base; with a free joint, its root body is the base.
- Each body becomes a link. Bullet reports contacts by link, MuJoCo by geom, so a link
  carries at most one geom that can collide: a body's further ones sit on massless
  links, welded to it, which change neither dynamics nor degrees of freedom.
- A geom of the world that can collide becomes a multibody of its own. Geoms that cannot
  touch anything stay out of Bullet.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from sims.engine import EngineError

_GEOMS = ("plane", "hfield", "sphere", "capsule", "cylinder", "box", "mesh")
_INTEGRATORS = ("euler", "implicit", "implicitfast")
_CONTACTS_OFF = int(
    mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
)


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link of a multibody."""

    body: int
    """Id of the MuJoCo body."""
    parent: int
    """Index of the parent link in the tree, -1: the base."""
    joint: int = -1
    """Id of the joint that moves it, -1: welded."""
    geom: int = -1
    """Id of the geom that it carries, -1: none."""
    massless: bool = False
    """Only there to carry a further geom of its body."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """One multibody that moves."""

    root: int
    """Id of the body nearest to the world."""
    free: int
    """Id of the root's free joint, whose body is the base; -1: fixed to the world."""
    geom: int
    """Id of the geom on the base, -1: none."""
    links: tuple[Link, ...]

    @property
    def joints(self) -> tuple[int, ...]:
        """Ids of the joints, in the order of their links."""
        return tuple(link.joint for link in self.links if link.joint >= 0)

    @property
    def moving(self) -> tuple[int, ...]:
        """Indices of the links that a joint moves."""
        return tuple(i for i, link in enumerate(self.links) if link.joint >= 0)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The whole scene."""

    trees: tuple[Tree, ...]
    static_geoms: tuple[int, ...]
    """Geoms that are fixed to the world and can collide."""
    pairs: tuple[tuple[int, int], ...]
    """Pairs of geoms that can touch."""


def make_layout(model: mujoco.MjModel) -> Layout:
    """Lay out a scene.

    Raises:
        EngineError: the scene has something that this engine cannot do.
    """
    check_supported(model)
    pairs = colliding_pairs(model)
    used = {geom for pair in pairs for geom in pair}
    moving = [b for b in range(1, model.nbody) if model.body_weldid[b] != 0]
    roots = [b for b in moving if model.body_weldid[model.body_parentid[b]] == 0]
    static = [g for g in sorted(used) if model.body_weldid[model.geom_bodyid[g]] == 0]
    return Layout(
        trees=tuple(_make_tree(model, root, used) for root in roots),
        static_geoms=tuple(static),
        pairs=pairs,
    )


def _make_tree(model: mujoco.MjModel, root: int, used: set[int]) -> Tree:
    links: list[Link] = []
    link_of: dict[int, int] = {}

    def add_body(body: int) -> int:
        """Add a body and those below it; returns the geom that its base carries."""
        geoms = [int(g) for g in np.flatnonzero(model.geom_bodyid == body) if g in used]
        first = geoms[0] if geoms else -1
        joint = int(model.body_jntadr[body]) if model.body_jntnum[body] else -1
        if joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            link_of[body] = -1
        else:
            parent = link_of.get(int(model.body_parentid[body]), -1)
            link_of[body] = len(links)
            links.append(Link(body=body, parent=parent, joint=joint, geom=first))
        links.extend(
            Link(body=body, parent=link_of[body], geom=geom, massless=True)
            for geom in geoms[1:]
        )
        for child in np.flatnonzero(model.body_parentid == body):
            if child > body:
                add_body(int(child))
        return first

    geom = add_body(root)
    floating = link_of[root] == -1
    return Tree(
        root=root,
        free=int(model.body_jntadr[root]) if floating else -1,
        geom=geom if floating else -1,
        links=tuple(links),
    )


def colliding_pairs(model: mujoco.MjModel) -> tuple[tuple[int, int], ...]:
    """Pairs of geoms (lower id first) that MuJoCo would let touch.

    The filters of MuJoCo's manual, "Collision detection, selection": type and affinity,
    not of one rigid group, not of parent and child (unless the parent is the world),
    and not excluded.
    """
    if model.opt.disableflags & _CONTACTS_OFF:
        return ()
    same_parent = bool(
        model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT
    )
    excluded = {int(signature) for signature in model.exclude_signature}
    weld = model.body_weldid
    above = weld[model.body_parentid[weld]]
    masks = model.geom_contype | model.geom_conaffinity
    geoms = [int(g) for g in np.flatnonzero(masks)]
    pairs = []
    for i, g1 in enumerate(geoms):
        for g2 in geoms[i + 1 :]:
            b1, b2 = sorted((int(model.geom_bodyid[g1]), int(model.geom_bodyid[g2])))
            touch = (model.geom_contype[g1] & model.geom_conaffinity[g2]) or (
                model.geom_contype[g2] & model.geom_conaffinity[g1]
            )
            kin = (
                weld[b1]
                and weld[b2]
                and (weld[b1] == above[b2] or weld[b2] == above[b1])
            )
            if (
                touch
                and weld[b1] != weld[b2]
                and (same_parent or not kin)
                and (b1 << 16) + b2 not in excluded
            ):
                pairs.append((g1, g2))
    return tuple(pairs)


def check_supported(model: mujoco.MjModel) -> None:
    """See that the engine can do all that the scene asks for.

    Raises:
        EngineError: it cannot; the message lists what.
    """
    problems = [
        f"{count} {what}"
        for what, count in (
            ("tendons", model.ntendon),
            ("equality constraints", model.neq),
            ("mocap bodies", model.nmocap),
            ("flexes", model.nflex),
            ("explicit contact pairs", model.npair),
            ("plugins", model.nplugin),
        )
        if count
    ]
    problems += _joint_problems(model)
    integrator = mujoco.mjtIntegrator(model.opt.integrator).name[6:].lower()
    if integrator not in _INTEGRATORS:
        problems.append(f"integrator {integrator} (only {', '.join(_INTEGRATORS)})")
    solid = np.flatnonzero(model.geom_contype | model.geom_conaffinity)
    kinds = {mujoco.mjtGeom(model.geom_type[g]).name[7:].lower() for g in solid}
    problems += [
        f"colliding geoms of type {kind} (only {', '.join(_GEOMS)})"
        for kind in sorted(kinds - set(_GEOMS))
    ]
    fields = solid[model.geom_type[solid] == mujoco.mjtGeom.mjGEOM_HFIELD]
    if model.body_weldid[model.geom_bodyid[fields]].any():
        problems.append("height fields that move")
    if problems:
        raise EngineError(
            f"the engine 'bullet' cannot simulate this scene: {'; '.join(problems)}. "
            "Use the engine 'mujoco', or leave them out of the scene."
        )


def _joint_problems(model: mujoco.MjModel) -> list[str]:
    problems = []
    crowded = np.flatnonzero(model.body_jntnum > 1)
    if len(crowded):
        names = ", ".join(model.body(int(b)).name or f"body {b}" for b in crowded)
        problems.append(f"several joints on one body ({names})")
    balls = int((model.jnt_type == mujoco.mjtJoint.mjJNT_BALL).sum())
    if balls:
        problems.append(f"{balls} ball joints")
    return problems
