"""The ladder's tables: right values, the textbook's differences, and a driven arm."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare

from assets import load_model
from assets.errors import SandbotError, UsageError
from benchmarks.ladder_tables import arm_cells, programme, solve, walk
from controllers.arm2 import Arm2
from evaluation.episodes import play
from policies.ladder import bandit, monte_carlo, temporal_difference
from policies.ladder.arm_cells import ArmCells
from policies.ladder.dynamic_programming import (
    PlanningConfig,
    evaluate,
    policy_iteration,
    value_iteration,
)
from policies.ladder.exploration import (
    UCB,
    Boltzmann,
    Decay,
    EpsilonGreedy,
    always,
    draw,
    pick,
)
from policies.ladder.mdp import FiniteMDP, MDPEnv
from policies.ladder.q_learning import q_learning
from policies.ladder.sarsa import sarsa
from policies.ladder.table_driver import TableDriver
from policies.ladder.tabular import TabularConfig
from sims import make_env, make_task

GREEDY = EpsilonGreedy(epsilon=always(0.0))
SOFT = EpsilonGreedy(epsilon=always(0.3))


def small_arm() -> ArmCells:
    return ArmCells.of(Arm2.from_model(load_model("arm")), (8, 4))


def chain(length: int = 5) -> FiniteMDP:
    """A row of states, left and right; off its right end pays 1 (Example 6.2)."""
    s = np.arange(length)
    to = np.stack([s - 1, s + 1], 1)[..., None]
    ends = (to < 0) | (to >= length)
    return FiniteMDP(
        successors=np.clip(to, 0, length - 1),
        probabilities=np.ones(to.shape),
        rewards=(to == length).astype(float),
        ends=ends,
        start=(s == length // 2).astype(float),
    )


def random_policy(mdp: FiniteMDP) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(mdp.actions), mdp.states)


@pytest.mark.parametrize("world", ["arm", "FrozenLake-v1", "CliffWalking-v1"])
def test_plans_are_the_linear_programmes(world: str) -> None:
    if world == "arm":
        mdp, discount = small_arm().mdp(), 0.95
    else:
        # nothing is discounted beside the cliff
        mdp = FiniteMDP.of(gym.make(world))
        discount = 1.0 if world.startswith("Cliff") else 0.99
    best = programme(mdp, discount)
    config = PlanningConfig(discount=discount, tolerance=1e-12)
    plans = [value_iteration(mdp, config)]
    if discount < 1:
        plans.append(policy_iteration(mdp, config))
    for plan in plans:
        assert np.abs(plan.v - best).max() < 1e-8
        greedy = np.eye(mdp.actions)[plan.actions]
        assert np.abs(solve(mdp, greedy, 0.99 * discount) - best).max() > 1e-6
        if discount < 1:
            assert np.abs(solve(mdp, greedy, discount) - best).max() < 1e-8
    if discount == 1:
        assert len(walk(mdp, plans[0].actions)) == 14


def test_evaluation_is_the_linear_solve() -> None:
    mdp = small_arm().mdp()
    policy = random_policy(mdp)
    v, sweeps = evaluate(mdp, policy, PlanningConfig(tolerance=1e-12))
    assert np.abs(v - solve(mdp, policy, 0.95)).max() < 1e-8
    assert sweeps > 10


def test_what_never_ends_is_told() -> None:
    lonely = FiniteMDP(
        successors=np.zeros((1, 1, 1), int),
        probabilities=np.ones((1, 1, 1)),
        rewards=np.ones((1, 1, 1)),
        ends=np.zeros((1, 1, 1), bool),
        start=np.ones(1),
    )
    config = PlanningConfig(discount=1.0, sweeps=50)
    for plan in (value_iteration, policy_iteration):
        with pytest.raises(SandbotError, match=r"not settled .* in 50 sweeps"):
            plan(lonely, config)
    # cut episodes: TD(0) knows what is left, and Monte Carlo refuses
    env, policy = MDPEnv(lonely, max_steps=5), np.ones((1, 1))
    config = TabularConfig(episodes=400, discount=0.9, step_size=0.2)
    v = temporal_difference.predict(env, policy, config)
    assert v[0] == pytest.approx(10, abs=1e-6)
    for learn in (
        lambda: monte_carlo.predict(env, policy, config),
        lambda: monte_carlo.control(env, config),
    ):
        with pytest.raises(SandbotError, match="was cut after 5 steps"):
            learn()


def test_monte_carlo_is_right_within_its_own_standard_errors() -> None:
    mdp = small_arm().mdp()
    policy = random_policy(mdp)
    config = TabularConfig(episodes=1000, discount=0.95)
    found = monte_carlo.predict(MDPEnv(mdp), policy, config)
    off = (found.v - solve(mdp, policy, 0.95)) / found.error
    seen = (mdp.start > 0) & (found.visits >= 30)
    assert seen.sum() > 50
    assert np.abs(off[seen]).max() < 4.5
    assert (np.abs(off[seen]) < 1.96).mean() > 0.85


def test_only_the_first_visit_counts() -> None:
    path = [("a", 1.0), ("b", 0.0), ("a", 2.0), ("c", 4.0)]
    found = monte_carlo.first_visits(path, 0.5)
    assert found == {"a": 1 + 0.25 * 2 + 0.125 * 4, "b": 0.5 * 2 + 0.25 * 4, "c": 4}


def test_td_finds_the_values_of_a_walk() -> None:
    """Example 6.2: they are 1/6 to 5/6; four standard errors of twenty runs."""
    config = {"episodes": 200, "discount": 1.0, "power": 0.6, "initial": 0.5}
    policy = np.full((5, 2), 0.5)
    runs = [
        temporal_difference.predict(
            MDPEnv(chain()), policy, TabularConfig(**config, step_size=0.5, seed=seed)
        )
        for seed in range(20)
    ]
    mean, error = np.mean(runs, 0), np.std(runs, 0, ddof=1) / np.sqrt(20)
    truth = np.arange(1, 6) / 6
    assert (np.abs(mean - truth) < 4 * error + 0.005).all()
    assert error.max() < 0.03


def test_sarsa_values_what_it_does_and_q_learning_what_is_best() -> None:
    mdp = chain()
    config = TabularConfig(
        episodes=1500, discount=0.9, step_size=1.0, power=0.7, explore=SOFT
    )
    best = value_iteration(mdp, PlanningConfig(discount=0.9)).v
    found = q_learning(MDPEnv(mdp), config)
    assert np.abs(found.q.max(1) - best).max() < 0.03
    for expected in (False, True):
        found = sarsa(MDPEnv(mdp), config, expected=expected)
        policy = SOFT.probabilities(found.q, found.tried, 0)
        q = mdp.q_values(solve(mdp, policy, 0.9), 0.9)
        assert np.abs(found.q - q).max() < 0.06
        assert found.q.max(1)[0] < best[0] - 0.05


def test_sarsa_keeps_off_the_cliff_and_q_learning_walks_its_edge() -> None:
    mdp = FiniteMDP.of(gym.make("CliffWalking-v1"))
    late, edge = {}, {}
    for learn in (sarsa, q_learning):
        runs = [
            learn(
                MDPEnv(mdp),
                TabularConfig(
                    episodes=250,
                    discount=1.0,
                    step_size=1.0,
                    power=0.4,
                    explore=EpsilonGreedy(epsilon=always(0.1)),
                    seed=seed,
                ),
            )
            for seed in range(2)
        ]
        late[learn] = np.mean([run.returns[-150:] for run in runs])
        paths = [walk(mdp, run.actions) for run in runs]
        assert all(path[-1] == 47 for path in paths), "it gets there"
        edge[learn] = [sum(24 < s < 35 for s in path) for path in paths]
    assert late[sarsa] > late[q_learning] + 5
    assert edge[q_learning] == [10, 10]
    assert max(edge[sarsa]) <= 4


def test_rules_are_their_formulas() -> None:
    q, tried = np.array([[1.0, 3.0, 3.0], [0.0, 0.1, -2.0]]), np.array([[4, 1, 9]] * 2)
    epsilon = EpsilonGreedy(epsilon=Decay(start=0.9, end=0.3, rate=0.5))
    soft = epsilon.probabilities(q, tried, 1)
    assert soft[0] == pytest.approx([0.15, 0.425, 0.425])
    assert epsilon.probabilities(q, tried, 50)[1] == pytest.approx([0.1, 0.8, 0.1])
    boltzmann = Boltzmann(temperature=always(0.5)).probabilities(q, tried, 0)
    assert boltzmann == pytest.approx(softmax(q / 0.5, -1))
    ucb = UCB(c=2.0)
    score = q + 2 * np.sqrt(np.log(15) / tried)
    assert ucb.probabilities(q, tried, 0).argmax(1).tolist() == score.argmax(1).tolist()
    assert ucb.probabilities(q, np.array([[5, 0, 0]] * 2), 0)[0].tolist() == [
        0,
        0.5,
        0.5,
    ]
    drawn = draw(np.broadcast_to(soft[0], (20_000, 3)), np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=3)
    assert chisquare(counts, 20_000 * soft[0]).pvalue > 1e-4
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    one = [pick(soft[0], rng) for _ in range(500)]
    assert one == [int(draw(soft[0], same)) for _ in range(500)]


def test_exploring_pays_on_bandits() -> None:
    rules = {
        "greedy": (GREEDY, 0.0),
        "epsilon": (EpsilonGreedy(epsilon=always(0.1)), 0.0),
        "ucb": (UCB(c=1.0), 0.0),
        "boltzmann": (Boltzmann(temperature=always(0.3)), 0.0),
        "optimistic": (GREEDY, 5.0),
    }
    late = {}
    for name, (rule, initial) in rules.items():
        config = bandit.BanditConfig(
            explore=rule, initial=initial, bandits=300, pulls=300
        )
        played = bandit.play(config)
        assert ((played.regret == 0) == played.best).all()
        late[name] = played.regret[:, -100:].mean()
    assert all(late[name] < 0.7 * late["greedy"] for name in rules if name != "greedy")


def test_a_process_is_the_environment_it_was_read_from() -> None:
    env = gym.make("FrozenLake-v1")
    mdp = FiniteMDP.of(env)
    table, reward = mdp.dense()
    goes_on = mdp.probabilities * ~mdp.ends
    assert np.allclose(table.sum(2), goes_on.sum(2))
    v = np.random.default_rng(0).normal(size=16)
    assert np.allclose(reward + 0.9 * table @ v, mdp.q_values(v, 0.9))
    state, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(300):
        action = int(env.action_space.sample())
        following, paid, ended, cut, _ = env.step(action)
        listed = zip(
            mdp.successors[state, action],
            mdp.rewards[state, action],
            mdp.ends[state, action],
            strict=True,
        )
        assert (following, paid, ended) in list(listed)
        state = env.reset()[0] if ended or cut else following


def test_acting_in_a_process_meets_outcomes_as_often_as_it_says() -> None:
    env = MDPEnv(FiniteMDP.of(gym.make("FrozenLake-v1")))
    env.reset(seed=1)
    met = []
    for _ in range(3000):
        env.reset()
        met.append(env.step(2)[0])
    counts = np.bincount(met, minlength=5)[[0, 1, 4]]
    assert chisquare(counts).pvalue > 1e-4


def test_cells_are_where_the_arm_reaches() -> None:
    cells = arm_cells()
    rng = np.random.default_rng(0)
    q = np.stack([rng.uniform(-3, 3, 200), rng.uniform(-2.6, 2.6, 200)], 1)
    target = cells.arm.forward(q)
    # both postures are goals of the target's ring, or next to one
    postures = cells.arm.inverse(target)[0]
    seen = cells.seen(postures, target[:, None])
    goals = cells.grid.centres()[cells.goals()[cells.ring(target)]]
    gap = np.abs(cells.arm.difference(goals, seen))
    assert (gap <= cells.grid.size + 1e-9).all()
    turned = q + np.array([1.0, 0.0])
    assert np.array_equal(
        cells.state(turned, cells.arm.forward(turned)), cells.state(q, target)
    )
    assert cells.arrives().sum() == 2 * cells.rings


def test_a_table_drives_the_real_arm() -> None:
    cells = arm_cells()
    plan = value_iteration(cells.mdp(), PlanningConfig(tolerance=1e-6))
    others = np.random.default_rng(0).integers(0, 9, cells.states)
    task = make_task("arm-reach")
    rates = []
    for actions in (plan.actions, others):
        env = make_env(task, num_envs=8, threads=1)
        driver = TableDriver(task, 8, cells=cells, actions=actions)
        found = play(env, driver, np.arange(8), 8, 0, None)
        env.close()
        rates.append(found["success"].mean())
    assert rates[0] >= 0.9 and rates[1] <= 0.3
    with pytest.raises(UsageError, match="a move for each of 1152 states"):
        TableDriver(task, 1, cells=cells, actions=others[:5])


def test_mistakes_are_told() -> None:
    mdp = chain()
    with pytest.raises(UsageError, match="sum to 1"):
        FiniteMDP(**{**vars(mdp), "probabilities": mdp.probabilities / 2})
    with pytest.raises(UsageError, match="four times"):
        FiniteMDP(**{**vars(mdp), "ends": mdp.ends[:, :1]})
    with pytest.raises(UsageError, match="each of 5 states"):
        FiniteMDP(**{**vars(mdp), "start": np.ones(3) / 3})
    with pytest.raises(UsageError, match="states from 0 to 4"):
        FiniteMDP(**{**vars(mdp), "successors": mdp.successors + 1})
    with pytest.raises(UsageError, match="no table of transitions"):
        FiniteMDP.of(gym.make("CartPole-v1"))
    with pytest.raises(UsageError, match="counted"):
        q_learning(gym.make("CartPole-v1"), TabularConfig())
    wrongs: list[dict[str, Any]] = [{"episodes": 0}, {"step_size": 0.0}, {"power": 2.0}]
    for wrong in wrongs:
        with pytest.raises(UsageError, match=next(iter(wrong))):
            TabularConfig(**wrong)
    with pytest.raises(UsageError, match="above 0"):
        Boltzmann(temperature=always(0.0))
    with pytest.raises(UsageError, match="down to end"):
        Decay(start=0.1, end=0.2)
    with pytest.raises(UsageError, match="discount is from 0"):
        PlanningConfig(discount=1.5)
    with pytest.raises(UsageError, match="even number"):
        ArmCells.of(Arm2.from_model(load_model("arm")), (8, 5))
    with pytest.raises(UsageError, match="slip is a probability"):
        small_arm().mdp(slip=2.0)
