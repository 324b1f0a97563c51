"""The races that time the engines count what they say they count."""

import time

import numpy as np
import pytest

from benchmarks import engine_share, gym_humanoid


def test_the_share_is_physics_over_all_of_a_step() -> None:
    candidate = engine_share.Candidate("arm-reach", 16, "train")
    candidate._steps = 6
    inner = candidate.env.task.reward

    def slow(*args: object) -> object:
        time.sleep(0.03)  # by the clock alone: the processor has nothing to do
        return inner(*args)

    for _ in range(3):
        candidate.run()
    quick = candidate.row()
    candidate.env.task.reward = slow
    candidate.rounds.clear()
    for _ in range(3):
        candidate.run()
    row = candidate.row()
    assert 0 < row["share"] < 0.5 * quick["share"] < 0.5
    assert 0 < row["share_by_processor"] < 1
    assert row["env_steps_per_second"] < 16 / 0.03
    candidate.env.close()


def test_bars_of_the_share_are_without_randomisation() -> None:
    row = {"share": 0.9, "share_by_processor": 0.8}
    rows = {
        "walk x 64, none": {"num_envs": 64, **row},
        "walk x 1024, none": {"num_envs": 1024, **row},
        "walk x 1024, train": {"num_envs": 1024, **row},
    }
    met = [line["met"] for line in engine_share.bars(rows)]
    assert met == [True, True, True, False]


def test_a_race_gives_each_project_its_best_in_each_round() -> None:
    turns = {
        "sandbot x 64": iter([(9.0, 9.0), (2.0, 2.0), (4.0, 1.0)]),
        "sandbot x 1024": iter([(9.0, 9.0), (1.0, 4.0), (8.0, 2.0)]),
        "SyncVectorEnv x 8": iter([(9.0, 9.0), (6.0, 8.0), (9.0, 5.0)]),
        "AsyncVectorEnv x 2": iter([(9.0, 9.0), (5.0, 0.1), (8.0, 0.1)]),
    }
    taken = gym_humanoid.race({n: lambda t=t: next(t) for n, t in turns.items()}, 2)
    found = gym_humanoid.ratios(taken)
    assert set(found) == {"Gymnasium"}
    assert found["Gymnasium"]["clock"] == pytest.approx(np.median([5 / 1, 8 / 4]))
    assert found["Gymnasium"]["processor"] == pytest.approx(np.median([8 / 2, 5 / 1]))


def test_differences_to_gymnasium_are_seen() -> None:
    task, options, _ = gym_humanoid.KINDS["without"]
    same = gym_humanoid.differences(task, options, 1, 30)
    assert max(same[k] for k in ("observation", "reward", "forward", "ctrl")) < 1e-6
    assert same["ends"] == 0
    priced = gym_humanoid.differences(task, options | {"ctrl_cost_weight": 0.2}, 1, 5)
    assert priced["ctrl"] > 1e-3 and priced["observation"] < 1e-6
