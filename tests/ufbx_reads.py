"""Run by a Python that has `ufbx`, in a process of its own: what ufbx makes of an FBX file, as JSON.

    python ufbx_reads.py FILE T0,T1,...

The bindings free things twice when they are collected, so nothing is, and the process ends without cleaning up.
"""

import gc
import json
import os
import sys

gc.disable()
import ufbx  # noqa: E402


def main(path: str, times: list[float]) -> None:
    scene = ufbx.load_file(path)
    anim = scene.anim_stacks[0].anim
    kept, places = [], []
    for time in times:
        at = scene.evaluate(anim, time)
        nodes = list(at.nodes)
        kept.append((at, nodes))
        corners = {node.name: node.node_to_world for node in nodes}
        places.append({name: [m.c3.x, m.c3.y, m.c3.z] for name, m in corners.items()})
    settings, axes = scene.settings, scene.settings.axes
    found = {
        "joints": places, "fps": settings.frames_per_second, "unit_m": settings.unit_meters, "up": axes.up.name,
        "bones": sum(1 for node in scene.nodes if node.bone is not None), "kept": len(kept),
    }  # fmt: skip
    print("READ " + json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], [float(value) for value in sys.argv[2].split(",")])
