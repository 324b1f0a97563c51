"""What must hold of a term of randomisation on an engine, as functions that raise.

``python -m benchmarks.randomization`` calls them for each term on each engine; so do
the tests, which call them on features that are broken on purpose, too.
"""

import mujoco
import numpy as np

from sims.draws import Draws
from sims.engine import Engine, default_field
from sims.field_randomizer import FieldRandomizer
from sims.inertia import pseudo_inertia
from sims.randomization import (
    armature,
    centre_of_mass,
    friction,
    gravity,
    inertia,
    joint_damping,
    joint_friction,
    link_mass,
    motor_strength,
    position_gain,
    velocity_gain,
)
from sims.terms import FieldTerm, InertiaTerm

SCENE = """
<mujoco><option timestep="0.002" integrator="implicitfast"/>
<compiler angle="radian" autolimits="true"/>
<default><geom density="900" contype="0" conaffinity="0"/>
  <joint armature="0.02" damping="0.3" frictionloss="0.1" stiffness="0.5"/></default>
<worldbody>
  <geom name="floor" type="plane" size="3 3 .1" pos="0 0 -2"/>
  <body name="upper"><joint name="shoulder" axis="0 1 0"/>
    <geom name="upper" type="box" size=".2 .05 .03" pos=".2 .01 0"/>
    <body name="lower" pos=".4 0 0"><joint name="elbow" axis="0 .6 .8"/>
      <geom name="lower" type="box" size=".15 .04 .02" pos=".15 0 .01" euler=".2 .1 0"/>
      <body name="hand" pos=".3 0 0">
        <geom name="hand" type="box" size=".05 .03 .04" pos=".05 .01 .02"/>
      </body>
    </body>
  </body>
</worldbody>
<actuator>
  <position name="shoulder" joint="shoulder" kp="80" kv="4" forcerange="-9 9"/>
  <position name="elbow" joint="elbow" kp="40" kv="2" forcerange="-30 30"/>
  <motor name="boost" joint="elbow" gear="2"/>
</actuator></mujoco>
"""
TERMS = {
    term.name: term
    for term in (
        link_mass(0.8, 1.2),
        centre_of_mass(0.02, 0.03, 0.01),
        inertia(0.7, 1.4, 0.3),
        InertiaTerm(
            name="all_of_it",
            mass=(0.5, 2.0),
            shift=(0.05, 0.05, 0.05),
            stretch=(0.5, 2.0),
            shear=0.5,
            elements=("lower", "hand"),
        ),
        armature(0.5, 2.0),
        joint_damping(0.5, 2.0, "elbow"),
        joint_friction(0.05, 0.5),
        friction(0.5, 2.0),
        motor_strength(0.8, 1.2),
        position_gain(0.8, 1.2, "shoulder", "elbow"),
        velocity_gain(0.8, 1.2, "shoulder", "elbow"),
        gravity(0.9, 1.1),
        FieldTerm(name="spring", parts=(("jnt_stiffness", None),), low=0.5, high=2.0),
        FieldTerm(
            name="reach",
            parts=(("body_pos", 0),),
            low=-0.02,
            high=0.02,
            operation="add",
            elements=("lower", "hand"),
        ),
        FieldTerm(
            name="slimness",
            parts=(("geom_size", 1),),
            low=0.5,
            high=1.0,
            elements=("lower", "hand"),
            distribution="log_uniform",
        ),
    )
}
"""Together they vary each field that there is."""
IDS = np.array([5, 17, 63])
"""Who the environments of the engines under test are."""
NUM = len(IDS)
SEED = 11


def scene() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SCENE)


def draws(episodes: np.ndarray | int, ids: np.ndarray = IDS) -> Draws:
    return Draws(SEED, ids, np.broadcast_to(episodes, ids.shape))


def wanted(
    model: mujoco.MjModel, term: FieldTerm | InertiaTerm, who: int, episode: int
) -> dict[str, np.ndarray]:
    """What a term makes of the nominal model, by field, for one environment alone."""
    own = draws(episode, np.array([who]))
    if isinstance(term, InertiaTerm):
        randomizer = FieldRandomizer(model, (term,))
        recorder = Recorder(model, 1)
        randomizer.reset(recorder, np.ones(1, bool), own)  # pyright: ignore[reportArgumentType]
        return {field: values[0] for field, values in recorder.fields.items()}
    values: dict[str, np.ndarray] = {}
    for field, component in term.parts:
        full = values.setdefault(field, default_field(model, field).astype(float))
        rows = elements(model, field, term.elements)
        low, high = term.low, term.high
        size = (1 if term.shared else len(rows),)
        if term.distribution == "log_uniform":
            drawn = np.exp(own.uniform(term.name, np.log(low), np.log(high), size)[0])
        else:
            drawn = own.uniform(term.name, low, high, size)[0]
        for row, number in zip(rows, np.resize(drawn, len(rows)), strict=True):
            at = row if component is None else (row, component)
            if term.operation == "scale":
                full[at] = full[at] * number
            else:
                full[at] = number + (full[at] if term.operation == "add" else 0.0)
    return values


