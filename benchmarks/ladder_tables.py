"""The ladder's tables, measured: planning, prediction, control, exploration.

Each function is a part of ``benchmarks/ladder.py``: it returns bars, rows and the
curves that pictures are drawn from.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.bc import TASK, row, tell
from benchmarks.record import bar
from evaluation.episodes import play
from evaluation.rollout import Rollout
from ml.statistics import mean_interval
from policies.ladder import (
    bandit,
    dynamic_programming,
    monte_carlo,
    temporal_difference,
)
from policies.ladder.arm_cells import ArmCells
from policies.ladder.dynamic_programming import Plan, PlanningConfig
from policies.ladder.exploration import (
    UCB,
    Boltzmann,
    Decay,
    EpsilonGreedy,
    Rule,
    always,
)
from policies.ladder.mdp import FiniteMDP, MDPEnv
from policies.ladder.q_learning import q_learning
from policies.ladder.sarsa import sarsa
from policies.ladder.tabular import Learned, TabularConfig

CELLS = (16, 12)
"""Of the shoulder's turn and of the elbow's range."""
COARSE = (8, 6)
"""The same where values are only predicted: all states are met often."""
DISCOUNT = 0.95
"""On the arm."""
DRIVEN = 200
"""Episodes of the real arm."""
POINTS = 60
"""Of a curve."""
SEEDS = 5

Part = dict[str, Any]
Learner = Callable[[gym.Env, TabularConfig], Learned]
CONTROL: dict[str, Learner] = {
    "Monte Carlo": monte_carlo.control,
    "SARSA": sarsa,
    "expected SARSA": lambda env, config: sarsa(env, config, expected=True),
    "Q-learning": q_learning,
}


def arm_cells(cells: tuple[int, int] = CELLS) -> ArmCells:
    """Of the task's arm."""
    from assets import load_model
    from controllers.arm2 import Arm2
    from sims import make_task

    task = make_task(TASK)
    return ArmCells.of(Arm2.from_model(load_model(task.robot, task.scene)), cells)


def solve(mdp: FiniteMDP, policy: np.ndarray, discount: float) -> np.ndarray:
    """v of a policy by a linear solve: (I - gamma P_pi) v = r_pi."""
    table, reward = mdp.dense()
    p = np.einsum("sa,sat->st", policy, table)
    rest = np.eye(mdp.states) - discount * p
    return np.linalg.solve(rest, (policy * reward).sum(1))


