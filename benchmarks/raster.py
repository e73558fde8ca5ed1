"""Pictures per core-second, ours and others': ``python benchmarks/raster.py``.

One scene for all: the shipped body with a 1024 x 1024 texture, another pose each frame, uploaded and read back to
numpy. CPU time of the whole process counts, so that renderers that start threads gain nothing by them, and the best of
several rounds, so that a busy machine does not count. Posing the body is not part of it.

Others are used where they are: pip install moderngl (with EGL and Mesa from the system), trimesh embreex, pyvista.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa's software renderer; process time would count all of them.

import numpy as np
import torch

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.render.raster import raster_one, rasterise
from monobody.render.shade import irradiance, shade_one, sum_normals

FRAMES = 12
ROUNDS = 5
DISTANCE_M, SHOWN_M = 10.0, 2.1
LIGHT = irradiance(np.array([[-0.5, -1.0, -1.0]]), np.full((1, 3), 0.8), ambient=0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Posed bodies before a camera of ``size`` x ``size`` pixels."""

    size: int
    focal_px: float
    vertices: list[np.ndarray]
    projected: list[np.ndarray]
    body: Body
    texture: np.ndarray


def make_scene(size: int) -> Scene:
    """Pose the shipped body at random, upright before the camera."""
    body = Body.load()
    generator = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(0.25 * torch.randn(FRAMES, 24, 3, generator=generator))
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
    with torch.no_grad():
        posed = body(rotations).vertices_m.numpy()
    vertices = (posed - posed.mean(axis=1, keepdims=True) + [0, 0, DISTANCE_M]).astype(np.float32)
    focal_px = size * DISTANCE_M / SHOWN_M
    projected = vertices.copy()
    projected[..., :2] = vertices[..., :2] / vertices[..., 2:] * focal_px + size / 2
    texture = np.random.default_rng(0).integers(60, 256, (32, 32, 3), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    return Scene(
        size=size, focal_px=focal_px, vertices=list(vertices), projected=list(projected), body=body, texture=texture
    )


def ours_full(scene: Scene) -> Callable[[int], object]:
    """Colour, depth, triangle, part and normal at every pixel."""
    data, size = scene.body.data, scene.size
    depth, triangle = np.empty((size, size), np.float32), np.empty((size, size), np.int32)
    barycentrics, normals = np.empty((size, size, 3), np.float32), np.empty_like(scene.vertices[0])
    labels, uv = data.part24, np.ascontiguousarray(data.vt, np.float32)

    def draw(frame: int) -> object:
        rgb, part = np.full((size, size, 3), 90, np.uint8), np.zeros((size, size), np.uint8)
        normal = np.zeros((size, size, 3), np.float32)
        raster_one(scene.projected[frame], data.faces, depth, triangle, barycentrics, True)
        sum_normals(scene.vertices[frame], data.faces, normals)
        shade_one(
            data.faces, triangle, barycentrics, normals, uv, data.ft, scene.texture, labels, LIGHT, rgb, part, normal
        )
        return rgb, part, normal

    return draw


def ours_depth(scene: Scene) -> Callable[[int], object]:
    """Depth and triangle only."""
    size, nothing = scene.size, np.empty((0, 0, 3), np.float32)
    depth, triangle = np.empty((size, size), np.float32), np.empty((size, size), np.int32)
    return lambda frame: raster_one(scene.projected[frame], scene.body.data.faces, depth, triangle, nothing, True)


def ours_torch(scene: Scene) -> Callable[[int], object]:
    """Depth, triangle and barycentrics by the torch engine."""
    points, faces = [torch.from_numpy(p)[None] for p in scene.projected], torch.from_numpy(scene.body.data.faces)
    return lambda frame: rasterise(points[frame], faces, scene.size, scene.size, engine="torch", front_only=True)


def moderngl_egl(scene: Scene) -> Callable[[int], object]:
    """Colour, normal and depth by OpenGL without a window."""
    import moderngl  # pyright: ignore[reportMissingImports]

    context = moderngl.create_standalone_context(backend="egl")
    context.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
    program = context.program(
        vertex_shader="""#version 330
            in vec3 position; in vec3 normal; in vec2 uv; uniform float scale; out vec3 n; out vec2 t;
            void main() { n = normal; t = uv;
                gl_Position = vec4(position.xy * vec2(scale, -scale), position.z * 1.0020 - 0.2002, position.z); }""",
        fragment_shader="""#version 330
            in vec3 n; in vec2 t; uniform sampler2D map; uniform vec3 lamp;
            layout(location = 0) out vec4 colour; layout(location = 1) out vec4 facing;
            void main() { vec3 d = normalize(n); facing = vec4(d, 1);
                colour = vec4(texture(map, t).rgb * (0.3 + 0.8 * max(0.0, dot(d, lamp))), 1); }""",
    )
    program["scale"] = 2 * scene.focal_px / scene.size
    program["lamp"] = (-1 / 3, -2 / 3, -2 / 3)
    data, size = scene.body.data, scene.size
    texture = context.texture((1024, 1024), 3, scene.texture.tobytes())
    texture.use()
    # OpenGL knows one index a vertex: split vertices along the seams of the texture.
    pairs, index = np.unique(np.stack([data.faces.ravel(), data.ft.ravel()], -1), axis=0, return_inverse=True)
    buffer = context.buffer(reserve=len(pairs) * 24, dynamic=True)
    content = [(buffer, "3f 3f", "position", "normal"), (context.buffer(data.vt[pairs[:, 1]].tobytes()), "2f", "uv")]
    mesh = context.vertex_array(program, content, context.buffer(index.astype(np.int32).tobytes()))
    targets = [context.texture((size, size), 4), context.texture((size, size), 4, dtype="f2")]
    frame_buffer = context.framebuffer(targets, context.depth_texture((size, size)))
    normals, packed = np.empty_like(scene.vertices[0]), np.empty((len(pairs), 6), np.float32)

    def draw(frame: int) -> object:
        sum_normals(scene.vertices[frame], data.faces, normals)
        packed[:, :3], packed[:, 3:] = scene.vertices[frame][pairs[:, 0]], normals[pairs[:, 0]]
        buffer.write(packed)
        frame_buffer.use()
        frame_buffer.clear(0.35, 0.35, 0.35)
        mesh.render()
        rgb = np.frombuffer(frame_buffer.read(components=3), np.uint8).reshape(size, size, 3)
        normal = np.frombuffer(frame_buffer.read(components=3, attachment=1, dtype="f2"), np.float16)
        depth = np.frombuffer(frame_buffer.read(components=1, attachment=-1, dtype="f4"), np.float32)
        return rgb, normal, depth

    return draw


def trimesh_embree(scene: Scene) -> Callable[[int], object]:
    """Triangle only, by ray casting; the ray tree is built anew as every frame has another pose."""
    # Without it trimesh falls back to something hundreds of times slower.
    import embreex  # noqa: F401  # pyright: ignore[reportMissingImports]
    import trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    rows, columns = np.mgrid[: scene.size, : scene.size] + 0.5
    across, down = ((value - scene.size / 2) / scene.focal_px for value in (columns, rows))
    rays = np.stack([across, down, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    origins = np.zeros_like(rays)

    def draw(frame: int) -> object:
        mesh = trimesh.Trimesh(scene.vertices[frame], scene.body.data.faces, process=False)
        return RayMeshIntersector(mesh).intersects_first(origins, rays)

    return draw


def pyvista_vtk(scene: Scene) -> Callable[[int], object]:
    """Colour only, by VTK."""
    import pyvista  # pyright: ignore[reportMissingImports]

    faces = scene.body.data.faces
    plotter = pyvista.Plotter(off_screen=True, window_size=(scene.size, scene.size))
    mesh = pyvista.PolyData(scene.vertices[0], np.insert(faces, 0, 3, axis=1).ravel())
    plotter.add_mesh(mesh, smooth_shading=False)
    plotter.camera.position, plotter.camera.focal_point, plotter.camera.up = (0, 0, 0), (0, 0, DISTANCE_M), (0, -1, 0)
    plotter.camera.view_angle = np.degrees(2 * np.arctan(SHOWN_M / 2 / DISTANCE_M))

    def draw(frame: int) -> object:
        mesh.points = scene.vertices[frame]
        plotter.render()
        return plotter.screenshot(return_img=True)

    return draw


RENDERERS = {
    "monobody, numba: rgb, depth, part, normal": ours_full,
    "monobody, numba: depth, triangle": ours_depth,
    "monobody, torch: depth, triangle, barycentrics": ours_torch,
    "moderngl + EGL: rgb, depth, normal": moderngl_egl,
    "trimesh + embreex: triangle": trimesh_embree,
    "pyvista (VTK): rgb, untextured": pyvista_vtk,
}


def pictures_per_core_second(draw: Callable[[int], object]) -> float:
    """Return the best rate of several rounds over all frames."""
    draw(0)
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for frame in range(FRAMES):
            draw(frame)
        rounds.append(time.process_time() - start)
    return FRAMES / min(rounds)


def main() -> None:
    """Print a table: pictures per core-second, and how many times slower than ours."""
    torch.set_num_threads(1)
    scenes = [make_scene(size) for size in (128, 224)]
    print(f"{'pictures per core-second':<50}" + "".join(f"{f'at {scene.size}':>9}{'':>9}" for scene in scenes))
    best: dict[int, float] = {}
    for name, make in RENDERERS.items():
        cells = []
        for scene in scenes:
            try:
                rate = pictures_per_core_second(make(scene))
            except ImportError:
                cells = ["not installed"]
                break
            except Exception as error:  # A renderer without its system libraries fails in its own way.
                cells = [
                    f"does not start here: {str(error).splitlines()[0][:60] if str(error) else type(error).__name__}"
                ]
                break
            best.setdefault(scene.size, rate)
            cells.append(f"{rate:9.0f}{f'({best[scene.size] / rate:.1f}x)':>9}")
        print(f"{name:<50}{''.join(cells)}", flush=True)
    print("(2.0x): ours with everything is twice as fast as this one.")


if __name__ == "__main__":
    main()
