from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.space import ParameterSpec, ParameterType, parse_parameter
from suggestion_services.space import Space


def spec(kind, **space):
    return ParameterSpec.model_validate({"name": "p", "parameterType": kind, "feasibleSpace": space})


def dimension(kind, **space):
    [found] = Space.of([spec(kind, **space)]).dimensions
    return found


def texts(found, unit):
    return [found.text(value) for value in found.from_unit(np.asarray(unit))]


hundredths = st.integers(-10_000, 10_000).map(lambda number: Decimal(number) / 100)
steps = st.sampled_from(["", "0.01", "0.1", "0.3", "2.5"])
linear = st.sampled_from(["uniform", "normal"])
unit = st.floats(0, 1, exclude_max=True)


@st.composite
def ranges(draw, kinds=("int", "double")):
    kind, low, width = draw(st.sampled_from(kinds)), draw(hundredths), abs(draw(hundredths))
    if kind == "int":
        low, width = low.to_integral_value(), width.to_integral_value()
    step = draw(st.sampled_from(["", "1", "3"])) if kind == "int" else draw(steps)
    distribution = draw(linear) if low <= 0 else draw(st.sampled_from(["uniform", "logUniform", "normal", "logNormal"]))
    return spec(kind, min=str(low), max=str(low + width), step=step, distribution=distribution)


@given(ranges(), unit)
def test_every_point_of_the_unit_interval_is_a_value_of_the_parameter(parameter, at):
    parsed, [found] = parse_parameter(parameter), Space.of([parameter]).dimensions
    [text] = texts(found, [at])
    assert parsed.low <= Decimal(text) <= parsed.high
    assert parsed.step is None or (Decimal(text) - parsed.low) % parsed.step == 0
    assert parameter.parameter_type is not ParameterType.INT or text == str(int(text))


@given(ranges(), unit)
def test_a_value_read_back_is_the_value(parameter, at):
    [found] = Space.of([parameter]).dimensions
    [coordinate] = found.from_unit(np.array([at]))
    [again] = found.coordinates(np.array([found.read(found.text(coordinate))]))
    assert again == (coordinate if found.points is not None else pytest.approx(coordinate, abs=1e-9))


@given(ranges(), unit)
def test_the_unit_interval_and_the_scale_lead_back_to_the_value(parameter, at):
    [found] = Space.of([parameter]).dimensions
    coordinates = found.from_unit(np.array([at]))
    same = coordinates if found.points is not None else pytest.approx(coordinates, abs=1e-6)
    assert found.at_positions(found.positions(coordinates)) == same
    assert found.from_unit(found.to_unit(coordinates)) == same


@given(ranges())
def test_cells_cover_the_scale_and_hold_their_values(parameter):
    [found] = Space.of([parameter]).dimensions
    if found.points is None or found.points > 1000:
        return
    values = np.arange(found.points, dtype=float)
    low, high = found.cells(values)
    assert (low[0], high[-1]) == pytest.approx((0, 1))
    assert high[:-1] == pytest.approx(low[1:])
    assert np.all((low <= found.positions(values)) & (found.positions(values) <= high))


EVEN = (np.arange(100_000) + 0.5) / 100_000


@pytest.mark.parametrize(
    "found",
    [
        dimension("int", min="1", max="10"),
        dimension("int", min="3", max="11", step="4"),
        dimension("double", min="0.1", max="0.7", step="0.2"),
        dimension("discrete", list=["5", "1", "3"]),
        dimension("categorical", list=["a", "b", "c", "d"]),
    ],
)
def test_countable_uniform_values_are_equally_likely(found):
    counts = np.bincount(found.from_unit(EVEN).astype(int))
    assert len(counts) == found.points
    assert counts == pytest.approx(np.full(found.points, len(EVEN) / found.points), abs=2)


def test_grid_texts_are_exact_where_floats_are_not():
    found = dimension("double", min="0.1", max="0.7", step="0.2")
    assert texts(found, [0.1, 0.3, 0.6, 0.9]) == ["0.1", "0.3", "0.5", "0.7"]


def test_log_uniform_spreads_over_magnitudes():
    values = [
        float(text)
        for text in texts(dimension("double", min="0.001", max="10", distribution="logUniform"), EVEN[::100])
    ]
    assert np.log10(values) == pytest.approx(np.linspace(-3, 1, len(values)), abs=0.01)


@pytest.mark.parametrize("distribution", ["normal", "logNormal"])
def test_normal_distributions_are_truncated_at_three_deviations(distribution):
    found = dimension("double", min="1", max="100", distribution=distribution)
    values = np.array([float(text) for text in texts(found, EVEN[::100])])
    scaled = np.log(values) if distribution == "logNormal" else values
    low, high = (0, math.log(100)) if distribution == "logNormal" else (1, 100)
    assert np.mean(scaled) == pytest.approx((low + high) / 2, rel=0.01)
    assert np.std(scaled) == pytest.approx((high - low) / 6, rel=0.03)
    assert (values.min(), values.max()) >= (1, 99.0 if distribution == "normal" else 90.0)


def test_discrete_values_are_ordered_and_keep_their_text():
    found = dimension("discrete", list=["1e1", "0.50", "2"])
    assert texts(found, [0.1, 0.5, 0.9]) == ["0.50", "2", "1e1"]
    assert found.read("0.5") == 0


@pytest.mark.parametrize("text", ["", "word", "3", "nan"])
def test_what_is_no_value_of_a_choice_reads_as_nan(text):
    assert math.isnan(dimension("categorical", list=["a", "b"]).read(text))
    assert math.isnan(dimension("discrete", list=["1", "2"]).read(text))


@pytest.mark.parametrize("kind", ["int", "double"])
@pytest.mark.parametrize("distribution", ["uniform", "logUniform", "normal", "logNormal"])
def test_a_range_of_one_value_gives_that_value(kind, distribution):
    found = dimension(kind, min="5", max="5", distribution=distribution)
    assert set(texts(found, [0.0, 0.5, 0.999])) == {"5"}


def test_points_of_a_countable_space_are_numbered():
    space = Space.of([spec("int", min="1", max="3"), spec("categorical", list=["a", "b"])])
    points = np.array([space.point_at(index) for index in range(6)])
    assert len({space.texts(point) for point in points}) == space.size == 6
    assert list(space.numbers_of(points)) == list(range(6))


def test_a_space_with_a_continuous_parameter_has_no_size():
    assert Space.of([spec("int", min="1", max="3"), spec("double", min="0", max="1")]).size is None
