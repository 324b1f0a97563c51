"""Randomised looks: keyed, relative to the nominal scene, and out of the physics."""

import copy
from typing import Any

import numpy as np
import pytest

from assets import UsageError, load_model, load_spec
from sims import image_randomization as images
from sims import make_env
from sims.cameras import CameraRig
from sims.draws import Draws
from sims.image_randomization import (
    GAP_IMAGES,
    TRAIN_IMAGES,
    ImageRandomizer,
    ImageTerm,
)
from sims.looks import slot, speckle
from sims.pointcloud import Pinhole, point_cloud
from sims.randomization import Randomization

EVERY = (*TRAIN_IMAGES, images.texture(0.3, 1.0), images.geom_colour(0.5, 1.5))


def watch(*terms: ImageTerm, task: str = "arm-reach", **given: Any) -> Any:
    given = {
        "observe": "both",
        "cameras": ("corner",),
        "image_size": (96, 72),
        "randomize": Randomization(images=terms),
    } | given
    return make_env(task, **given)


def picture(env: Any, **given: Any) -> np.ndarray:
    return env.reset(**given)["images.corner"].astype(float)


def test_the_same_seed_shows_the_same_in_any_batch() -> None:
    many, alone = watch(*EVERY, num_envs=6), watch(*EVERY)
    first = picture(many, seed=8)
    np.testing.assert_array_equal(
        picture(alone, seed=8, ids=np.array([4]))[0], first[4]
    )
    for _ in range(3):
        zero = np.zeros((6, 2))
        many.step(zero)
        alone.step(zero[:1])
    many_obs, alone_obs = many.step(zero)[0], alone.step(zero[:1])[0]
    np.testing.assert_array_equal(
        many_obs["images.corner"][4], alone_obs["images.corner"][0]
    )
    assert (many_obs["images.corner"][4] != many_obs["images.corner"][3]).mean() > 0.5
    many.close()
    alone.close()


def test_nothing_accumulates_from_episode_to_episode() -> None:
    env, fresh = watch(*EVERY, num_envs=2), watch(*EVERY, num_envs=2)
    first = picture(env, seed=1)
    for _ in range(3):
        assert (picture(env) != first).mean() > 0.5
    np.testing.assert_array_equal(picture(env, seed=1), first)
    third = [picture(fresh, seed=1), picture(fresh), picture(fresh)][2]
    picture(env)
    np.testing.assert_array_equal(picture(env), third)
    env.close()
    fresh.close()


def test_an_episode_that_begins_leaves_the_others_looks_alone() -> None:
    env = watch(*TRAIN_IMAGES[:-1], images.texture(0.5, 1), num_envs=3, autoreset=True)
    env.reset(seed=0)
    env.state.steps[1] = env.max_steps - 1
    before = [env.cameras.pinhole(env.engine, "corner", i).position for i in range(3)]
    seen = env.step(np.zeros((3, 2)))[4]["final_obs"]["images.corner"]
    after = [env.cameras.pinhole(env.engine, "corner", i).position for i in range(3)]
    again = env.cameras.render(
        env.engine, range(3), env.state.steps, sights=env.sights
    )["images.corner"]
    assert [(a == b).all() for a, b in zip(before, after, strict=True)] == [
        True,
        False,
        True,
    ]
    np.testing.assert_array_equal(again[[0, 2]], seen[[0, 2]])
    env.close()


def test_the_physics_keeps_its_bits() -> None:
    """Cameras and looks draw from streams of their own, in a scene of their own."""
    profile = make_env("arm-reach").task.randomizations["train"]
    assert profile.images == TRAIN_IMAGES
    env = watch(randomize=profile, num_envs=3, autoreset=True, depth=True)
    plain = make_env("arm-reach", randomize=profile, num_envs=3, autoreset=True)
    model = env.engine.model
    nominal = {
        field: slot(model, field).copy()
        for field in ("light_pos", "mat_rgba", "cam_pos", "vis.headlight.diffuse")
    }
    for one in (env, plain):
        one.reset(seed=6)
        one.state.steps[2] = one.max_steps - 3
    for _ in range(6):
        obs, reward, *_ = env.step(np.tile([5.0, -1.0], (3, 1)))
        expected, wanted, *_ = plain.step(np.tile([5.0, -1.0], (3, 1)))
        np.testing.assert_array_equal(obs["state"], expected["state"])
        np.testing.assert_array_equal(reward, wanted)
    for field, values in nominal.items():
        np.testing.assert_array_equal(slot(model, field), values)
    env.close()


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_a_profile_reaches_the_pictures_in_each_engine(engine: str) -> None:
    shown = []
    for randomize in ("none", "train", "gap"):
        env = watch(randomize=randomize, engine=engine)
        shown.append(picture(env, seed=2)[0])
        env.close()
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(shown[first] - shown[second]).mean() > 2


