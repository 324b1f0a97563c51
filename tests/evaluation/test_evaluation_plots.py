"""Error curves: the right numbers in the right places."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from evaluation.plots import (
    BOTTOM,
    HEIGHT,
    POINTS,
    TOP,
    Axis,
    band,
    curve_svg,
    linear_ticks,
    shared_axis,
)


def test_band_is_the_median_and_the_outer_tenths() -> None:
    values = np.tile(np.arange(101.0), (5, 1))
    one = band(values, dt=0.5)
    assert one.time.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
    for part, level in ((one.low, 10), (one.median, 50), (one.high, 90)):
        assert part == pytest.approx(np.full(5, level))


def test_band_leaves_out_what_ended_and_thins_out_what_is_long() -> None:
    values = np.ones((1000, 3))
    values[:, 0] = np.nan
    values[600:] = np.nan
    one = band(values, dt=0.01)
    assert len(one.time) == POINTS
    assert one.time[0] == 0.01
    assert one.time[-1] == 6.0
    assert np.isfinite(one.high).all()


def test_axis_is_logarithmic_over_wide_ranges_only() -> None:
    wide = band(np.geomspace(1e-3, 1, 50)[:, None], 0.1)
    narrow = band(np.linspace(1, 2, 50)[:, None], 0.1)
    signed = band(np.linspace(-5, 100, 50)[:, None], 0.1)
    assert shared_axis([wide]).log
    assert not shared_axis([wide], error=False).log
    assert not shared_axis([narrow]).log
    assert shared_axis([narrow]).low == 0.0
    assert not shared_axis([signed]).log
    assert shared_axis([signed]).low == -5.0
    zero = band(np.zeros((4, 2)), 0.1)
    assert shared_axis([zero]) == Axis(low=0.0, high=1.0, log=False)


def test_axis_places_its_ends_at_the_ends() -> None:
    for axis in (Axis(low=0.01, high=1, log=True), Axis(low=0, high=2, log=False)):
        ends = axis.place(np.array([axis.low, axis.high]))
        assert ends == pytest.approx([HEIGHT - BOTTOM, TOP])
        assert axis.place(np.array(axis.low - 1)) == pytest.approx(HEIGHT - BOTTOM)
    half = Axis(low=0.01, high=1, log=True).place(np.array(0.1))
    assert half == pytest.approx((HEIGHT - BOTTOM + TOP) / 2)


def test_ticks_are_round_and_inside() -> None:
    assert linear_ticks(0, 4) == [0, 1, 2, 3, 4]
    assert linear_ticks(0, 0.37) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert Axis(low=0.004, high=1.2, log=True).ticks() == pytest.approx([0.01, 0.1, 1])
    assert Axis(low=0.03, high=0.9, log=True).ticks() == pytest.approx(
        [0.05, 0.1, 0.2, 0.5]
    )


def test_plot_is_well_formed_with_a_line_and_a_band_each() -> None:
    bands = {
        name: band(np.random.default_rng(0).uniform(1, 2, (30, 9)) * scale, 0.1)
        for name, scale in (("mujoco", 1), ("bul<let", 2))
    }
    svg = curve_svg(bands, shared_axis(list(bands.values())), dict.fromkeys(bands, 1))
    root = ET.fromstring(svg)
    assert len(root.findall("polyline")) == len(root.findall("polygon")) == 2
    for line in root.findall("polyline"):
        points = [
            tuple(map(float, p.split(","))) for p in line.attrib["points"].split()
        ]
        assert len(points) == 30
        assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in points)