def programme(mdp: FiniteMDP, discount: float) -> np.ndarray:
    """Optimal v by a linear programme: the least v that no action beats."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    table, reward = mdp.dense()
    keep = np.repeat(np.eye(mdp.states), mdp.actions, 0)
    beats = discount * table.reshape(-1, mdp.states) - keep
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        np.ones(mdp.states),
        A_ub=csr_matrix(beats),
        b_ub=-reward.ravel(),
        bounds=(None, None),
        options=tight,
    )
    return found.x


def planning() -> Part:
    """Value and policy iteration, against a linear solve and a linear programme."""
    lake = FiniteMDP.of(gym.make("FrozenLake8x8-v1"))
    taxi = FiniteMDP.of(gym.make("Taxi-v4"))
    problems = {
        "arm": (arm_cells().mdp(), DISCOUNT),
        "FrozenLake 8x8": (lake, 0.99),
        "Taxi": (taxi, 0.99),
    }
    planners: dict[str, Callable[[FiniteMDP, PlanningConfig], Plan]] = {
        "value iteration": dynamic_programming.value_iteration,
        "policy iteration": dynamic_programming.policy_iteration,
    }
    off, solved, figures, curves = [], [], {}, {}
    for name, (mdp, discount) in problems.items():
        best = programme(mdp, discount)
        for how, plan_by in planners.items():
            config = PlanningConfig(discount=discount, tolerance=1e-11)
            plan = plan_by(mdp, config)
            off.append(np.abs(plan.v - best).max())
            policy = np.eye(mdp.actions)[plan.actions]
            solved.append(np.abs(plan.v - solve(mdp, policy, discount)).max())
            figures[f"{how}, {name}"] = {
                "states": mdp.states,
                "sweeps": plan.sweeps,
                "turns": len(plan.history),
            }
            if name == "arm":
                errors = [np.abs(v - best).max() for v in plan.history]
                curves[how] = [float(error) for error in errors]
                curves["values"] = plan.v.round(3).tolist()
            print(f"{how:18} {name:15} off by {off[-1]:.1e} {solved[-1]:.1e}")
    return {
        "figures": figures,
        "curves": curves,
        "bars": [
            bar("planning: v* against a linear programme, worst", max(off), "<=", 1e-8),
            bar("planning: v against a linear solve, worst", max(solved), "<=", 1e-8),
        ],
    }


def prediction(episodes: int = 5000) -> Part:
    """Monte Carlo and TD(0) about a policy of the arm that errs half of the time."""
    mdp = arm_cells(COARSE).mdp()
    config = PlanningConfig(discount=DISCOUNT)
    best = dynamic_programming.value_iteration(mdp, config).actions
    policy = 0.5 * np.eye(mdp.actions)[best] + 0.5 / mdp.actions
    exact = solve(mdp, policy, DISCOUNT)
    begins = mdp.start > 0
    at = set(np.unique(np.geomspace(1, episodes, POINTS).astype(int)).tolist())
    errors: dict[str, list[list[float]]] = {"Monte Carlo": [], "TD(0)": []}
    within: list[bool] = []

    def watch(found: list[float]) -> Callable[[int, np.ndarray], None]:
        def note(episode: int, v: np.ndarray) -> None:
            if episode in at:
                off = (v - exact)[begins]
                found.append(float(np.sqrt((off**2).mean())))

        return note

    for seed in range(SEEDS):
        for name in errors:
            errors[name].append([])
        config = TabularConfig(
            episodes=episodes, discount=DISCOUNT, step_size=1.0, power=0.6, seed=seed
        )
        averages = monte_carlo.predict(
            MDPEnv(mdp), policy, config, watch(errors["Monte Carlo"][-1])
        )
        seen = begins & (averages.visits >= 30)
        off = np.abs(averages.v - exact)[seen]
        within += (off <= 1.96 * averages.error[seen]).tolist()
        note = watch(errors["TD(0)"][-1])
        temporal_difference.predict(MDPEnv(mdp), policy, config, note)
    last = {name: [run[-1] for run in runs] for name, runs in errors.items()}
    for name, ends in last.items():
        print(f"{name:12} RMS error {np.mean(ends):.3f} after {episodes} episodes")
    return {
        "figures": {
            name: {"rms": float(np.mean(ends)), "interval": mean_interval(ends)}
            for name, ends in last.items()
        }
        | {"episodes": episodes, "seeds": SEEDS, "judged": len(within)},
        "curves": {"episodes": sorted(at), **errors},
        "bars": [
            bar(
                "Monte Carlo: states within 1.96 standard errors of the solve",
                float(np.mean(within)),
                ">=",
                0.92,
            ),
            bar(
                "TD(0): RMS error of the arm's values",
                float(np.mean(last["TD(0)"])),
                "<=",
                0.5,
            ),
            bar(
                "Monte Carlo: RMS error of the arm's values",
                float(np.mean(last["Monte Carlo"])),
                "<=",
                0.5,
            ),
        ],
    }


def cliff(seeds: int = 10) -> Part:
    """SARSA and Q-learning beside the cliff."""
    mdp = FiniteMDP.of(gym.make("CliffWalking-v1"))
    runs: dict[str, list[Learned]] = {}
    for name in ("SARSA", "expected SARSA", "Q-learning"):
        runs[name] = [
            CONTROL[name](
                MDPEnv(mdp, max_steps=5000),
                TabularConfig(
                    discount=1.0,
                    step_size=1.0,
                    power=0.4,
                    explore=EpsilonGreedy(epsilon=always(0.1)),
                    seed=seed,
                ),
            )
            for seed in range(seeds)
        ]
    figures, curves = {}, {}
    for name, found in runs.items():
        late = [run.returns[-100:].mean() for run in found]
        # rows of the world are 12 wide; row 2 is the edge
        paths = [walk(mdp, run.actions) for run in found]
        edge = [sum(24 < s < 35 for s in path) for path in paths]
        figures[name] = {
            "return": float(np.mean(late)),
            "interval": mean_interval(late),
            "steps_on_the_edge": float(np.mean(edge)),
            "lengths": [len(path) - 1 for path in paths],
        }
        returns = np.mean([run.returns for run in found], 0)
        curves[name] = thin(returns)
        curves[f"{name}, path"] = paths[0]
        print(f"{name:15} {np.mean(late):7.1f}, steps on the edge {np.mean(edge):.1f}")
    late = {n: [r.returns[-100:].mean() for r in found] for n, found in runs.items()}
    gain = mean_interval(np.subtract(late["SARSA"], late["Q-learning"]))
    q, on = figures["Q-learning"], figures["SARSA"]
    return {
        "figures": figures | {"seeds": seeds},
        "curves": curves,
        "bars": [
            bar(
                "cliff: SARSA's return minus Q-learning's, lower end", gain[0], ">=", 5
            ),
            bar("cliff: SARSA's path, longest", max(on["lengths"]), "<=", 20),
            bar("cliff: Q-learning's path, longest", max(q["lengths"]), "<=", 13),
            bar(
                "cliff: Q-learning's steps on the edge", q["steps_on_the_edge"], ">=", 9
            ),
            bar("cliff: SARSA's steps on the edge", on["steps_on_the_edge"], "<=", 2),
        ],
    }


def walk(mdp: FiniteMDP, actions: np.ndarray, most: int = 100) -> list[int]:
    """States on the way from the start, by the likeliest outcomes."""
    state, ended = int(mdp.start.argmax()), False
    path = [state]
    while not ended and len(path) <= most:
        place = (state, int(actions[state]))
        place = (*place, int(mdp.probabilities[place].argmax()))
        state, ended = int(mdp.successors[place]), bool(mdp.ends[place])
        path.append(state)
    return path


def classics() -> Part:
    """Tables of FrozenLake and Taxi: what they are worth, by a linear solve."""
    worlds = {
        "FrozenLake-v1": TabularConfig(
            episodes=2000, step_size=1.0, power=0.6, initial=1.0
        ),
        # SARSA learns what exploring costs, so that has to fade (Singh et al. 2000)
        "Taxi-v4": TabularConfig(
            episodes=8000,
            step_size=1.0,
            power=0.3,
            explore=EpsilonGreedy(epsilon=Decay(start=1.0, end=0.0, rate=0.999)),
        ),
    }
    figures, curves, shares = {}, {}, {}
    for world, config in worlds.items():
        mdp = FiniteMDP.of(gym.make(world))
        best = programme(mdp, config.discount)
        for name in ("SARSA", "Q-learning"):
            worth, returns = [], []
            for seed in range(3):
                given = {**vars(config), "seed": seed}
                run = CONTROL[name](MDPEnv(mdp, 200), TabularConfig(**given))
                v = solve(mdp, np.eye(mdp.actions)[run.actions], config.discount)
                worth.append(float(mdp.start @ v))
                returns.append(run.returns)
            optimal = float(mdp.start @ best)
            figures[f"{name}, {world}"] = {"worth": worth, "optimal": optimal}
            curves[f"{name}, {world}"] = thin(np.mean(returns, 0))
            shares[f"{name}, {world}"] = min(worth) / optimal
            print(f"{name:12} {world:15} {np.mean(worth):.3f} of {optimal:.3f}")
    return {
        "figures": figures,
        "curves": curves,
        "bars": [
            bar(f"{name}: worth of the table over the best, least", share, ">=", 0.9)
            for name, share in shares.items()
        ],
    }


def arm(episodes: int = 12_000) -> Part:
    """Tables of the arm, planned and learned, and how they drive the real one."""
    cells = arm_cells()
    mdp = cells.mdp()
    config = PlanningConfig(discount=DISCOUNT)
    tables = {
        "value iteration": dynamic_programming.value_iteration(mdp, config).actions,
        "policy iteration": dynamic_programming.policy_iteration(mdp, config).actions,
    }
    steps: dict[str, int] = {}
    curves: dict[str, list[float]] = {}
    soft = EpsilonGreedy(epsilon=Decay(start=0.5, end=0.1, rate=0.999))
    for name, learn in CONTROL.items():
        given = TabularConfig(
            episodes=episodes,
            discount=DISCOUNT,
            step_size=1.0,
            power=0.5,
            explore=soft,
        )
        run = learn(MDPEnv(mdp), given)
        tables[name], steps[name] = run.actions, int(run.steps.sum())
        curves[name] = thin(run.returns)
    tables["random moves"] = np.random.default_rng(0).integers(0, 9, cells.states)
    rows = []
    for name, actions in tables.items():
        judged = row(f"table of {name}", drive(cells, actions))
        rows.append(judged | {"learning_steps": steps.get(name, 0)})
        tell(rows[-1])
    least = min(found["success_rate"] for found in rows[2:-1])
    return {
        "rows": rows,
        "figures": {"episodes": episodes, "states": cells.states, "steps": steps},
        "curves": curves,
        "bars": [
            bar("arm: success of a planned table", rows[0]["success_rate"], ">=", 0.98),
            bar("arm: success of a learned table, least", least, ">=", 0.85),
            bar("arm: success of random moves", rows[-1]["success_rate"], "<=", 0.1),
        ],
    }


def drive(cells: ArmCells, actions: np.ndarray, episodes: int = DRIVEN) -> Rollout:
    """Roll a table out on the task's first episodes."""
    from policies.ladder.table_driver import TableDriver
    from sims import make_env, make_task

    task = make_task(TASK)
    env = make_env(task, num_envs=episodes, threads=1)
    driver = TableDriver(task, episodes, cells=cells, actions=actions)
    try:
        found = play(env, driver, np.arange(episodes), episodes, 0, None)
    finally:
        env.close()
    return Rollout(
        task=TASK,
        policy="table",
        engine="mujoco",
        randomize="none",
        seed=0,
        control_dt=env.control_dt,
        success=found["success"],
        returns=found["returns"],
        lengths=found["lengths"],
        diverged=found["diverged"],
    )


