import numpy as np
from sklearn.datasets import load_digits

from trial_templates import digits


def test_the_pictures_are_those_of_scikit_learn():
    pixels, truth = load_digits(return_X_y=True)

    ours, shown = digits.load()

    assert np.array_equal(ours, (pixels / 16).astype(np.float32))
    assert np.array_equal(shown, truth)


def test_nothing_that_is_validated_was_trained_on():
    split = digits.split(seed=3)
    trained = {row.tobytes() for row in split.train_pixels}

    assert len(split.train_digits) + len(split.validation_digits) == 1797
    # Two people's digits may agree pixel by pixel, but not many.
    assert sum(row.tobytes() in trained for row in split.validation_pixels) < 5


def test_a_seed_gives_the_same_split_each_time():
    assert np.array_equal(digits.split(1).validation_digits, digits.split(1).validation_digits)
    assert not np.array_equal(digits.split(1).validation_digits, digits.split(2).validation_digits)
