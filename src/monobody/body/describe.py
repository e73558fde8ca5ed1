"""The facts of a body file in a few lines: what ``monobody body FILE`` prints."""

from pathlib import Path

import numpy as np

from monobody.body.assets import NO_PART, PARTS6, SHIPPED_BODY, load_body_data


def describe_body(path: str | Path | None = None) -> str:
    """Check a body file (the shipped one without a path; an animal's too) and return its facts as lines of text.

    Raises:
        UserError: the file is not a usable body; the sentence says why.
    """
    data = load_body_data(path, animals=True)
    size = data.v_template.max(axis=0) - data.v_template.min(axis=0)
    tall = data.shapedirs[data.v_template[:, 1].argmax(), 1]
    corners = data.v_template[data.faces]
    litres = 1000 * np.einsum("fc,fc->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    person = data.part6[0] != NO_PART
    skin = f"{data.vertex_area_m2.sum():.2f}"
    if person:
        areas = np.bincount(data.part6, weights=data.vertex_area_m2, minlength=len(PARTS6))
        skin += ": " + ", ".join(f"{name} {area:.2f}" for name, area in zip(PARTS6, areas, strict=True))
    sets = ", ".join(
        f"{name} {count}/{len(rows)}" if (count := int(data.placed(name).sum())) < len(rows) else name
        for name, rows in data.keypoint_regressors.items()
    )
    facts = {
        "file": str(SHIPPED_BODY if path is None else path),
        "name": data.name,
        "digest": data.digest,
        "mesh": f"{len(data.v_template)} vertices, {len(data.faces)} triangles",
        "texture": f"{len(data.vt)} texture coordinates" if len(data.vt) else "no texture coordinates",
        "joints": str(len(data.parents)) if person else f"{len(data.parents)}, where a person has 24: an animal's body",
        "shape": f"{data.shapedirs.shape[2]} coefficients; the first raises the head by {1000 * tall[0]:.0f} mm",
        "correctives": f"{100 * np.count_nonzero(data.posedirs) / data.posedirs.size:.0f} % of posedirs are not zero",
        "size": f"{size[1]:.2f} m tall, {size[0]:.2f} m from hand to hand, {litres:.0f} litres",
        "skin m²": skin,
        "joint sets": sets or "none",
    }
    if not person:
        facts["shape"] = f"{data.shapedirs.shape[2]} coefficients"
        facts["size"] = " x ".join(f"{side:.2f}" for side in size) + f" m along x, y and z, {litres:.0f} litres"
    return "\n".join(f"{name:<12}{fact}" for name, fact in facts.items())
