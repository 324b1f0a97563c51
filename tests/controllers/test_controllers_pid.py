"""PID against SciPy's discretisations, and each of its features on and off."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import signal

from assets import UsageError
from controllers.pid import Pid, PidGains

DT = 0.01


def run(pid: Pid, setpoints: np.ndarray, measurements: np.ndarray) -> np.ndarray:
    """Outputs of a single loop for given signals."""
    return np.array(
        [
            pid.update(np.array([[r]]), np.array([[y]]), DT)[0, 0]
            for r, y in zip(setpoints, measurements, strict=True)
        ]
    )


def discrete(top: list, bottom: list, method: str, values: np.ndarray) -> np.ndarray:
    """A signal through a transfer function that SciPy made discrete."""
    system: Any = signal.cont2discrete((top, bottom), DT, method)
    return np.asarray(signal.lfilter(system[0][0], system[1], values))


def test_agrees_with_scipy_where_it_is_linear() -> None:
    kp, ki, kd, beta, filter_time = 3.0, 2.0, 0.4, 0.7, 0.05
    random = np.random.default_rng(0)
    setpoint, measured = np.cumsum(random.normal(size=(2, 400)) * 0.1, axis=1)
    setpoint[0] = measured[0] = 0.0
    error = setpoint - measured
    expected = (
        kp * (beta * setpoint - measured)
        + discrete([ki], [1.0, 0.0], "bilinear", error)
        - discrete([kd, 0.0], [filter_time, 1.0], "backward_diff", measured)
    )
    gains = PidGains(kp=kp, ki=ki, kd=kd, beta=beta, filter_time=filter_time)
    np.testing.assert_allclose(
        run(Pid(gains, 1), setpoint, measured), expected, atol=1e-10
    )


def overshoot(tracking_time: float) -> float:
    """Of a step on an integrating plant whose input saturates at 1."""
    gains = PidGains(kp=2.0, ki=1.0, low=-1.0, high=1.0, tracking_time=tracking_time)
    pid, y, peak = Pid(gains, 1), 0.0, 0.0
    for _ in range(3000):
        u = pid.update(np.array([[5.0]]), np.array([[y]]), DT)[0, 0]
        assert -1.0 <= u <= 1.0
        y += DT * u
        peak = max(peak, y)
    return peak - 5.0


def test_anti_windup_cuts_the_overshoot() -> None:
    assert overshoot(np.inf) > 1.0
    assert overshoot(0.5) < 0.2


def test_integral_leaves_saturation_at_once() -> None:
    gains = PidGains(kp=0.1, ki=1.0, low=-1.0, high=1.0, tracking_time=0.1)
    pid = Pid(gains, 1)
    run(pid, np.full(1000, 10.0), np.zeros(1000))
    after = run(pid, np.full(50, -1.0), np.zeros(50))
    assert after[-1] < 0.9 and (np.diff(after) < 0).all()


def test_setpoint_step_gives_no_derivative_kick() -> None:
    gains = PidGains(kp=1.0, kd=1.0, filter_time=0.01)
    pid = Pid(gains, 1)
    run(pid, np.zeros(5), np.zeros(5))
    assert run(pid, np.ones(1), np.zeros(1))[0] == 1.0


def test_filter_bounds_the_gain_of_noise() -> None:
    noise = np.resize([0.0, 1.0], 400)
    rough = run(Pid(PidGains(kp=0.0, kd=1.0), 1), np.zeros(400), noise)
    smooth = run(
        Pid(PidGains(kp=0.0, kd=1.0, filter_time=0.1), 1), np.zeros(400), noise
    )
    assert np.abs(rough[1:]).min() == pytest.approx(100.0)
    assert np.abs(smooth).max() < 10.0


def test_switching_on_is_bumpless() -> None:
    gains = PidGains(kp=5.0, ki=1.0, kd=0.3)
    cold, warm = Pid(gains, 1), Pid(gains, 1)
    warm.engage(np.array([[0.8]]))
    assert run(warm, np.array([2.0]), np.array([0.5]))[0] == pytest.approx(0.8)
    assert run(cold, np.array([2.0]), np.array([0.5]))[0] == pytest.approx(7.5)
    # and goes on from there by the integral alone
    step = run(warm, np.array([2.0]), np.array([0.5]))[0] - 0.8
    assert step == pytest.approx(1.0 * 1.5 * DT)


def test_changing_gains_is_bumpless() -> None:
    random = np.random.default_rng(0)
    gains = PidGains(kp=5.0, ki=1.0, kd=0.3, filter_time=0.02)
    pid = Pid(gains, 1)
    before = run(pid, np.ones(50), np.cumsum(random.normal(size=50)) * 0.05)[-1]
    frozen = pid._measured[0]
    pid.set_gains(replace(gains, kp=9.0, kd=0.1, beta=0.5))
    assert (pid._without_integral() + pid.integral)[0, 0] == pytest.approx(before)
    pid.set_gains(replace(gains, kp=9.0, ki=0.0, kd=0.0, beta=0.5))
    assert run(pid, np.ones(1), frozen)[0] == pytest.approx(before)


def test_steps_of_time_may_vary() -> None:
    gains = PidGains(kp=0.0, ki=2.0)
    pid, zero = Pid(gains, 1), np.zeros((1, 1))
    pid.update(zero, zero, 0.01)
    for dt in (0.01, 0.5, 0.002, 0.1):
        u = pid.update(zero + 3.0, zero + 3.0 - 1.0, dt)
    # a trapezoid from 0 to 1 in the first step, then a constant error of 1
    assert u[0, 0] == pytest.approx(2.0 * (0.005 + 0.5 + 0.002 + 0.1))


def test_angles_turn_through_pi() -> None:
    gains = PidGains(kp=1.0, kd=1.0)
    pid = Pid(gains, 1, 2, angle=np.array([True, False]))
    pid.update(np.array([[3.1, 3.1]]), np.array([[3.1, 3.1]]), DT)
    u = pid.update(np.array([[-3.1, -3.1]]), np.array([[-3.13, -3.13]]), DT)
    turned = 2 * np.pi - 6.23
    assert u[0, 0] == pytest.approx(0.03 - turned / DT)
    assert u[0, 1] == pytest.approx(0.03 + 6.23 / DT)


def test_turns_do_not_add_up_with_a_setpoint_weight() -> None:
    """After a full turn, ``beta r - y`` is counted from the same place."""
    pid = Pid(PidGains(kp=1.0, beta=1.0), 1, angle=True)
    path = np.linspace(0.0, 4 * np.pi, 200)
    wrapped = (path + np.pi) % (2 * np.pi) - np.pi
    u = run(pid, wrapped, wrapped)
    np.testing.assert_allclose(u, 0.0, atol=1e-12)


def test_environments_are_apart_and_bits_do_not_depend_on_the_batch() -> None:
    random = np.random.default_rng(0)
    r, y = random.normal(size=(2, 100, 64, 2))
    gains = PidGains(
        kp=np.array([2.0, 3.0]), ki=1.0, kd=0.1, filter_time=0.02, low=-2.0, high=2.0
    )
    whole = Pid(gains, 64, 2, angle=True)
    single = [Pid(gains, 1, 2, angle=True) for _ in range(64)]
    for t in range(100):
        if t == 50:
            where = np.arange(64) % 3 == 0
            whole.reset(where)
            for i in np.flatnonzero(where):
                single[i].reset()
        u = whole.update(r[t], y[t], DT)
        for i in range(64):
            assert np.array_equal(
                single[i].update(r[t, i : i + 1], y[t, i : i + 1], DT)[0], u[i]
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ki": -1.0}, "PidGains.ki must not be negative, got -1.0"),
        ({"filter_time": -0.1}, "PidGains.filter_time must not be negative"),
        ({"tracking_time": 0.0}, "tracking_time must be above 0 s"),
        ({"low": 1.0, "high": 0.0}, "low must lie below high, got 1.0 and 0.0"),
    ],
)
def test_impossible_gains_are_refused(arguments, message) -> None:
    with pytest.raises(UsageError, match=message):
        PidGains(kp=1.0, **arguments)


def test_time_must_pass() -> None:
    pid = Pid(PidGains(kp=1.0), 1)
    with pytest.raises(UsageError, match="time step above 0 s, got 0"):
        pid.update(np.zeros((1, 1)), np.zeros((1, 1)), 0)
