"""Scenes for tests: people in random poses before a camera, without any network."""

from functools import cache

import numpy as np
import pytest
import torch

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.camera import Camera
from monobody.data.crop import Crop
from monobody.models.hmr import HMROutput, standing_pose
from monobody.predict.detect import Detection
from monobody.predict.predictor import Predictor
from monobody.scene import Person, Scene

WIDTH, HEIGHT = 640, 480


@cache
def shipped_body() -> Body:
    """The shipped body, loaded once."""
    return Body.load()


def load_body_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test that calls the command line many times the second it takes to read the shipped body each time."""
    shipped, load = shipped_body(), Body.load
    monkeypatch.setattr(Body, "load", lambda path=None: shipped if path is None else load(path))


def detection(crop: Crop) -> Detection:
    """A detection of which only the crop matters."""
    x, y = crop.centre_px
    half = crop.size_px / 2
    return Detection(
        box_px=np.array([x - half, y - half, x + half, y + half]),
        score=0.9,
        crop=crop,
        landmarks_px=np.zeros((33, 2)),
        landmarks_score=np.zeros(33),
        world_m=np.zeros((33, 3)),
    )


def random_output(count: int, seed: int, spread_rad: float) -> HMROutput:
    """Standing people, every joint turned at random, of random shapes, hips about the middle of their crops."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 24, 3, generator=generator) * spread_rad
    rotations = axis_angle_to_matrix(standing_pose()) @ axis_angle_to_matrix(noise)
    betas = torch.randn(count, 10, generator=generator)
    camera = torch.tensor([0.9, 0.02, 0.1]) + 0.05 * torch.randn(count, 3, generator=generator)
    return HMROutput(camera=camera, rotations=rotations, betas=betas)


def posed_scene(*, people: int, seed: int, spread_rad: float = 0.3, output: HMROutput | None = None) -> Scene:
    """A scene as ``predict`` makes it, from random bodies (or the given ones) instead of a network's."""
    crops = [Crop((150.0 + 170 * i, 230.0 + 10 * i), 330.0 + 20 * i, 0.4 * i - 0.3) for i in range(people)]
    bodies = random_output(people, seed, spread_rad) if output is None else output
    predictor = Predictor(lambda rgb, detections: bodies, shipped_body(), model="random", terms="test")
    camera = Camera(focal_px=800.0, principal_px=(WIDTH / 2, HEIGHT / 2), source="default")
    pixels = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    found: tuple[Person, ...] = predictor.people(pixels, [detection(crop) for crop in crops], camera)
    return Scene(
        people=found,
        width_px=WIDTH,
        height_px=HEIGHT,
        camera=camera,
        body_digest=shipped_body().digest,
        model="random",
        terms="test",
        versions={"monobody": "0"},
        picture=pixels,
        body=shipped_body(),
    )
