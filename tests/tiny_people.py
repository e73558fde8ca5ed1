"""A known person before a known camera, for data sets made small: every joint where it should be, and painted there."""

import numpy as np

from monobody.body.skeleton import SKELETONS

# Metres, y up, facing +z: the person's left is at +x. No point is another's mirror image or lies in one plane with all
# others, so that exchanged joints and axes show.
_LEFT = {
    "hip": (0.11, -0.03, 0.01),
    "knee": (0.13, -0.45, 0.06),
    "ankle": (0.15, -0.86, -0.05),
    "foot": (0.16, -0.91, 0.08),
    "toe": (0.17, -0.92, 0.14),
    "collar": (0.06, 0.42, -0.01),
    "shoulder": (0.19, 0.44, -0.02),
    "elbow": (0.40, 0.27, -0.04),
    "wrist": (0.51, 0.06, 0.11),
    "hand": (0.54, 0.01, 0.16),
    "eye": (0.03, 0.66, 0.11),
    "ear": (0.08, 0.64, 0.01),
}
_MIDDLE = {
    "pelvis": (0, 0, 0),
    "spine1": (0, 0.11, -0.02),
    "spine2": (0, 0.22, -0.03),
    "torso": (0, 0.24, -0.03),
    "spine3": (0, 0.30, -0.04),
    "spine4": (0, 0.38, -0.04),
    "neck": (0, 0.50, -0.02),
    "head": (0, 0.60, 0.02),
    "nose": (0, 0.62, 0.12),
    "head_top": (0, 0.76, 0.01),
}
_LEG_LIFT = np.array([0.02, 0.09, 0.15])
POINTS = {name: np.array(place, float) for name, place in _MIDDLE.items()}
POINTS |= {f"left_{name}": np.array(place) for name, place in _LEFT.items()}
POINTS |= {
    f"right_{name}": np.array(place) * (-1, 1, 1) + _LEG_LIFT * (name in ("knee", "ankle", "foot", "toe"))
    for name, place in _LEFT.items()
}
COLOURS = {"left": (220, 30, 30), "right": (30, 30, 220)}
MIDDLE_COLOUR = (30, 200, 30)


def person(skeleton: str, place_m: tuple[float, float, float], turn_deg: float = 20.0) -> np.ndarray:
    """Return the joints of a set in metres before a camera (y down, z forward), facing it but for a turn."""
    a = np.radians(turn_deg)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    points = np.array([POINTS[name] for name in SKELETONS[skeleton].joints])
    return points @ turn.T * (1, -1, -1) + place_m


def painted(skeleton: str, joints_px: np.ndarray, size: tuple[int, int], radius_px: float = 5) -> np.ndarray:
    """Return a picture (width, height) with a disc at each of LSP's joints: red left, blue right, green middle."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for name, centre_px in zip(SKELETONS[skeleton].joints, joints_px, strict=True):
        if name in SKELETONS["lsp14"].joints:
            window, columns, rows = _around(image, centre_px, radius_px)
            disc = (columns - centre_px[0]) ** 2 + (rows - centre_px[1]) ** 2 < radius_px**2
            window[disc] = colour(name)
    return image


def centroid(image: np.ndarray, near_px: np.ndarray, name: str, reach_px: float = 8) -> np.ndarray:
    """Return where the disc of one of LSP's joints lies in a picture, looked for near a point."""
    window, columns, rows = _around(image, near_px, reach_px)
    near = (columns - near_px[0]) ** 2 + (rows - near_px[1]) ** 2 < reach_px**2
    alike = near & (np.abs(window.astype(int) - colour(name)).sum(-1) < 150)
    assert alike.any(), f"no disc of the colour of {name} near {near_px}"
    return np.array([columns[alike].mean(), rows[alike].mean()])


def colour(joint: str) -> tuple[int, int, int]:
    return COLOURS.get(joint.partition("_")[0], MIDDLE_COLOUR)


def _around(image: np.ndarray, centre_px: np.ndarray, reach_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a view of the picture about a point, with the x and y of its pixels' centres."""
    height, width = image.shape[:2]
    (x0, y0), (x1, y1) = (np.clip(np.asarray(centre_px) + a * (reach_px + 1), 0, (width, height)) for a in (-1, 1))
    x0, y0, x1, y1 = int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))
    rows, columns = np.mgrid[y0:y1, x0:x1] + 0.5
    return image[y0:y1, x0:x1], columns, rows
