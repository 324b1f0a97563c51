"""An environment, a policy and a clock of which a test knows everything."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from sims.dials import Dial, Holds
from sims.task import Marker, TaskDefaults


class Clock:
    """Seconds, moved by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class FakeEngine:
    """Remembers the wrenches that are applied."""

    name = "fake"

    def __init__(self, num_envs):
        self.wrenches = {}
        self.touching = []
        """What :meth:`contacts` answers."""
        self.model = SimpleNamespace(
            ncam=2,
            nbody=2,
            body_mass=np.array([0.0, 2.0]),
            body_weldid=np.array([0, 1]),
            geom_bodyid=np.array([0, 1]),
            body_rootid=np.array([0, 1]),
            jnt_bodyid=np.zeros(0, int),
            actuator_trnid=np.zeros((0, 2)),
            actuator_trntype=np.zeros(0),
            camera=lambda index: SimpleNamespace(name=("side", "corner")[index]),
            site=lambda name: SimpleNamespace(bodyid=[1]),
            body=lambda key: SimpleNamespace(name="hand", ipos=np.array([0.1, 0, 0])),
        )
        self.num_envs = num_envs

    def apply_wrench(self, body, wrench, where):
        kept = self.wrenches.setdefault(body, np.zeros((self.num_envs, 6)))
        kept[where] = wrench[where]

    def contacts(self, env):
        return self.touching

    def pose(self, frame):
        quarter_turn_about_z = np.array([0.5, 0, 0, 0.5]) ** 0.5
        turned = np.tile(quarter_turn_about_z, (self.num_envs, 1))
        return np.full((self.num_envs, 3), 0.5), turned


class FakeTask(TaskDefaults):
    """Succeeds from step 3 of an episode on, in environments of even number."""

    name, robot = "fake-task", "arm"
    measured = True
    dials = (Dial(name="wish", unit="m", low=-1.0, high=1.0, field="wish"),)

    def metrics(self, engine, state):
        return {"steps [1]": state.steps * 1.0}

    def markers(self, state, env):
        return [Marker(kind="sphere", points=np.full((1, 3), float(env)), size=0.1)]

    def success(self, engine, state):
        if not self.measured:
            return None
        return (state.steps >= 3) & (np.arange(len(state.steps)) % 2 == 0)


class FakeEnv:
    """Counts: the observation is (episode, steps of the episode)."""

    control_dt = 0.01

    def __init__(self, num_envs=1, max_steps=10, autoreset=False):
        self.num_envs, self.max_steps, self.autoreset = num_envs, max_steps, autoreset
        self.engine, self.task = FakeEngine(num_envs), FakeTask()
        self.state: Any = SimpleNamespace(
            steps=np.zeros(num_envs, int), wish=np.arange(num_envs) / 10
        )
        self.holds = Holds(self.task.dials, self.state)
        self.episode = np.full(num_envs, -1)
        self.ends = np.full(num_envs, 10**9)
        """When each environment terminates by itself [steps]."""
        self.actions = []

    def observe(self):
        return {"state": np.stack([self.episode, self.state.steps], 1)}

    def reset(self):
        self._begin(np.ones(self.num_envs, bool))
        return self.observe()

    def _begin(self, where):
        self.episode[where] += 1
        self.state.steps[where] = 0
        for kept in self.engine.wrenches.values():
            kept[where] = 0.0

    def step(self, action):
        self.actions.append(action)
        self.state.steps += 1
        terminated = self.state.steps == self.ends
        truncated = self.state.steps >= self.max_steps
        terms = {"one": self.state.steps / 100, "env": np.arange(self.num_envs) / 10}
        success = self.task.success(self.engine, self.state)
        info = {"success": success, "terms": terms}
        reward = terms["one"] + terms["env"]
        if self.autoreset:
            self._begin(terminated | truncated)
        return self.observe(), reward, terminated, truncated, info

    def markers(self, env):
        return self.task.markers(self.state, env)

    def save(self):
        return self.episode.copy(), self.state.steps.copy()

    def load(self, saved):
        self.episode[:], self.state.steps[:] = saved
        return self.observe()


class FakePolicy:
    """Remembers what it saw; may take time, or fail at a step of its choice."""

    name = "fake-policy"

    def __init__(self, clock=None, takes=0.0, fails_at=None):
        self.clock, self.takes, self.fails_at = clock, takes, fails_at
        self.seen, self.resets = [], []

    def reset(self, where=None):
        self.resets.append(where)

    def act(self, obs):
        self.seen.append(obs["state"].copy())
        if self.clock is not None:
            self.clock.now += self.takes
        if self.fails_at is not None and obs["state"][0, 1] == self.fails_at:
            raise ValueError("the weights\nare  gone")
        return np.zeros((len(obs["state"]), 2))


class Swing:
    """Swings a real arm back and forth; fails when told to."""

    name = "swing"

    def __init__(self, env):
        self.obs_spec, self.action_spec = env.obs_spec, env.action_spec
        self.control_dt = env.control_dt
        self.num_envs = env.num_envs
        self.resets, self.calls, self.fails = 0, 0, False

    def reset(self, where=None):
        self.resets += 1
        self.calls = 0

    def act(self, obs):
        if self.fails:
            raise ValueError("told to fail")
        self.calls += 1
        angle = self.calls * self.control_dt * 4.0
        torque = np.array([6.0 + 8.0 * np.sin(angle), 2.0 * np.cos(angle)])
        return np.tile(torque, (self.num_envs, 1))
