"""What a scene holds: joints in metres and pixels, pose and shape, the mesh. python examples/02_numbers.py [PHOTO]"""

import sys
from pathlib import Path

import numpy as np

import monobody
from monobody.body.skeleton import SKELETONS

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "samples" / "astronaut.jpg"
scene = monobody.load()(photo)
print(f"focal length {scene.camera.focal_px:.0f} px ({scene.camera.source})")

for person in scene.people:
    # Joint sets are those of the field: lsp14, coco17, smpl24, h36m17, ...; camera frame: x right, y down, z forward.
    lsp = SKELETONS["lsp14"]
    for name, metres, pixels in zip(lsp.joints, person.joints_cam_m["lsp14"], person.joints_px["lsp14"], strict=True):
        print(f"{name:15s} {np.round(metres, 2)} m   {np.round(pixels)} px")
    print("the 85 numbers:", person.theta.shape, " shape coefficients:", np.round(person.betas, 1))
    vertices_m = scene.vertices_cam_m(person)
    print("mesh:", vertices_m.shape, scene.faces.shape, f"{np.ptp(vertices_m[:, 1]):.2f} m tall as posed")