def exploration() -> Part:
    """Four ways to explore, and none, on the same thousand bandits."""
    greedy = EpsilonGreedy(epsilon=always(0.0))
    rules: dict[str, tuple[Rule, float]] = {
        "greedy": (greedy, 0.0),
        "epsilon-greedy 0.1": (EpsilonGreedy(epsilon=always(0.1)), 0.0),
        "epsilon-greedy, decays": (
            EpsilonGreedy(epsilon=Decay(start=1.0, end=0.01, rate=0.98)),
            0.0,
        ),
        "UCB, c 2": (UCB(c=2.0), 0.0),
        "Boltzmann, decays": (
            Boltzmann(temperature=Decay(start=1.0, end=0.1, rate=0.99)),
            0.0,
        ),
        "optimistic 5": (greedy, 5.0),
    }
    figures, curves = {}, {}
    for name, (rule, initial) in rules.items():
        # a memory of recent pulls keeps optimism up for a while, as in the book
        step = 0.1 if initial else None
        played = bandit.play(
            bandit.BanditConfig(explore=rule, initial=initial, step_size=step)
        )
        total = played.regret.mean(1)
        figures[name] = {
            "regret": float(total.mean()),
            "interval": mean_interval(total),
            "best_at_the_end": float(played.best[:, -100:].mean()),
        }
        curves[name] = thin(played.best.mean(0))
        print(f"{name:24} regret of a pull {total.mean():.3f}")
    least = figures["greedy"]["interval"][0]
    return {
        "figures": figures | {"pulls": 1000, "bandits": 1000},
        "curves": curves,
        "bars": [
            bar(
                f"bandit: regret of {name}, upper end, over greedy's lower end",
                found["interval"][1] / least,
                "<=",
                1.0,
            )
            for name, found in figures.items()
            if name != "greedy"
        ],
    }


def thin(values: np.ndarray) -> list[float]:
    """Means of as many stretches as a curve has points."""
    pieces = np.array_split(np.asarray(values, float), min(POINTS, len(values)))
    return [round(float(piece.mean()), 4) for piece in pieces]
