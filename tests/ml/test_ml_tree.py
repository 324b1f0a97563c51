"""Nested state to named tensors and numbers, and back."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from assets.errors import SandbotError
from ml.tree import fill, flatten


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Inner:
    values: np.ndarray
    count: int = 0
    note: str | None = None


@dataclass(frozen=True)
class Settings:
    rate: float = 0.5


@dataclass(frozen=True)
class Saved:
    arrays: dict[str, Any]


@dataclass
class Outer:
    inner: Inner
    settings: Settings = field(default_factory=Settings)
    parts: list[Any] = field(default_factory=list)
    table: dict[Any, Any] = field(default_factory=dict)
    act: Any = max


def tree(scale: int) -> Outer:
    """With all kinds of leaves."""
    return Outer(
        inner=Inner(np.arange(3) * scale, count=scale, note="x" * scale),
        settings=Settings(scale),
        parts=[
            torch.full((2,), float(scale)),
            (scale, np.float32(scale / 3)),
            Pair(scale, np.array(scale)),
            Saved({"state": np.full((2, 2), scale, np.float32)}),
        ],
        table={
            7: np.array([2**64 - scale], np.uint64),
            "flag": np.bool_(scale > 1),
            "none": None,
            "bits": np.uint64(2**64 - scale),
            "inf": float("inf") * scale,
        },
    )


def assert_equal(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert_equal(value, b[key])
    elif isinstance(a, list | tuple):
        for one, two in zip(a, b, strict=True):
            assert_equal(one, two)
    elif hasattr(a, "__dict__") and not callable(a):
        assert_equal(vars(a), vars(b))
    else:
        assert a == b


def through_a_file(values: Outer, path: Any) -> tuple[dict, dict]:
    from ml.state_file import load_state, save_state

    save_state(path, *flatten(values))
    return load_state(path)


def test_back_from_a_file(tmp_path: Any) -> None:
    source, target = tree(2), tree(1)
    tensors, numbers = through_a_file(source, tmp_path / "state.safetensors")
    filled = fill(target, tensors, numbers)
    assert filled is target
    # what is frozen is the target's own, and is not stored
    assert filled.settings == Settings(1)
    assert not any("settings" in name for name in (*tensors, *numbers))
    expected = tree(2)
    expected.settings = Settings(1)
    assert_equal(filled, expected)


def test_leaves_are_copies() -> None:
    source = tree(1)
    tensors, _ = flatten(source)
    source.inner.values[:] = 9
    source.parts[0][:] = 9
    assert tensors["inner/values"].tolist() == [0, 1, 2]
    assert tensors["parts/0"].tolist() == [1, 1]


def test_views_and_scalars_of_any_layout() -> None:
    grid = np.arange(12.0).reshape(3, 4)
    source = {
        "turned": grid.T,
        "back": grid[::-1],
        "one": np.array(3.0),
        "no": grid[:0],
    }
    tensors, numbers = flatten(source)
    assert not numbers
    for name, value in source.items():
        np.testing.assert_array_equal(tensors[name].numpy(), value)


def test_what_the_other_had_on_top() -> None:
    """Model fields that one episode varied and another did not, say."""
    tensors, numbers = flatten({"arrays": {"a": np.ones(2), "b": np.zeros(3)}})
    filled = fill({"arrays": {"a": np.zeros(2)}}, tensors, numbers)
    assert_equal(filled, {"arrays": {"a": np.ones(2), "b": np.zeros(3)}})


def test_arrays_that_grow() -> None:
    tensors, numbers = flatten({"long": {"a": np.ones(5)}, "a": np.ones(2)})
    now = {"long": {"a": np.ones(1)}, "a": np.zeros(2)}
    with pytest.raises(SandbotError, match="long/a has the shape"):
        fill(now, tensors, numbers)
    filled = fill(now, tensors, numbers, any_shape="long")
    assert_equal(filled, {"long": {"a": np.ones(5)}, "a": np.ones(2)})


@pytest.mark.parametrize("more", [{"new": np.ones(1)}, {"new": 1}, {"new": None}])
def test_a_missing_leaf(more: dict[str, Any]) -> None:
    with pytest.raises(SandbotError, match="has no new: it is of another version"):
        fill({"a": 1, **more}, *flatten({"a": 1}))


def test_what_cannot_be_stored_is_not_left_out() -> None:
    with pytest.raises(TypeError, match="draws/rng: a Generator cannot be stored"):
        flatten({"draws": {"rng": np.random.default_rng(0)}})
