"""Without any photo: pose the body by hand, look at it through a camera. python examples/04_pose_a_body.py"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.render.overlay import draw_overlay

joints = SKELETONS["smpl24"].joints
pose = torch.zeros(24, 3)
pose[0, 0] = torch.pi  # The body's y is up, the camera's down: half a turn about x puts a person on their feet.
pose[joints.index("right_shoulder")] = torch.tensor([0.0, 0.0, -0.9])
pose[joints.index("left_shoulder")] = torch.tensor([0.0, 0.0, -1.2])
pose[joints.index("right_elbow")] = torch.tensor([0.0, 0.6, 0.0])

body = Body.load()
posed = body(axis_angle_to_matrix(pose), betas=torch.tensor([1.0] + [0.0] * 9))
vertices_cam_m = posed.vertices_m.numpy() + np.array([0.0, 0.0, 3.5])

camera = Camera(focal_px=600.0, principal_px=(256.0, 256.0), source="user")
picture = draw_overlay(np.full((512, 512, 3), 235, np.uint8), [vertices_cam_m], body.data.faces, camera)
Path("out/examples").mkdir(parents=True, exist_ok=True)
Image.fromarray(picture).save("out/examples/posed.png")
