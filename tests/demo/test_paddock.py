"""Drawn paddocks: the same every time, with masks that tell the truth."""

import numpy as np
import pytest

from edgeq.demo.paddock import CLASS_NAMES, SMALLEST_VISIBLE, Scene, draw

HEIGHT, WIDTH = 120, 160


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw(5, index, HEIGHT, WIDTH) for index in range(8)]


def test_same_seed_and_index_draw_the_same_scene(scenes: list[Scene]) -> None:
    again = draw(5, 3, HEIGHT, WIDTH)

    np.testing.assert_array_equal(again.image, scenes[3].image)
    np.testing.assert_array_equal(again.masks, scenes[3].masks)
    np.testing.assert_array_equal(again.labels, scenes[3].labels)


def test_other_seed_or_index_draws_another_scene(scenes: list[Scene]) -> None:
    assert not np.array_equal(draw(6, 3, HEIGHT, WIDTH).image, scenes[3].image)
    assert not np.array_equal(scenes[4].image, scenes[3].image)


def test_arrays_have_the_promised_shapes_and_types(scenes: list[Scene]) -> None:
    for scene in scenes:
        count = len(scene.labels)
        assert scene.image.shape == (HEIGHT, WIDTH, 3)
        assert scene.image.dtype == np.uint8
        assert scene.masks.shape == (count, HEIGHT, WIDTH)
        assert scene.masks.dtype == np.bool_
        assert scene.labels.dtype == np.int64


def test_masks_are_disjoint_and_not_tiny(scenes: list[Scene]) -> None:
    smallest = SMALLEST_VISIBLE * (WIDTH / 256) ** 2
    for scene in scenes:
        assert scene.masks.sum(axis=0).max(initial=0) <= 1
        assert all(mask.sum() >= smallest for mask in scene.masks)


def test_every_class_is_drawn_and_animals_are_several(scenes: list[Scene]) -> None:
    labels = np.concatenate([scene.labels for scene in scenes])

    assert set(labels.tolist()) == set(range(len(CLASS_NAMES)))
    assert len(labels) >= 2 * len(scenes)


def test_masks_lie_on_animals(scenes: list[Scene]) -> None:
    # No coat is green: on grass the pixels of a mask must differ in hue from the rest.
    greens: list[float] = []
    for scene in scenes:
        image = scene.image.astype(np.float64)
        excess = image[..., 1] - (image[..., 0] + image[..., 2]) / 2
        ground = ~scene.masks.any(axis=0)
        if excess[ground].mean() > 20:
            greens.extend(excess[ground].mean() - excess[mask].mean() for mask in scene.masks)
    assert len(greens) > 3
    assert min(greens) > 8
