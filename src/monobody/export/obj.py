"""OBJ: the posed meshes of a scene with texture coordinates, one object a person.

In glTF's frame (x right, y up, z towards the viewer, metres, the picture's camera at the origin), which is what
programs expect of an OBJ file.
"""

from pathlib import Path

import numpy as np

from monobody.export.rig import Y_UP
from monobody.files import atomic_write
from monobody.scene import Scene


def write_obj(scene: Scene, path: str | Path) -> Path:
    """Write a scene as OBJ, whole or not at all."""
    lines = [
        f"# monobody {scene.versions.get('monobody', '')}, model {scene.model}: {scene.terms}",
        "# metres; x right, y up, z towards the viewer; the picture's camera is at the origin",
    ]
    if scene.people:
        data = scene.with_body().data
        # The texture coordinates are everybody's; OBJ counts vertices through the file, from 1.
        lines += [f"vt {u:.5f} {v:.5f}" for u, v in data.vt]
        for number, person in enumerate(scene.people):
            vertices_m = scene.vertices_cam_m(person) @ Y_UP.T
            triangles = data.faces + 1 + number * len(vertices_m)
            lines.append(f"o person_{number}")
            lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in vertices_m]
            if len(data.ft):
                corners = np.stack([triangles, data.ft + 1], axis=2).reshape(-1, 6)
                lines += ["f {}/{} {}/{} {}/{}".format(*row) for row in corners.tolist()]
            else:
                lines += ["f {} {} {}".format(*row) for row in triangles.tolist()]
    with atomic_write(path, suffix=".obj") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path(path)
