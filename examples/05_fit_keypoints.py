"""A body fitted to keypoints of any program, or clicked by hand. python examples/05_fit_keypoints.py [PHOTO FILE]"""

import json
import sys
from pathlib import Path

from PIL import Image

import monobody

photo = Path(sys.argv[1]) if len(sys.argv) > 2 else Path(__file__).parents[1] / "samples" / "synthetic_one_b.jpg"
keypoints = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("out/examples/clicked.json")
Path("out/examples").mkdir(parents=True, exist_ok=True)

# OpenPose, COCO, MediaPipe, mmpose and LSP files are read as they are. This one is written by hand: joints of LSP's
# set (right ankle to left ankle, right wrist to left wrist, neck, top of the head), pixels, and how sure each one is.
if len(sys.argv) <= 2:
    legs = [[227, 392, 1], [232, 322, 1], [237, 252, 1], [277, 254, 1], [269, 326, 1], [274, 403, 1]]
    arms = [[200, 241, 1], [218, 205, 1], [227, 153, 1], [297, 161, 1], [323, 205, 1], [371, 197, 1]]
    joints = [*legs, *arms, [262, 150, 1], [262, 90, 1]]
    keypoints.write_text(json.dumps({photo.name: [{"keypoints": joints, "set": "lsp14"}]}))

scene = monobody.load_fitter()(photo, keypoints)  # load_fitter("lift") starts from a model's body instead
print("\n".join(scene.notes))
Image.fromarray(scene.overlay()).save("out/examples/fitted.png")
scene.save("out/examples/fitted.glb")
