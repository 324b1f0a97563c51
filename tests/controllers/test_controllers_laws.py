"""Computed torque, PD, impedance, force loop: what each promises, on exact dynamics."""

import numpy as np
import pytest

from assets import UsageError, load_model
from controllers import small
from controllers.arm2 import Arm2
from controllers.computed_torque import computed_torque, limited_acceleration
from controllers.dynamics import Dynamics
from controllers.force import ForceGains, ForceLoop
from controllers.impedance import (
    TaskSpace,
    cartesian_impedance,
    damping_matrix,
    joint_impedance,
)
from controllers.kinematics import Kinematics
from controllers.limits import RateLimiter, soft_limit
from controllers.pd_gravity import pd_gravity

ARM = Arm2.from_model(load_model("arm"))
DT = 0.01


def spd(num: int, n: int, seed: int = 0) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(num, n, n))
    return factor @ np.swapaxes(factor, 1, 2) + 0.1 * np.eye(n)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_small_matrices_against_lapack(n: int) -> None:
    a, b = spd(40, n), np.random.default_rng(1).normal(size=(40, n, 3))
    root = small.sqrt_spd(a)
    np.testing.assert_allclose(root @ root, a, atol=1e-10)
    np.testing.assert_allclose(small.cholesky(a), np.linalg.cholesky(a), atol=1e-12)
    np.testing.assert_allclose(small.solve_spd(a, b), np.linalg.solve(a, b), rtol=1e-7)
    np.testing.assert_allclose(small.matmul(a, b), a @ b, atol=1e-12)
    np.testing.assert_allclose(
        small.rmatvec(b, a[..., 0]), np.einsum("nij,ni->nj", b, a[..., 0]), atol=1e-12
    )


@pytest.mark.parametrize("n", [2, 3])
def test_small_matrices_give_the_same_bits_in_any_batch(n: int) -> None:
    a, b = spd(512, n), np.random.default_rng(1).normal(size=(512, n, n))
    for call in (
        lambda s: small.sqrt_spd(a[s]),
        lambda s: small.solve_spd(a[s], b[s]),
        lambda s: small.matmul(a[s], b[s]),
        lambda s: damping_matrix(a[s], np.diag(np.arange(n) * 100.0)),
    ):
        single = np.concatenate([call(slice(i, i + 1)) for i in range(512)])
        assert np.array_equal(call(slice(None)), single)


