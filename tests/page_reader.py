"""Reads a viewer's page as its script does, in plain numpy: what the page holds is judged without a browser."""

import base64
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation


def element(page: str, name: str) -> str:
    """Return the text of the element with an id."""
    found = re.search(rf'<script[^>]* id="{name}">(.*?)</script>', page, flags=re.DOTALL)
    assert found is not None, name
    return found[1]


def unpacked(text: str) -> bytes:
    """Undo what `viewer_block.packed` does."""
    return zlib.decompress(base64.b64decode(text))


@dataclass
class PageReader:
    """The data of a page."""

    head: dict[str, Any]
    block: bytes

    @staticmethod
    def of(page: str) -> "PageReader":
        """Take the data out of a page."""
        return PageReader(json.loads(element(page, "head")), unpacked(element(page, "block")))

    def read(self, described: dict[str, Any]) -> np.ndarray:
        """Return an array by its description."""
        count = int(np.prod(described["shape"]))
        stored = np.frombuffer(self.block, described["type"], count, described["at"]).reshape(described["shape"])
        return stored * described["scale"] + described["shift"] if "scale" in described else stored

    def vertices(self, person: int, take: int, frame: int) -> np.ndarray:
        """Return the skinned vertices of one of a person's answers in a frame of their own, y up."""
        mesh, answer = self.head["mesh"], self.head["people"][person]["takes"][take]
        shapes, fields = self.read(mesh["shapes"]), self.read(mesh["correctives"])
        bound = self.read(mesh["template"]) + np.einsum("k,kvc->vc", answer["shape"], shapes)
        bound = bound + np.einsum("k,kvc->vc", self.read(answer["correctives"])[frame], fields)
        rest, parents = self.read(answer["rest"]), self.head["joints"]["smpl24"]["parents"]
        turns = Rotation.from_quat(self.read(answer["turns"])[frame]).as_matrix()
        placed = np.zeros((len(parents), 3))
        for joint, parent in enumerate(parents):
            if parent < 0:
                placed[joint] = self.read(answer["places"])[frame]
            else:
                placed[joint] = placed[parent] + turns[parent] @ (rest[joint] - rest[parent])
                turns[joint] = turns[parent] @ turns[joint]
        index, weight = self.read(mesh["index"]), self.read(mesh["weight"]) / 255.0
        moved = np.einsum("vkab,vkb->vka", turns[index], bound[:, None] - rest[index]) + placed[index]
        return np.einsum("vk,vka->va", weight, moved)
