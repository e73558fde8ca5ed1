"""SMPL's male and female bodies beside the neutral one: true meshes of people who were fitted with their own gender.

SMPL's files are called `basicModel_f_lbs_10_207_0_v1.0.0.pkl`, `SMPL_FEMALE.pkl`, `SMPL_FEMALE.npz` and the like; a
file is a woman's if a word of its name is "f" or "female", a man's if it is "m" or "male".
"""

import re
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from monobody.body.model import Body
from monobody.errors import UserError

GENDERS = ("male", "female")
LOT = 64
"""Meshes posed at once."""


def gendered_bodies(neutral: str | Path | None) -> tuple[Body, Body] | None:
    """Return the male and the female body that lie beside a neutral one; None where both are not there.

    Raises:
        UserError: they are no bodies, or meshes of another kind than the neutral one.
    """
    if neutral is None:
        return None
    files = sorted(file for file in Path(neutral).parent.glob("*") if file.suffix in (".pkl", ".npz"))
    words = {file: set(re.split(r"[^a-z]+", file.stem.lower())) for file in files}
    found = [next((file for file in files if words[file] & {name, name[0]}), None) for name in GENDERS]
    if found[0] is None or found[1] is None:
        return None
    male, female = Body.load(found[0]), Body.load(found[1])
    count = len(Body.load(neutral).template)
    for body, file in ((male, found[0]), (female, found[1])):
        if len(body.template) != count:
            raise UserError(f"{file} has {len(body.template)} vertices, {neutral} {count}: they are not of one kind.")
    return male, female


def true_vertices(
    bodies: tuple[Body, Body],
    gender: Int[np.ndarray, " n"],
    rotations: Float[np.ndarray, "n 24 3 3"],
    betas: Float[np.ndarray, "n 10"],
    pelvis_m: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n V 3"]:
    """Return people's true meshes with the pelvis where it is; gender is 0 for men and 1 for women."""
    vertices = np.zeros((len(gender), len(bodies[0].template), 3), np.float32)
    for number, body in enumerate(bodies):
        mine = gender == number
        vertices[mine] = posed_vertices(body, rotations[mine], betas[mine]) + pelvis_m[mine, None]
    return vertices


def posed_vertices(
    body: Body, rotations: Float[np.ndarray, "n 24 3 3"], betas: Float[np.ndarray, "n 10"]
) -> Float[np.ndarray, "n V 3"]:
    """Return posed meshes about their pelvis."""
    with torch.inference_mode():
        posed = body(torch.from_numpy(rotations).float(), torch.from_numpy(betas).float())
        return (posed.vertices_m - posed.joints_m[:, :1]).numpy()
