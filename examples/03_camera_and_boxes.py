"""When you know the lens or where the people are, say so: python examples/03_camera_and_boxes.py [PHOTO X0,Y0,X1,Y1]"""

import sys
from pathlib import Path

from PIL import Image

import monobody

photo = Path(sys.argv[1]) if len(sys.argv) > 2 else Path(__file__).parents[1] / "samples" / "astronaut.jpg"
box = [float(number) for number in sys.argv[2].split(",")] if len(sys.argv) > 2 else [20, 0, 450, 512]

# A field of view makes metres mean metres: with a wrong focal length a person only seems nearer or farther.
scene = monobody.load()(photo, boxes=[box], fov_deg=40)
print(f"{scene.people[0].translation_m[2]:.2f} m away at a field of view of 40 degrees")

Path("out/examples").mkdir(parents=True, exist_ok=True)
Image.fromarray(scene.overlay()).save("out/examples/overlay.png")
Image.fromarray(scene.side()).save("out/examples/side.png")
scene.save("out/examples/scene.npz")

again = monobody.Scene.load("out/examples/scene.npz")
print("read back:", len(again.people), "person,", again.model, "-", again.terms)