@pytest.mark.parametrize(
    ("term", "darker"),
    [
        (images.light_intensity(0.1, 0.1), True),
        (images.headlight(0.3, 0.3), True),
        (images.light_colour(0.2, 0.2), True),
        (images.material_colour(0.4, 0.4), True),
        (images.geom_colour(0.4, 0.4), True),
        (images.exposure(0.5, 0.5), True),
        (images.exposure(1.5, 1.5), False),
        (images.light_direction(0.0), None),
        (images.light_position(0.0), None),
        (images.camera_position(0.0), None),
        (images.camera_rotation(0.0), None),
        (images.camera_zoom(1.0, 1.0), None),
        (images.texture(0.0, 0.0), None),
        (images.pixel_noise(0.0, 0.0), None),
        (images.geom_colour(1.0, 1.0), None),
    ],
)
def test_a_term_does_what_it_says(term: ImageTerm, darker: bool | None) -> None:
    """``None``: a range that holds the nominal alone changes nothing."""
    plain, varied = watch(), watch(term)
    nominal, seen = picture(plain, seed=3), picture(varied, seed=3)
    if darker is None:
        np.testing.assert_array_equal(seen, nominal)
    elif darker:
        assert seen.mean() < 0.95 * nominal.mean()
        assert (seen <= nominal + 1).all()
    else:
        np.testing.assert_allclose(seen, np.clip(1.5 * nominal, 0, 255), atol=0.5)
    plain.close()
    varied.close()


def test_textures_and_named_elements() -> None:
    """A pattern is on the floor alone, and colours on what is named."""
    large: Any = {"image_size": (320, 240), "segmentation": True}
    env = watch(images.texture(1.0, 1.0, "floor"), **large)
    plain = watch(images.geom_colour(0.1, 0.3, "tip"), **large)
    nominal = watch(**large)
    base = nominal.reset(seed=1)
    for one, name in ((env, "floor"), (plain, "tip")):
        obs = one.reset(seed=1)
        changed = (obs["images.corner"] != base["images.corner"]).any(axis=-1)[0]
        where = base["segmentation.corner"][0]
        legend = one.cameras.legend
        names = {legend[i] for i in np.unique(where[changed])}
        assert names == {name}
    for one in (env, plain, nominal):
        one.close()


def test_noise_is_new_at_each_step_and_as_strong_as_drawn() -> None:
    noise = ImageTerm(name="pixel_noise", kind="pixel_noise", low=5, high=5)
    env, plain = watch(noise, image_size=(160, 120)), watch(image_size=(160, 120))
    differences = [picture(env, seed=0) - picture(plain, seed=0)]
    zero = np.zeros((1, 2))
    seen, truth = env.step(zero)[0], plain.step(zero)[0]
    differences.append(
        seen["images.corner"].astype(float) - truth["images.corner"].astype(float)
    )
    middle = (truth["images.corner"] > 25) & (truth["images.corner"] < 230)
    for difference in differences:
        assert difference[middle].std() == pytest.approx(5, rel=0.03)
        assert abs(difference[middle].mean()) < 0.2
    first, second = (difference[middle] for difference in differences)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    bits = np.random.default_rng(0).integers(0, 2**64, 900, np.uint64)
    flat = speckle(np.full((60, 60), 128, np.uint8), 20.0, bits)
    assert flat.std() == pytest.approx(20, rel=0.05)
    env.close()
    plain.close()


