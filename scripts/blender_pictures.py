"""Run by a Python that has Blender's `bpy`: a walk as Blender sees it, from GLB, FBX and BVH, rendered by Cycles.

    python scripts/blender_pictures.py FOLDER OUT_FOLDER     FOLDER has walk.glb, walk.fbx and walk.bvh

`scripts/make_animation_pictures.py` calls it.
"""

import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
from mathutils import Matrix, Vector  # pyright: ignore[reportMissingImports]

MOMENTS = (0.0, 0.6, 1.2, 1.8, 2.4)
BLUE, ORANGE, GREEN, GREY = (0.10, 0.25, 0.62, 1), (0.80, 0.28, 0.06, 1), (0.10, 0.45, 0.16, 1), (0.5, 0.5, 0.5, 1)


def material(name: str, colour: tuple[float, ...]) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = colour
    shader.inputs["Roughness"].default_value = 0.7
    return made


def load(path: Path) -> tuple[list[bpy.types.Object], float]:
    """Import a file; return its objects and how many frames a second the scene has."""
    before = set(bpy.data.objects)
    if path.suffix == ".glb":
        bpy.ops.import_scene.gltf(filepath=str(path))
    elif path.suffix == ".fbx":
        bpy.ops.wm.fbx_import(filepath=str(path))
    else:
        bpy.ops.import_anim.bvh(filepath=str(path), update_scene_fps=True)
    return [one for one in bpy.data.objects if one not in before], bpy.context.scene.render.fps


def at(time: float, fps: float, start: int) -> None:
    frame = start + time * fps
    bpy.context.scene.frame_set(int(frame // 1), subframe=frame % 1)


def frozen(shown: bpy.types.Object, paint: bpy.types.Material, shift: Vector) -> None:
    """Copy a deformed mesh as it is now."""
    graph = bpy.context.evaluated_depsgraph_get()
    mesh = bpy.data.meshes.new_from_object(shown.evaluated_get(graph))
    mesh.materials.clear()
    mesh.materials.append(paint)
    for polygon in mesh.polygons:
        polygon.use_smooth = True
    copy = bpy.data.objects.new("copy", mesh)
    copy.matrix_world = Matrix.Translation(shift) @ shown.matrix_world
    bpy.context.collection.objects.link(copy)


def bones(armature: bpy.types.Object, paint: bpy.types.Material, shift: Vector) -> None:
    """Draw each bone from its head to its children's, as a slender spindle."""
    for bone in armature.pose.bones:
        head = armature.matrix_world @ bone.head
        for child in bone.children or ():
            spindle(head + shift, armature.matrix_world @ child.head + shift, paint)
        bpy.ops.mesh.primitive_uv_sphere_add(radius=0.022, location=head + shift, segments=16, ring_count=8)
        bpy.context.object.data.materials.append(paint)


def spindle(start: Vector, end: Vector, paint: bpy.types.Material) -> None:
    along = end - start
    if along.length < 1e-3:
        return
    turn = Vector((0, 0, 1)).rotation_difference(along).to_matrix().to_4x4()
    bpy.ops.mesh.primitive_cone_add(vertices=6, radius1=0.03, radius2=0.008, depth=along.length)
    bpy.context.object.matrix_world = Matrix.Translation((start + end) / 2) @ turn
    bpy.context.object.data.materials.append(paint)


def stage(target: Vector, away: Vector, width_px: int, height_px: int) -> None:
    """Floor, light, and a camera that looks at the target from so far away."""
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_plane_add(size=60, location=(target.x, target.y, 0))
    bpy.context.object.data.materials.append(material("floor", (0.36, 0.38, 0.42, 1)))
    bpy.ops.object.light_add(type="SUN", rotation=(0.7, 0.25, 0.4))
    bpy.context.object.data.energy = 2.4
    bpy.context.object.data.angle = 0.2
    scene.world = bpy.data.worlds.new("sky")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.75, 0.80, 0.88, 1)
    scene.world.node_tree.nodes["Background"].inputs[1].default_value = 0.6
    place = target + away
    bpy.ops.object.camera_add(location=place)
    camera = bpy.context.object
    camera.rotation_euler = (target - place).to_track_quat("-Z", "Y").to_euler()
    camera.data.lens = 60
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 12, True
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x, scene.render.resolution_y = width_px, height_px
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "JPEG"
    scene.render.image_settings.quality = 85


def render(path: Path) -> None:
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def walk_picture(folder: Path, out: Path) -> None:
    """The GLB at several moments of its walk."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    objects, fps = load(folder / "walk.glb")
    mesh = next(one for one in objects if one.type == "MESH" and one.find_armature())
    middle = Vector((0, 0, 0))
    for number, time in enumerate(MOMENTS):
        at(time, fps, 0)
        armature = mesh.find_armature()
        middle += (armature.matrix_world @ armature.pose.bones[0].head) / len(MOMENTS)
        share = number / (len(MOMENTS) - 1)
        colour = tuple(a * (1 - share) + b * share for a, b in zip(BLUE, ORANGE, strict=True))
        frozen(mesh, material(f"moment {number}", colour), Vector((0, 0, 0)))
    for one in objects:
        one.hide_render = True
    stage(Vector((middle.x, middle.y, 0.85)), Vector((7.0, -1.2, 0.8)), 880, 360)
    render(out / "animation_walk.jpg")


def files_picture(folder: Path, out: Path) -> None:
    """One moment: the mesh of the GLB, the bones of the FBX, the bones of the BVH."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for number, (name, colour) in enumerate((("walk.glb", BLUE), ("walk.fbx", ORANGE), ("walk.bvh", GREEN))):
        objects, fps = load(folder / name)
        at(1.2, fps, 0 if name == "walk.glb" else 1)
        armature = next(one for one in objects if one.type == "ARMATURE")
        here = armature.matrix_world @ armature.pose.bones[0].head
        shift = Vector((1.3 * (number - 1) - here.x, -here.y, 0))
        paint = material(name, colour)
        if name == "walk.glb":
            frozen(next(one for one in objects if one.type == "MESH" and one.find_armature()), paint, shift)
        else:
            bones(armature, paint, shift)
        for one in objects:
            one.hide_render = True
    stage(Vector((0, 0, 0.85)), Vector((1.6, -5.6, 0.8)), 800, 440)
    render(out / "animation_files.jpg")


if __name__ == "__main__":
    walk_picture(Path(sys.argv[1]), Path(sys.argv[2]))
    files_picture(Path(sys.argv[1]), Path(sys.argv[2]))
