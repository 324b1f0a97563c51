"""A robot, a task and a policy from outside: the example of the documentation.

The example is installed as a user would, into a folder of its own; broken packages lie
in another one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.assets.plugin_packages import install

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "example_robot"
USED = """
import gymnasium as gym
import numpy as np

import sims.gym_env
from assets import ROBOTS, load_model
from sandbot.main import main
from sims import make_env

TASK = "cart-pole-balance"
assert main(["list"]) == 0
assert main(["play", TASK, "--viewer", "none", "--steps", "50"]) == 0
assert main(["eval", TASK, "--engine", "mujoco", "bullet", "--episodes", "4"]) == 0

lone = gym.make("example/CartPoleBalance-v0", render_mode="rgb_array")
obs, _ = lone.reset(seed=1)
assert lone.observation_space.contains(obs)
obs, reward, *_ = lone.step(lone.action_space.sample())
assert lone.observation_space.contains(obs) and 0 < reward <= 1
assert lone.render().std() > 10
many = gym.make_vec("example/CartPoleBalance-v0", 3, randomize="train")
assert many.reset(seed=1)[0].shape == (3, 4)
many.close()

assert load_model("cart-pole").ncam == 1 and ROBOTS["cart-pole"]().tip == "tip"
masses = {}
for engine in ("mujoco", "bullet"):
    env = make_env(TASK, engine=engine, num_envs=2, randomize="gap", seed=3)
    env.reset()
    masses[engine] = env.engine.get_field("body_mass")
    assert (masses[engine][:, 1:] > 1.2 * env.engine.model.body_mass[1:]).all()
    env.close()
np.testing.assert_array_equal(masses["mujoco"], masses["bullet"])
print("all done")
"""
BROKEN = """
import assets
from policies import PolicyEntry

class Half:
    name = "half-done"

class Other(Half):
    pass

def robot():
    return assets.Robot(name="other", description="", scenes={}, tip="")

def policy():
    return lambda observation: 0
"""
CALLS = """
import sys
from sandbot.main import main

assert main(["list"]) == 0
for name, code in (("half-done", 1), ("half-dome", 2), ("arm-reach", 0)):
    print("===", name, file=sys.stderr, flush=True)
    assert main(["play", name, "--viewer", "none", "--steps", "3"]) == code, name
"""


def python(code: str, site: Path) -> subprocess.CompletedProcess:
    """Run code in a process that has another folder of packages."""
    path = os.pathsep.join([str(site), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, "MUJOCO_GL": "egl", "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-c", code]
    return subprocess.run(call, capture_output=True, text=True, env=env, cwd=site)


def test_the_example_installs_and_does_everything(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source)
    words = ["install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    call = [sys.executable, "-m", "pip", *words, "--target", str(site), str(source)]
    subprocess.run(call, check=True, capture_output=True)
    done = python(USED, site)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert said.endswith("all done\n")
    for name in ("cart-pole", "cart-pole-balance", "cart-pole-lqr"):
        assert f"\n   {name} " in said
    assert "0 episodes, 0 succeeded; 1.0 s simulated" in said
    assert said.count("100.0%") >= 2, said


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is said, by call, where packages are broken."""
    site = tmp_path_factory.mktemp("site")
    entries = {
        "sandbot.tasks": {
            "half-done": "Half",
            "misnamed": "Other",
            "arm-reach": "Half",
        },
        "sandbot.robots": {"empty": "robot", "arm": "robot"},
        "sandbot.policies": {"function": "policy", "expert": "policy"},
    }
    install(site, "acme-arms", BROKEN, entries)
    install(
        site,
        "bcme-arms",
        "import nonesuch",
        {
            group: {"lost": "any"}
            for group in ("sandbot.tasks", "sandbot.robots", "sandbot.policies")
        },
    )
    done = python(CALLS, site)
    assert done.returncode == 0, done.stderr
    assert "\n   arm-reach " in done.stdout and "\n   arm-press " in done.stdout
    assert "half-done" not in done.stdout and "lost" not in done.stdout
    assert "0 episodes, 0 succeeded; 0.0 s simulated" in done.stdout
    return done.stderr.split("=== ")


@pytest.mark.parametrize(
    "line",
    [
        "the task 'half-done' of the package 'acme-arms' lacks action_spec, advance,",
        "the task 'misnamed' of the package 'acme-arms' lacks action_spec, advance,",
        "the task 'arm-reach' of the package 'acme-arms' is left out, since sandbot",
        "the robot 'empty' of the package 'acme-arms' calls itself 'other'",
        "the robot 'arm' of the package 'acme-arms' is left out, since sandbot has",
        "the policy 'function' of the package 'acme-arms' is a function where a",
        "the policy 'expert' of the package 'acme-arms' is left out, since sandbot",
        "the task 'lost' of the package 'bcme-arms' cannot be loaded: ModuleNotFound",
        "the robot 'lost' of the package 'bcme-arms' cannot be loaded: ModuleNotFound",
        "the policy 'lost' of the package 'bcme-arms' cannot be loaded: ModuleNotFo",
    ],
)
def test_a_list_says_once_what_is_left_out_and_why(
    broken: list[str], line: str
) -> None:
    said = [told for told in broken[0].splitlines() if line in told]
    assert len(said) == 1, broken[0]


def test_asking_for_a_broken_task_is_one_line_and_others_play(
    broken: list[str],
) -> None:
    _, asked, mistyped, other = broken
    lines = asked.splitlines()
    assert lines[0] == "half-done" and len(lines) == 2
    assert lines[1].startswith("sandbot: the task 'half-done' of the package 'acme-ar")
    assert "see docs/adding-a-robot.md" in lines[1]
    assert "unknown task 'half-dome'. Did you mean 'half-done'?" in mistyped
    assert other.splitlines() == ["arm-reach"]