def test_a_jittered_camera_is_where_its_pinhole_says() -> None:
    """The floor that it measures is the floor, only if pose and zoom are right."""
    terms = (
        images.camera_position(0.2),
        images.camera_rotation(0.1),
        images.camera_zoom(0.8, 1.25),
    )
    env = watch(*terms, num_envs=3, depth=True, segmentation=True)
    obs = env.reset(seed=5)
    nominal = watch().cameras.pinhole(env.engine, "corner")
    zooms = []
    for i in range(3):
        camera: Pinhole = env.cameras.pinhole(env.engine, "corner", i)
        cloud = point_cloud(
            obs["depth.corner"][i], camera, None, obs["segmentation.corner"][i]
        )
        floor = cloud.take(cloud.labels == 0).crop([-3, -3, -1], [3, 3, 1])  # pyright: ignore
        assert len(floor) > 100 and np.abs(floor.points[:, 2]).max() < 2e-3
        assert 0.01 < np.abs(camera.position - nominal.position).max() < 0.2
        turned = nominal.rotation.T @ camera.rotation
        angle = np.arccos((np.trace(turned) - 1) / 2)
        assert 0.005 < angle < 0.1 * np.sqrt(3)
        zooms.append(camera.intrinsics[0, 0] / nominal.intrinsics[0, 0])
    assert 0.8 <= min(zooms) < max(zooms) <= 1.25
    env.close()


def test_draws_follow_the_ranges() -> None:
    model = load_model("arm")
    terms = (images.light_intensity(0.5, 0.8), images.light_direction(0.3))
    looks = ImageRandomizer(model, terms)
    where = np.ones(500, bool)
    looks.reset(where, Draws(0, np.arange(500), np.zeros(500, int)))
    seen, directions = [], []
    own = copy.copy(model)
    for env in range(500):
        looks.dress(own, env)
        seen.append(own.light_diffuse[0, 0] / model.light_diffuse[0, 0])
        directions.append(own.light_dir[0].copy())
    assert 0.5 <= min(seen) < 0.51 and 0.79 < max(seen) <= 0.8
    cosine = np.array(directions) @ model.light_dir[0]
    norms = np.linalg.norm(directions, axis=1) * np.linalg.norm(model.light_dir[0])
    angles = np.arccos(np.clip(cosine / norms, -1, 1))
    assert 0.2 < angles.max() < 0.3 * np.sqrt(3)


def test_profiles_lie_apart_and_stack() -> None:
    train = {term.name: term for term in TRAIN_IMAGES}
    apart = [
        term.name
        for term in GAP_IMAGES
        if term.low > train[term.name].high or term.high < train[term.name].low
    ]
    assert len(apart) == len(GAP_IMAGES) - 3, "all but where lights are, and colours"
    stacked = Randomization(images=GAP_IMAGES[:1]).over(Randomization(images=EVERY))
    assert len(stacked.images) == len(EVERY)
    assert stacked.images[-1] == GAP_IMAGES[0]
    assert make_env("arm-reach").task.randomizations["none"].images == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImageTerm(name="x", kind="lihgt", low=0, high=1), "unknown kind of"),
        (lambda: images.exposure(2, 1), "from low to high, got 2 .. 1"),
        (lambda: images.exposure(-1, 1), "is not negative, got -1"),
        (lambda: images.camera_zoom(0, 1), "a zoom lies above 0"),
        (lambda: images.texture(0, 2), "a share is at most 1, got 2"),
        (lambda: watch(images.light_position(1, "kee")), "unknown light in the scene"),
        (lambda: watch(images.geom_colour(1, 1, "tap")), "unknown geom in the scene"),
        (lambda: watch(images.texture(0, 1, "sky")), "must be flat"),
    ],
)
def test_terms_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_sensor_camera_zooms_by_its_focal_length() -> None:
    spec = load_spec("arm")
    spec.camera("corner").resolution = [160, 120]
    spec.camera("corner").sensor_size = [0.004, 0.003]
    spec.camera("corner").focal_length = [0.003, 0.003]
    model = spec.compile()
    env = make_env("arm-reach")
    env.reset(seed=0)
    rig = CameraRig(
        model,
        ["corner"],
        image_size=(64, 48),
        terms=(images.camera_zoom(1.5, 1.5),),
    )
    rig.begin(np.ones(1, bool), env.draws)
    focal = rig.pinhole(env.engine, "corner").intrinsics[0, 0]
    assert focal == pytest.approx(1.5 * 0.003 * 64 / 0.004)
    rig.close()
