"""LeRobot reads what we write, all of it, and we read what LeRobot writes."""

import json
from pathlib import Path

import numpy as np

from ml.lerobot import DatasetWriter, read_dataset
from ml.lerobot.check import check
from ml.lerobot.edit import merge, split
from ml.spec import ArraySpec
from tests.ml.lerobot_peer import needs_peer, run_peer

SPECS = {
    "state": ArraySpec(shape=(3,), names=("a", "b", "c"), units=("1", "m", "rad")),
    "environment_state": ArraySpec(shape=(1,), names=("target_x",)),
    "images.top": ArraySpec(shape=(32, 48, 3), dtype="uint8"),
}
ACTION = ArraySpec(shape=(2,), names=("x", "y"), low=(-3, -3), high=(3, 3))
TEXTS = ("put the red cube in the left bowl", "put the blue cube in the right bowl")


def _episode(index: int) -> dict:
    n = 9 + index
    draw = np.random.default_rng(index)
    grey = np.linspace(10 * index, 200, n)
    return {
        "observations": {
            "state": draw.normal(size=(n, 3)),
            "environment_state": draw.normal(size=(n, 1)),
            "images.top": np.full((n, 32, 48, 3), grey[:, None, None, None], np.uint8),
        },
        "action": draw.normal(size=(n, 2)),
        "executed": draw.normal(size=(n, 2)),
        "clipped": np.arange(n) % 3,
        "instruction": TEXTS[index % 2],
        "reward": draw.random(n),
        "success": np.arange(n) > 5,
        "outcomes": {"touched": bool(index % 2)},
    }


READ = """
dump, ahead = {}, {"action": [0, 0.02]}
data = LeRobotDataset("local/d", root=sys.argv[1])
chunks = LeRobotDataset("local/d", root=sys.argv[1], delta_timestamps=ahead)
assert data.num_episodes == 4 and data.fps == 50 and data.meta.robot_type == "arm"
assert data.meta.camera_keys == ["observation.images.top"]
items = [data[i] for i in range(len(data))]
for key in items[0]:
    values = [item[key] for item in items]
    if key != "task":
        dump[key] = np.stack([np.asarray(v) for v in values])
dump["task"] = np.array([item["task"] for item in items])
dump["chunk"] = np.asarray(chunks[3]["action"])
for key in ("action", "observation.images.top"):
    dump["mean " + key] = np.asarray(data.meta.stats[key]["mean"])
from lerobot.datasets.compute_stats import aggregate_stats
aggregate_stats([data.meta.stats, data.meta.stats])
from lerobot.datasets.utils import dataset_to_policy_features
named = dataset_to_policy_features(data.meta.features)
dump["actions"] = np.array([k for k, f in named.items() if f.type.name == "ACTION"])
np.savez(sys.argv[2], **dump)
"""


@needs_peer
def test_lerobot_reads_every_array_as_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with DatasetWriter(
        folder,
        observations=SPECS,
        action=ACTION,
        control_dt=0.02,
        robot="arm",
        frames_per_file=25,
    ) as writer:
        for index in range(4):
            writer.add_episode(**_episode(index), seed=7, identity=index)
            writer.commit()
    run_peer(READ, folder, tmp_path / "seen.npz")
    seen = np.load(tmp_path / "seen.npz")
    ours = read_dataset(folder)
    first = 0
    for index in range(4):
        episode = _episode(index)
        n = len(episode["action"])
        rows = slice(first, first + n)
        first += n
        for key, wanted in (
            ("observation.state", episode["observations"]["state"]),
            (
                "observation.environment_state",
                episode["observations"]["environment_state"],
            ),
            ("action", episode["action"]),
            ("executed_action", episode["executed"]),
            ("clipped", episode["clipped"]),
            ("next.reward", episode["reward"]),
            ("next.success", episode["success"]),
            ("timestamp", np.arange(n) / 50),
            ("episode_index", np.full(n, index)),
        ):
            found = seen[key][rows]
            np.testing.assert_array_equal(
                found.reshape(n, -1), wanted.astype(found.dtype).reshape(n, -1)
            )
        assert set(seen["task"][rows]) == {episode["instruction"]}
        pictures = seen["observation.images.top"][rows]  # (n, 3, h, w) in [0, 1]
        decoded = ours.video(index, "top").transpose(0, 3, 1, 2) / 255
        np.testing.assert_allclose(pictures, decoded, atol=1e-6)
        grey = episode["observations"]["images.top"][:, 0, 0, 0] / 255
        assert np.abs(pictures.mean((1, 2, 3)) - grey).max() < 0.02
    assert first == len(seen["index"])
    np.testing.assert_array_equal(
        seen["chunk"], _episode(0)["action"][3:5].astype(np.float32)
    )
    assert seen["mean action"].shape == (2,)
    assert seen["mean observation.images.top"].shape == (3, 1, 1)
    assert seen["actions"].tolist() == ["action"]  # not what was executed


WRITE = """
data = LeRobotDataset.create(
    "local/p", fps=50, root=sys.argv[1], robot_type="peer", vcodec="h264",
    features={
        "observation.state": {"dtype": "float32", "shape": (3,), "names": list("abc")},
        "observation.images.eye": {"dtype": "video", "shape": (32, 48, 3),
                                   "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    },
)
for episode in range(3):
    for frame in range(4 + episode):
        data.add_frame({
            "observation.state": np.full(3, 10 * episode + frame, np.float32),
            "observation.images.eye": np.full(
                (32, 48, 3), 60 * episode + 8 * frame, np.uint8),
            "action": np.array([episode, frame], np.float32),
            "task": "peer's task",
        })
    data.save_episode()
data.finalize()
"""


@needs_peer
def test_we_read_lerobots(tmp_path: Path) -> None:
    run_peer(WRITE, tmp_path / "p")
    data = read_dataset(tmp_path / "p")
    assert data.control_dt == 0.02 and data.about == {}
    assert data.bounds.tolist() == [[0, 4], [4, 9], [9, 15]]
    assert data.episode(2)["observation.state"][3].tolist() == [23, 23, 23]
    assert data.episode(1)["action"][2].tolist() == [1, 2]
    assert data.instruction(1) == "peer's task" and data.cameras == ("eye",)
    for index in range(3):  # LeRobot puts all episodes into one file
        video = data.video(index, "eye")
        grey = 60 * index + 8 * np.arange(4 + index)
        assert np.abs(video.mean((1, 2, 3)) - grey).max() < 4


AGAIN = """
data = LeRobotDataset("local/m", root=sys.argv[1])
print(json.dumps([
    [float(item["observation.state"][0]), item["task"],
     round(255 * float(item["observation.images.eye"].mean()))]
    for item in (data[i] for i in range(len(data)))
]))
"""


@needs_peer
def test_lerobots_own_data_split_and_merged(tmp_path: Path) -> None:
    run_peer(WRITE, tmp_path / "p")
    data = read_dataset(tmp_path / "p")
    assert check(tmp_path / "p").findings == []
    split(data, [[0, 2], [1]], [tmp_path / "x", tmp_path / "y"])
    merge([tmp_path / "x", tmp_path / "y"], tmp_path / "m")
    rows = json.loads(run_peer(AGAIN, tmp_path / "m").splitlines()[-1])
    order = [(0, f) for f in range(4)] + [(2, f) for f in range(6)]
    order += [(1, f) for f in range(5)]
    assert [row[0] for row in rows] == [10 * e + f for e, f in order]
    assert {row[1] for row in rows} == {"peer's task"}
    for row, (episode, frame) in zip(rows, order, strict=True):
        assert abs(row[2] - (60 * episode + 8 * frame)) < 4
