"""Roll-outs: every episode once, independent of the batch, judged at its end."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.errors import UsageError
from evaluation.episodes import chunks, play
from evaluation.rollout import evaluate, rollout


@given(episodes=st.integers(1, 2000), size=st.integers(1, 600))
def test_batches_hold_every_episode_once(episodes: int, size: int) -> None:
    batches = list(chunks(episodes, size))
    assert {len(batch) for batch in batches} == {len(batches[0])}
    assert len(batches[0]) <= size
    ids = np.concatenate(batches)
    assert np.array_equal(ids, np.arange(len(ids)))
    assert episodes <= len(ids) < episodes + len(batches)


@pytest.mark.parametrize(
    ("policy", "num_envs"), [("impedance", 1), ("impedance", 4), ("random", 3)]
)
def test_results_do_not_depend_on_the_batch(policy: str, num_envs: int) -> None:
    def run(size: int):
        return rollout(
            "arm-reach",
            policy,
            randomize="train",
            episodes=7,
            seed=5,
            num_envs=size,
            threads=1,
        )

    one, other = run(7), run(num_envs)
    assert other.n == 7
    for name in ("success", "returns", "lengths", "diverged"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name, values in one.curves.items():
        assert values.shape == (400, 7)
        assert np.array_equal(values, other.curves[name], equal_nan=True)


def test_the_share_of_physics_and_the_engines_version_are_reported() -> None:
    result = rollout("arm-reach", "zero", episodes=4, num_envs=4)
    assert result.physics_share is not None and 0 < result.physics_share < 1
    assert result.engine_version.startswith("mujoco ")
    assert result.clipped == 0.0


def test_another_seed_gives_other_episodes() -> None:
    first, second = (
        rollout("arm-reach", "zero", episodes=4, seed=seed).curves["tip_error [m]"]
        for seed in (0, 1)
    )
    assert not np.isclose(first[0], second[0]).any()


def test_engines_are_paired_by_episode() -> None:
    results = evaluate(
        "arm-reach",
        ["zero"],
        engines=["mujoco", "bullet"],
        randomize=["train"],
        episodes=5,
        seed=3,
    )
    starts = [result.curves["tip_error [m]"][0] for result in results]
    assert np.ptp(starts[0]) > 0.05
    np.testing.assert_allclose(starts[0], starts[1], atol=2e-3)


def test_all_combinations_in_order() -> None:
    told: list[tuple[str, str, str, int]] = []
    steps: list[int] = []
    results = evaluate(
        "arm-reach",
        ["zero", "random"],
        randomize=["none", "gap"],
        episodes=2,
        on_start=lambda *args: told.append(args),
        progress=steps.append,
    )
    names = [(r.policy, r.engine, r.randomize) for r in results]
    assert names == [
        ("zero", "mujoco", "none"),
        ("zero", "mujoco", "gap"),
        ("random", "mujoco", "none"),
        ("random", "mujoco", "gap"),
    ]
    assert [args[:3] for args in told] == names
    assert sum(steps) == sum(args[3] for args in told) == 4 * 2 * 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "arm-rech"}, "Did you mean 'arm-reach'?"),
        ({"policies": ["expert", "impedence"]}, "Did you mean 'impedance'?"),
        ({"policies": []}, "--policy wants at least one"),
        ({"policies": ["zero", "zero"]}, "twice"),
        ({"engines": ["bulet"]}, "Did you mean 'bullet'?"),
        ({"randomize": ["trian"]}, "Did you mean 'train'?"),
        ({"episodes": 0}, "at least 1, got 0"),
        ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
        ({"num_envs": -3}, "got -3"),
        ({"seed": -1}, "got -1"),
        ({"seed": 1.5}, "1.5"),
        ({"engines": ["mujoco", "bullet"], "num_envs": 65}, "64"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(
    change: dict, words: str
) -> None:
    call: dict = {"task": "arm-reach", "policies": ["expert"], "episodes": 2} | change

    def never(*_: object) -> None:
        raise AssertionError("something ran")

    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        evaluate(call.pop("task"), call.pop("policies"), on_start=never, **call)


class FakeEnv:
    """Three environments of six steps: one lasts, one ends, one breaks down."""

    num_envs, max_steps, control_dt = 3, 6, 0.1
    engine = state = None

    def __init__(self, measures_success: bool = True) -> None:
        self.t = 0
        self.measures_success = measures_success
        self.task = SimpleNamespace(
            name="fake", metrics=lambda engine, state: {"error": np.full(3, self.t)}
        )

    def reset(self, *, seed: int, ids: np.ndarray) -> dict:
        self.t = 0
        return {}

    def step(self, action: np.ndarray) -> tuple:
        self.t += 1
        diverged = np.array([False, False, self.t == 3])
        terminated = np.array([False, self.t == 2, self.t == 3])
        truncated = np.full(3, self.t >= 6)
        # The second is only solved after its end; the third before it broke down.
        success = np.array([self.t >= 5, self.t >= 4, True])
        info = {
            "success": success if self.measures_success else None,
            "diverged": diverged,
            "outcomes": {"touched": np.array([self.t >= 6, self.t >= 3, True])},
            "clipped": np.array([1, 0, 2]),
        }
        return {}, np.ones(3), terminated, truncated, info


class FakePolicy:
    def reset(self) -> None: ...

    def act(self, obs: dict) -> np.ndarray:
        return np.zeros((3, 1))


def test_an_episode_is_judged_at_its_end_and_counts_nothing_after_it() -> None:
    out = play(FakeEnv(), FakePolicy(), np.arange(3), 3, 0, None)  # pyright: ignore
    assert out["success"].tolist() == [True, False, False]
    assert out["diverged"].tolist() == [False, False, True]
    assert out["lengths"].tolist() == [6, 2, 3]
    assert out["returns"].tolist() == [6.0, 2.0, 3.0]
    assert out["outcome: touched"].tolist() == [True, False, False]
    assert out["clipped"].tolist() == [6, 0, 6]
    ends = np.isfinite(out["error"]).sum(axis=0)
    assert ends.tolist() == [6, 2, 3]


def test_rows_that_only_fill_the_batch_do_not_count() -> None:
    out = play(FakeEnv(), FakePolicy(), np.arange(3), 1, 0, None)  # pyright: ignore
    assert out["success"].tolist() == [True]
    assert out["error"].shape == (6, 1)


@pytest.mark.parametrize("measures", [True, False])
def test_a_task_that_measures_no_success_is_told_apart(measures: bool) -> None:
    env = FakeEnv(measures_success=measures)
    out = play(env, FakePolicy(), np.arange(3), 3, 0, None)  # pyright: ignore
    assert out["measured"].tolist() == [measures] * 3
    assert out["success"].any() == measures
    assert out["returns"].tolist() == [6.0, 2.0, 3.0]
