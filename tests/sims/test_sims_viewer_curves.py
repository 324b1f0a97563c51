"""Curves of the shown environment: means, gaps, and nothing where they are off."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

from sims.viewers import graphs, native
from sims.viewers.curves import POINTS, SPAN, Curves, CurvesView
from sims.viewers.figure import curves_figure
from sims.viewers.loop import Session
from tests.sims.viewer_fakes import Clock, FakeEnv, FakePolicy


def make(**options) -> Session:
    env: Any = FakeEnv(options.pop("num_envs", 1), **options)
    policy: Any = FakePolicy()
    return Session(env, policy, clock=Clock(), hold=0.02)


def tick(session, count):
    for _ in range(count):
        session.tick()


def test_nothing_is_computed_where_they_are_off():
    curves = Curves(0.01)
    never: Any = None
    curves.record(never, 0, never)
    assert curves.view(0) is None


def test_terms_add_up_to_the_reward_and_points_are_means():
    session = make(num_envs=2, max_steps=10**6)
    session.show(1)
    session.curves.toggle()
    assert session.status().curves and session.curves.steps_per_point == 5
    tick(session, 23)
    view = session.curves.view(1)
    assert view is not None and list(view.terms) == ["one", "env"]
    means = np.array([3.0, 8.0, 13.0, 18.0])  # of the steps 1 to 5, 6 to 10 ...
    assert np.allclose(view.terms["one"], means / 100)
    assert np.allclose(view.terms["env"], 0.1)
    assert np.allclose(view.reward, sum(view.terms.values()))
    assert np.allclose(view.metrics["steps [1]"], means)
    assert np.allclose(view.times, [-0.15, -0.1, -0.05, 0.0])
    assert view.success is not None and not view.success.any()
    session.curves.toggle()
    assert session.curves.view(1) is None


def test_success_is_a_curve_where_the_task_measures_it():
    session = make(max_steps=10**6)
    session.curves.toggle()
    tick(session, 10)
    view = session.curves.view(0)
    assert view is not None and view.success is not None
    assert view.success.tolist() == [0.6, 1.0], "from its third step on"
    session.env.task.measured = False  # pyright: ignore[reportAttributeAccessIssue]
    tick(session, 10)
    view = session.curves.view(0)
    assert view is not None and view.success is None and len(view.reward) == 2


def test_an_episode_begins_with_a_gap():
    session = make(max_steps=10)
    session.curves.toggle()
    tick(session, 10 + 2 + 5)
    view = session.curves.view(0)
    assert view is not None
    assert np.isnan(view.reward).tolist() == [False, False, True, False]
    assert np.allclose(view.terms["one"][[0, 1, 3]], [0.03, 0.08, 0.03])


def test_another_environment_has_curves_of_its_own():
    session = make(num_envs=3, max_steps=10**6)
    session.curves.toggle()
    tick(session, 20)
    session.show(2)
    assert session.curves.view(2) is None, "paused, it would show another's"
    tick(session, 5)
    view = session.curves.view(2)
    assert view is not None and np.allclose(view.terms["env"], [0.2])


def test_a_figure_of_mujoco_has_a_line_for_each_term():
    view = CurvesView(
        times=np.array([-0.2, -0.1, 0.0]),
        reward=np.array([0.5, np.nan, 0.75]),
        terms={"a": np.array([0.25, np.nan, 0.5]), "b": np.array([0.25, np.nan, 0.25])},
        metrics={"error [m]": np.zeros(3)},
        success=None,
    )
    figure = curves_figure(view)
    assert figure.linename[:4].tolist() == [
        b"0.750 reward",
        b"0.500 a",
        b"0.250 b",
        b"",
    ]
    assert figure.linepnt[:4].tolist() == [2, 2, 2, 0]
    assert np.allclose(figure.linedata[1, :4], [-0.2, 0.25, 0.0, 0.5])
    assert len({tuple(colour) for colour in figure.linergb[:3]}) == 3
    alone = curves_figure(replace(view, terms={"reward": view.reward}))
    assert alone.linepnt[:2].tolist() == [2, 0], "the only term is the reward"
    empty = np.full(3, np.nan)
    assert curves_figure(replace(view, reward=empty)).linename[0] == b"reward"


def test_the_window_draws_the_figure_while_the_curves_are_on():
    session, placed = make(max_steps=10**6), []
    viewer = SimpleNamespace(
        viewport=mujoco.MjrRect(0, 0, 1000, 800),
        set_figures=placed.append,
        clear_figures=lambda: placed.append(None),
    )
    native._draw_curves(viewer, session)
    native.KEYS[ord("G")](session)
    tick(session, 10)
    native._draw_curves(viewer, session)
    (place, figure) = placed[1]
    assert placed[0] is None and figure.linepnt[0] == 2
    assert (place.left, place.bottom, place.width, place.height) == (600, 0, 400, 320)
    native.KEYS[ord("F")](session)
    assert session.contacts.on


def test_a_plot_has_room_for_all_its_curves():
    nan = np.full(2, np.nan)
    assert graphs.value_range([np.array([0.0, 1.0]), nan]) == pytest.approx((0, 1.08))
    assert graphs.value_range([np.array([-1.0, 1.0])]) == pytest.approx((-1.16, 1.16))
    assert graphs.value_range([nan]) == (0.0, 1.0)
    assert (graphs.latest(np.array([0.5, 0.25])), graphs.latest(nan)) == ("0.250", "-")


def test_a_low_plot_says_where_its_curve_ends():
    nan = np.nan
    assert graphs.value_ends(np.array([0.5, nan, 2.0])) == [0.0, 2.0]
    assert graphs.value_ends(np.array([-0.002, 0.0])) == [-0.002, 0.0]
    assert graphs.value_ends(np.array([-1.0, 1.5])) == [-1.0, 0.0, 1.5]
    assert graphs.value_ends(np.array([-0.1, 1.5])) == [-0.1, 1.5], "0 would overlap"
    assert graphs.value_ends(np.array([nan])) == [0.0]


def test_as_many_metrics_are_drawn_as_fit():
    assert graphs.metrics_that_fit(1, 400.0) == (1, 96.0)
    assert graphs.metrics_that_fit(5, 240.0) == (4, 60.0)
    assert graphs.metrics_that_fit(0, 240.0) == (0, 0.0)
    assert graphs.metrics_that_fit(3, -20.0) == (0, 0.0)


@pytest.mark.parametrize("dt", [0.001, 0.01, 0.02, 0.1])
def test_a_window_has_few_points_at_any_rate(dt):
    curves = Curves(dt)
    curves.toggle()
    env: Any = SimpleNamespace(
        task=SimpleNamespace(metrics=lambda engine, state: {}), engine=None, state=None
    )
    one = np.ones(1)
    outcome: Any = (None, one, one, one, {"terms": {"alive": one}, "success": None})
    for _ in range(round(2 * SPAN / dt)):
        curves.record(env, 0, outcome)
    view = curves.view(0)
    assert view is not None
    assert len(view.times) <= POINTS and not view.metrics
    assert view.times[0] == pytest.approx(-SPAN, abs=2 * dt * curves.steps_per_point)
