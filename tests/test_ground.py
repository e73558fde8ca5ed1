"""The shadow on the ground lies where the sun throws it."""

import numpy as np

from monobody.data.ground import ground_shadow

UP = np.array([0, -1.0, 0])  # In the camera's frame, of a level camera.


def board() -> tuple[np.ndarray, np.ndarray]:
    """An upright board, 1 m wide and 2 m high, 5 m away, standing 1.5 m below the camera."""
    corners = [[-0.5, -0.5, 5], [0.5, -0.5, 5], [0.5, 1.5, 5], [-0.5, 1.5, 5]]
    return np.array(corners, np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def test_shadow_falls_away_from_the_sun() -> None:
    vertices, faces = board()
    sun = np.array([-1.0, -1.0, -1.0]) / np.sqrt(3)  # From the upper left, behind the camera.
    shade = ground_shadow(vertices, faces, UP, sun, 100.0, np.array([64.0, 64.0]), 128)
    assert shade is not None
    rows, columns = np.nonzero(shade > 0.5)
    # It starts at the foot (y = 1.5 / 5 * 100 + 64 = 94) and goes back, up in the picture, to z = 7, and to the right.
    assert 90 < rows.max() < 98
    assert abs(rows.min() - (1.5 / 7 * 100 + 64)) < 4
    assert columns.mean() > 66
    assert shade.min() >= 0
    assert shade.max() <= 1


def test_no_shadow_without_a_sun_above_or_from_below_the_ground() -> None:
    vertices, faces = board()
    below = np.array([0.0, 1.0, 0.0])
    assert ground_shadow(vertices, faces, UP, below, 100.0, np.array([64.0, 64.0]), 128) is None
    above_camera = vertices - [0, 3, 0]
    high = np.array([0.0, -1.0, 0.0])
    assert ground_shadow(above_camera.astype(np.float32), faces, UP, high, 100.0, np.array([64.0, 64.0]), 128) is None