def elements(model: mujoco.MjModel, field: str, names: tuple[str, ...]) -> list[int]:
    """Rows of a field; each joint of the scene has one degree of freedom."""
    if not names:
        return list(range(len(default_field(model, field))))
    kind = {"dof": "joint", "jnt": "joint"}.get(field[:3], field.split("_")[0])
    return [getattr(model, kind)(name).id for name in names]


class Recorder:
    """Stands for an engine that takes any field."""

    def __init__(self, model: mujoco.MjModel, num_envs: int):
        self.model, self.num_envs = model, num_envs
        self.fields: dict[str, np.ndarray] = {}

    def set_field(self, field: str, values: np.ndarray, where: np.ndarray) -> None:
        default = default_field(self.model, field).astype(float)
        held = self.fields.setdefault(field, np.repeat(default[None], self.num_envs, 0))
        held[where] = values


def in_force(engine: Engine, field: str, env: int) -> np.ndarray:
    """What an environment's physics really has; of ``warp`` what is on the device."""
    if engine.name == "warp":
        placed = engine.worlds.model  # pyright: ignore[reportAttributeAccessIssue]
        owner = placed.opt if field.startswith("opt.") else placed
        rows = getattr(owner, field.removeprefix("opt.")).numpy()
        return rows[env % len(rows)]
    return default_field(engine.snapshot(env)[0], field)


def restore(engine: Engine, randomizer: FieldRandomizer) -> None:
    """Make everything nominal again that a randomizer varies."""
    for field in randomizer.fields:
        nominal = default_field(engine.model, field)
        engine.set_field(field, nominal, np.ones(engine.num_envs, bool))


def check_values(
    engine: Engine, term: FieldTerm | InertiaTerm, episodes: np.ndarray
) -> None:
    """Each environment has the nominal model with its own episode's draw on it."""
    for env in range(NUM):
        own = wanted(engine.model, term, int(IDS[env]), int(episodes[env]))
        for field, values in own.items():
            np.testing.assert_array_equal(engine.get_field(field)[env], values, field)
            held = in_force(engine, field, env)
            exact = values.astype(held.dtype)
            np.testing.assert_array_equal(held, exact.reshape(held.shape), field)


def check_no_accumulation(
    engine: Engine, term: FieldTerm | InertiaTerm, resets: int = 1000
) -> None:
    """After many resets of all kinds, every value is still one draw off nominal."""
    randomizer = FieldRandomizer(engine.model, (term,))
    random = np.random.default_rng(0)
    episodes = np.zeros(NUM, int)
    randomizer.reset(engine, np.ones(NUM, bool), draws(0))
    for _ in range(resets):
        where = random.random(NUM) < 0.7
        episodes[where] += 1
        randomizer.reset(engine, where, draws(episodes))
    assert episodes.min() > 0.6 * resets
    check_values(engine, term, episodes)


def check_survives(engine: Engine, term: FieldTerm | InertiaTerm) -> None:
    """Draws outlive resets of the state, steps, and the resets of others."""
    randomizer = FieldRandomizer(engine.model, (term,))
    episodes = np.array([3, 4, 5])
    randomizer.reset(engine, np.ones(NUM, bool), draws(episodes))
    still = np.zeros(engine.model.nv)
    engine.reset(np.ones(NUM, bool), engine.model.qpos0, still)
    engine.step(2)
    check_values(engine, term, episodes)
    only = np.array([False, True, False])
    episodes = episodes + only
    randomizer.reset(engine, only, draws(episodes))
    engine.reset(only, engine.model.qpos0, still)
    check_values(engine, term, episodes)


def check_constants(engine: Engine, term: FieldTerm | InertiaTerm) -> None:
    """What follows from varied fields is what mj_setConst makes of them."""
    randomizer = FieldRandomizer(engine.model, (term,))
    randomizer.reset(engine, np.ones(NUM, bool), draws(7))
    engine.forward()
    for env in range(NUM):
        fresh = with_fields(engine.model, term, int(IDS[env]), 7)
        for name in CONSTANTS:
            held = in_force(engine, name, env)
            close = 2e-4 if engine.name == "warp" else 1e-12
            np.testing.assert_allclose(
                held, getattr(fresh, name), rtol=close, atol=close, err_msg=name
            )