def random_arm(num: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return random.uniform(-2.5, 2.5, (num, 2)), random.normal(0, 2.0, (num, 2))


def accelerate(q: np.ndarray, qd: np.ndarray, torque: np.ndarray) -> np.ndarray:
    """Forward dynamics of the arm, damping included."""
    rest = torque - ARM.bias(q, qd) - np.array(ARM.damping) * qd
    return np.linalg.solve(ARM.mass_matrix(q), rest[..., None])[..., 0]


def test_computed_torque_cancels_the_dynamics() -> None:
    q, qd = random_arm(100)
    wanted = np.random.default_rng(4).normal(0, 10.0, (100, 2))
    passive = -np.array(ARM.damping) * qd
    torque = computed_torque(ARM.mass_matrix(q), ARM.bias(q, qd), wanted, passive)
    np.testing.assert_allclose(accelerate(q, qd, torque), wanted, atol=1e-9)


def test_limited_acceleration_is_linear_when_small_and_bounded_when_not() -> None:
    limits = {"max_speed": 3.0, "max_acceleration": 15.0}
    gains = {"position_gain": 8.0, "velocity_gain": 30.0}
    error, rate = np.array([[1e-5, -2e-5]]), np.array([[3e-5, 1e-5]])
    out = limited_acceleration(error, rate, **gains, **limits)
    np.testing.assert_allclose(out, 240.0 * error + 30.0 * rate, rtol=1e-4)
    big = limited_acceleration(
        np.array([[3.0, -3.0]]), np.zeros((1, 2)), **gains, **limits
    )
    assert (np.abs(big) < 15.0).all() and (np.sign(big) == [[1, -1]]).all()
    coast = limited_acceleration(
        np.array([[3.0]]), np.array([[-3.0]]), **gains, **limits
    )
    assert np.abs(coast).max() < 1.0  # at the speed limit it neither pushes nor brakes


def test_pd_holds_against_gravity_and_a_payload_makes_it_sag() -> None:
    q = np.array([[0.3, 0.4]])
    for payload, sag in ((0.0, 0.0), (2.0, 2.0 / 60.0)):
        state, speed = q.copy(), np.zeros((1, 2))
        for _ in range(4000):
            torque = pd_gravity(
                q - state, -speed, ARM.gravity_torque(state), kp=60.0, kd=6.0
            )
            torque[0, 0] -= payload
            speed = speed + 0.002 * accelerate(state, speed, torque)
            state = state + 0.002 * speed
        assert q[0, 0] - state[0, 0] == pytest.approx(sag, abs=1e-6)


def ratios(
    inertia: np.ndarray, damping: np.ndarray, stiffness: np.ndarray
) -> np.ndarray:
    """Damping ratios of the modes of ``inertia xdd + damping xd + stiffness x = 0``."""
    n = len(inertia)
    system = np.block(
        [
            [np.zeros((n, n)), np.eye(n)],
            [-np.linalg.solve(inertia, stiffness), -np.linalg.solve(inertia, damping)],
        ]
    )
    roots = np.linalg.eigvals(system)
    return -roots.real / np.abs(roots)


@pytest.mark.parametrize("ratio", [0.3, 0.7])
def test_damping_suits_the_inertia(ratio: float) -> None:
    inertia, stiffness = spd(20, 3), 100.0 * spd(20, 3, seed=9)
    damping = damping_matrix(inertia, stiffness, ratio)
    for m, d, k in zip(inertia, damping, stiffness, strict=True):
        np.testing.assert_allclose(ratios(m, d, k), ratio, atol=1e-6)
    # the rule for a mass of 1 kg does not
    roots = small.sqrt_spd(stiffness)
    naive = [
        ratios(*z) for z in zip(inertia, 2 * ratio * roots, stiffness, strict=True)
    ]
    assert np.abs(np.array(naive) - ratio).max() > 0.2


def test_a_free_direction_is_not_damped() -> None:
    damping = damping_matrix(spd(5, 2), np.diag([0.0, 400.0]))
    np.testing.assert_allclose(damping[:, 0], 0.0, atol=1e-12)
    assert (damping[:, 1, 1] > 0).all()


def test_joint_impedance_follows_its_reference_exactly_when_on_it() -> None:
    q, qd = random_arm(50)
    wanted = np.random.default_rng(4).normal(0, 5.0, (50, 2))
    torque = joint_impedance(
        ARM.mass_matrix(q),
        ARM.bias(q, qd) + np.array(ARM.damping) * qd,
        np.zeros((50, 2)),
        np.zeros((50, 2)),
        wanted,
        stiffness=np.diag([50.0, 20.0]),
    )
    np.testing.assert_allclose(accelerate(q, qd, torque), wanted, atol=1e-9)


def test_joint_impedance_is_a_spring_at_rest() -> None:
    q, _ = random_arm(1)
    still, stiffness = np.zeros((1, 2)), np.diag([50.0, 20.0])
    offset = np.array([[0.1, -0.2]])
    torque = joint_impedance(
        ARM.mass_matrix(q), ARM.bias(q, still), offset, still, stiffness=stiffness
    )
    np.testing.assert_allclose(torque - ARM.gravity_torque(q), [[5.0, -4.0]])


@pytest.fixture(scope="module")
def redundant(chain) -> dict[str, np.ndarray]:
    """Seven joints, three task directions."""
    kinematics, dynamics = Kinematics(chain, "tool"), Dynamics(chain)
    random = np.random.default_rng(5)
    q, qd = random.uniform(-1, 1, (20, 7)) * 0.9, random.normal(size=(20, 7))
    q[:, 6] *= 0.1
    h = 1e-6
    jacobian = kinematics.jacobian(q)[:, :3]
    ahead, behind = (kinematics.jacobian(q + s * h * qd)[:, :3] for s in (1, -1))
    return {
        "jacobian": jacobian,
        "mass": dynamics.mass_matrix(q),
        "bias": dynamics.bias(q, qd),
        "drift": small.matvec((ahead - behind) / (2 * h), qd),
    }


def task_acceleration(space: TaskSpace, torque: np.ndarray) -> np.ndarray:
    joint = np.linalg.solve(space.mass, (torque - space.bias)[..., None])[..., 0]
    return small.matvec(space.jacobian, joint) + space.drift


def test_cartesian_impedance_accelerates_the_tip_as_told(redundant) -> None:
    space = TaskSpace(**redundant, max_inertia=np.inf)
    random = np.random.default_rng(6)
    wanted, error, rate = random.normal(size=(3, 20, 3))
    stiffness = np.diag([100.0, 200.0, 300.0])
    torque = cartesian_impedance(
        space,
        error,
        rate,
        wanted,
        stiffness=stiffness,
        ratio=0.7,
        null_torque=random.normal(size=(20, 7)),
    )
    inertia = space.inertia()
    spring = small.matvec(np.broadcast_to(stiffness, inertia.shape), error)
    spring += small.matvec(damping_matrix(inertia, stiffness, 0.7), rate)
    expected = wanted + np.linalg.solve(inertia, spring[..., None])[..., 0]
    np.testing.assert_allclose(task_acceleration(space, torque), expected, rtol=1e-7)


def test_null_torque_does_not_reach_the_tip(redundant) -> None:
    space = TaskSpace(**redundant, max_inertia=np.inf)
    torque = np.random.default_rng(7).normal(size=(20, 7))
    free = task_acceleration(space, space.bias + space.null_torque(torque))
    np.testing.assert_allclose(free, space.drift, atol=1e-9)
    assert np.abs(space.null_torque(torque)).max() > 0.1
    plain = np.eye(7) - np.linalg.pinv(space.jacobian) @ space.jacobian
    leaked = task_acceleration(space, space.bias + small.matvec(plain, torque))
    assert (
        np.abs(leaked - space.drift).max() > 1.0
    )  # what the geometric one lets through


def test_task_inertia_stays_bounded_at_a_singularity() -> None:
    q = np.zeros((1, 2))
    space = TaskSpace(
        jacobian=ARM.jacobian(q),
        mass=ARM.mass_matrix(q),
        bias=ARM.bias(q, q),
        drift=np.zeros((1, 2)),
        max_inertia=10.0,
    )
    assert np.linalg.eigvalsh(space.inertia()[0]).max() == pytest.approx(10.0)


def test_soft_limit() -> None:
    values = np.linspace(-50, 50, 1001)
    limited = soft_limit(values, 2.0)
    assert (np.abs(limited) < 2.0).all() and (np.diff(limited) > 0).all()
    assert soft_limit(np.array([0.01]), 2.0)[0] == pytest.approx(0.01, rel=1e-4)


def test_rate_limiter() -> None:
    limiter = RateLimiter(2, 1)
    goal = np.array([[1.0], [-0.003]])
    assert limiter.move(goal, 0.5, DT).tolist() == [[0.005], [-0.003]]
    limiter.reset(np.array([True, False]), 0.9)
    assert limiter.move(goal, 0.5, DT).tolist() == [[0.905], [-0.003]]


def press(
    stiffness: float,
    target: float,
    gains: ForceGains | None = None,
    seconds: float = 4.0,
) -> dict[str, np.ndarray]:
    """A 0.7 kg tip, 5 cm from a plate of 2 kg on a spring; the force reading is a
    control step old, and half a newton acts that no model knows of. After 2 s the wall
    backs away by 3 cm."""
    loop = ForceLoop(ForceGains() if gains is None else gains, 1)
    x = v = plate = plate_v = felt = 0.0
    wall, h, log = 0.05, 1e-4, {"force": [], "command": [], "speed": []}
    for step in range(round(seconds / DT)):
        if step == round(2.0 / DT):
            wall = 0.08
        sensed = np.array([felt])
        command = loop.update(sensed, np.array([target]), np.array([v]), DT)[0]
        for _ in range(round(DT / h)):
            depth = x - (wall + plate)
            felt = max(0.0, 3e5 * depth + 300.0 * (v - plate_v)) if depth > 0 else 0.0
            v += h * (command + 0.5 - felt) / 0.7
            x += h * v
            plate_v += h * (felt - stiffness * plate - 200.0 * plate_v) / 2.0
            plate += h * plate_v
        for key, value in (("force", felt), ("command", command), ("speed", v)):
            log[key].append(value)
    return {key: np.array(values) for key, values in log.items()}


@pytest.mark.parametrize("stiffness", [10e3, 20e3, 40e3])
@pytest.mark.parametrize("target", [5.0, 20.0])
def test_force_loop_settles_on_walls_of_any_stiffness(stiffness, target) -> None:
    log = press(stiffness, target)
    before, after = log["force"][150:200], log["force"][350:]
    np.testing.assert_allclose(before, target, rtol=0.02)
    np.testing.assert_allclose(
        after, target, rtol=0.02
    )  # found again after it was lost
    assert (log["force"][202:205] == 0.0).all()
    free = 0.2 + 0.5 / 10.0  # the approach, and what the unknown half newton adds
    assert log["speed"][:200].max() < free + 0.01
    # the force of the one step in which the loss cannot be known yet
    assert log["speed"][200:].max() < free + 1.1 * (target + 0.5) * DT / 0.7


def test_force_loop_needs_its_integral() -> None:
    weak = press(20e3, 5.0, ForceGains(integral_gain=1e-9))
    assert weak["force"][199] == pytest.approx(5.5, abs=0.05)


def commands(forces: np.ndarray, gains: ForceGains) -> np.ndarray:
    """Of a loop with a set force of 8 N and a tip at rest, for given readings."""
    loop, target, still = ForceLoop(gains, 1), np.array([8.0]), np.zeros(1)
    return np.array([loop.update(np.array([f]), target, still, DT)[0] for f in forces])


def test_force_command_rises_without_a_jump() -> None:
    gains = ForceGains()
    forces = np.concatenate([np.zeros(50), np.full(50, 8.0), np.zeros(50), [9.0] * 50])
    found = commands(forces, gains)
    slope = gains.force_rate + gains.integral_gain * (9.0 + gains.integral_limit)
    assert np.diff(found).max() <= slope * DT
    assert found[49] == pytest.approx(gains.damping * gains.approach_speed)


def test_force_command_falls_at_once_when_contact_is_lost() -> None:
    gains = ForceGains(integral_gain=1e-9)
    touching = np.concatenate([np.zeros(50), np.full(300, 8.0)])
    bounce = commands(np.concatenate([touching, [0.0, 0.0], [8.0] * 3]), gains)
    lost = commands(np.concatenate([touching, np.zeros(9), [8.0] * 3]), gains)
    approach = gains.damping * gains.approach_speed
    assert bounce[349] == pytest.approx(8.0, abs=0.1)
    assert (bounce[350:352] < approach + 1.0).all() and (
        lost[350:359] < approach + 1
    ).all()
    assert bounce[352] > 8.0 - 0.1  # a bounce: it goes on where it was
    assert lost[359] < approach + 1.5  # a loss: it starts anew


def test_force_loop_forgets_where_told() -> None:
    loop, force = ForceLoop(ForceGains(), 2), np.array([4.0, 4.0])
    for _ in range(50):
        loop.update(force, force + 1.0, np.zeros(2), DT)
    loop.reset(np.array([True, False]))
    assert loop.contact.tolist() == [False, True]
    assert loop.integral[0] == 0.0 and loop.integral[1] > 0.0
    first = loop.update(np.zeros(2), force + 1.0, np.zeros(2), DT)
    assert first[0] == pytest.approx(ForceGains().force_rate * DT) and first[1] > 2.5


def test_force_gains_must_be_positive() -> None:
    with pytest.raises(UsageError, match="damping must be above 0, got -1"):
        ForceGains(damping=-1)
