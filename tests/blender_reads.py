"""Run by a Python that has Blender's `bpy`, in a process of its own: what Blender makes of a file, as JSON.

    python blender_reads.py FILE KIND T0,T1,...     KIND is glb, bvh, fbx (importer in C++) or fbx_old (the add-on)

For each armature: the places of its bones' heads in Blender's world (z up, metres) at each time, and the scene's rate.
"""

import json
import sys

import bpy


def main(path: str, kind: str, times: list[float]) -> dict:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    if kind == "glb":
        bpy.ops.import_scene.gltf(filepath=path)
    elif kind == "bvh":
        bpy.ops.import_anim.bvh(filepath=path, update_scene_fps=True, update_scene_duration=True)
    elif kind == "fbx":
        bpy.ops.wm.fbx_import(filepath=path)
    else:
        bpy.ops.import_scene.fbx(filepath=path)
    fps = scene.render.fps / scene.render.fps_base
    start = 0 if kind == "glb" else scene.frame_start
    if kind == "fbx_old":
        start = 1  # The add-on's `anim_offset`.
    armatures = [one for one in bpy.data.objects if one.type == "ARMATURE"]
    actions = [(one.name, list(one.frame_range)) for one in bpy.data.actions]
    joints = {}
    for time in times:
        at = start + time * fps
        scene.frame_set(int(at // 1), subframe=at - at // 1)
        for one in armatures:
            places = {bone.name: list((one.matrix_world @ bone.matrix).translation) for bone in one.pose.bones}
            joints.setdefault(one.name, []).append(places)
    graph = bpy.context.evaluated_depsgraph_get()
    meshes = {}
    for one in bpy.data.objects:
        if one.type == "MESH" and one.find_armature():
            shown = one.evaluated_get(graph)
            mesh = shown.to_mesh()
            meshes[one.name] = [list(shown.matrix_world @ vertex.co) for vertex in mesh.vertices]
    return {
        "version": bpy.app.version_string, "fps": fps, "frames": [scene.frame_start, scene.frame_end],
        "actions": actions, "joints": joints, "meshes": meshes, "unit": scene.unit_settings.scale_length,
    }  # fmt: skip


if __name__ == "__main__":
    found = main(sys.argv[1], sys.argv[2], [float(value) for value in sys.argv[3].split(",")])
    print("READ " + json.dumps(found))