CONSTANTS = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0")


def with_fields(
    model: mujoco.MjModel, term: FieldTerm | InertiaTerm, who: int, episode: int
) -> mujoco.MjModel:
    """A model of its own with an environment's values, and constants made anew."""
    fresh = mujoco.MjModel.__copy__(model)
    for field, values in wanted(model, term, who, episode).items():
        default_field(fresh, field)[:] = values
    mujoco.mj_setConst(fresh, mujoco.MjData(fresh))
    return fresh


def check_physical(mass: np.ndarray, moments: np.ndarray, axes: np.ndarray) -> None:
    """There are bodies with such masses (...), moments (..., 3) and axes (..., 4)."""
    assert (mass > 0).all()
    assert (moments > 0).all()
    assert (2 * moments.max(-1) <= moments.sum(-1) * (1 + 1e-9)).all(), "triangle"
    np.testing.assert_allclose(np.linalg.norm(axes, axis=-1), 1.0, rtol=1e-12)


def check_follows(engine: Engine, term: FieldTerm | InertiaTerm) -> None:
    """Inertia is that of the nominal body, transformed by the term as a whole: the
    pseudo-inertia is T J T^T, with T made from the draws by the paper's formula."""
    FieldRandomizer(engine.model, (term,)).reset(engine, np.ones(NUM, bool), draws(7))
    names = ("body_mass", "body_ipos", "body_inertia", "body_iquat")
    for env in range(NUM):
        got = [engine.get_field(name)[env] for name in names]
        check_physical(got[0][1:], got[2][1:], got[3][1:])
        for row, body in enumerate(elements(engine.model, names[0], term.elements)):
            if engine.model.body_mass[body] > 0:
                transform = affine(engine.model, term, env, row, body)
                nominal = [default_field(engine.model, n)[body] for n in names]
                expected = transform @ pseudo_inertia(*nominal) @ transform.T
                actual = pseudo_inertia(*(values[body] for values in got))
                np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def affine(
    model: mujoco.MjModel, term: FieldTerm | InertiaTerm, env: int, row: int, body: int
) -> np.ndarray:
    """T (4, 4) in the body's axes, about its origin, from the environment's draws."""
    own = draws(7, IDS[env : env + 1])
    if isinstance(term, FieldTerm):
        size = model.nbody if not term.elements else len(term.elements)
        factor = own.uniform(term.name, term.low, term.high, (size,))[0, row]
        return np.sqrt(factor) * np.eye(4)
    size, row = (
        (model.nbody - 1, row - 1)
        if not term.elements
        else (
            len(term.elements),
            row,
        )
    )
    low, high = np.log(term.stretch)
    factor = own.uniform(f"{term.name}:mass", *term.mass, (size,))[0, row]
    most = np.array(term.shift)
    shift = own.uniform(f"{term.name}:shift", -most, most, (size, 3))[0, row]
    stretch = np.exp(own.uniform(f"{term.name}:stretch", low, high, (size, 3))[0, row])
    lean = term.shear
    s1, s2, s3 = own.uniform(f"{term.name}:shear", -lean, lean, (size, 3))[0, row]
    local = np.diag(stretch) + np.array([[0, s1, s3], [0, 0, s2], [0, 0, 0]])
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, model.body_iquat[body])
    turn = turn.reshape(3, 3)
    centre = model.body_ipos[body]
    transform = np.eye(4)
    transform[:3, :3] = turn @ local @ turn.T
    transform[:3, 3] = centre + shift - transform[:3, :3] @ centre
    return np.sqrt(factor) * transform


def check_same_draws(engine: Engine, term: FieldTerm | InertiaTerm) -> None:
    """The engine's three environments have what they have among 64 in a plain list, of
    which some are reset alone."""
    randomizer = FieldRandomizer(engine.model, (term,))
    many = Recorder(engine.model, 64)
    everybody = np.arange(64)
    randomizer.reset(many, np.ones(64, bool), draws(0, everybody))  # pyright: ignore[reportArgumentType]
    odd = everybody % 2 == 1
    randomizer.reset(many, odd, draws(odd.astype(int), everybody))  # pyright: ignore[reportArgumentType]
    mine = FieldRandomizer(engine.model, (term,))
    mine.reset(engine, np.ones(NUM, bool), draws(0))
    mine.reset(engine, odd[IDS], draws(odd[IDS].astype(int)))
    for field in randomizer.fields:
        np.testing.assert_array_equal(
            engine.get_field(field), many.fields[field][IDS], field
        )
