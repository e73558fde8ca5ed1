"""One photo in, a file for Blender out: python examples/01_image_to_glb.py [PHOTO]"""

import sys
from pathlib import Path

import monobody

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "samples" / "astronaut.jpg"

model = monobody.load()
scene = model(photo)
scene.save("out/examples/person.glb")

print(f"{len(scene.people)} people; out/examples/person.glb opens in Blender: File > Import > glTF 2.0")
