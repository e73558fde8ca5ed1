"""FBX, binary 7.4: every person a skinned, moving mesh on a skeleton.

y is up and lengths are centimetres unless asked otherwise; the file says which. A single skeleton stands at the top of
the scene, since some programs take a node above it for a bone; several have a node each, by which other programs tell
them apart, and joints of the second and further ones get names of their own. Keys are at the clip's frames, angles
between them are linear.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.assets import BodyData
from monobody.export.armature import Armature, armatures
from monobody.export.euler import euler_degrees
from monobody.export.fbx_header import creator, documents, header, properties_of, settings, takes
from monobody.export.fbx_nodes import CREATION_TIME, FILE_ID, Long, Node, file_bytes, named
from monobody.export.glb import COLOURS
from monobody.export.options import ExportOptions
from monobody.export.resample import evenly
from monobody.files import atomic_write
from monobody.motion import Motion
from monobody.render.shade import vertex_normals

TICKS = 46186158000
"""Units of time in a second."""


def write_fbx(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write a motion as FBX, whole or not at all."""
    content = fbx_bytes(motion, options)
    with atomic_write(path, suffix=".fbx") as temporary:
        temporary.write_bytes(content)
    return [Path(path)]


def fbx_bytes(motion: Motion, options: ExportOptions) -> bytes:
    """Return a motion as the bytes of an FBX file."""
    motion = evenly(motion, options.fps)
    people = armatures(motion, options, up="y", unit="cm")
    objects = _Objects()
    for number, person in enumerate(people):
        colour = COLOURS[number % len(COLOURS)]
        objects.add_person(person, motion.with_body().data, colour, alone=len(people) == 1)
    end = max((_ticks(person.times_s[-1:])[0] for person in people), default=0)
    if end:
        objects.add_animation(motion.name, people, int(end))
    return file_bytes(
        [
            header(motion),
            Node("FileId", (FILE_ID,)),
            Node("CreationTime", (CREATION_TIME,)),
            Node("Creator", (creator(motion),)),
            settings(motion, options, int(end)),
            documents(motion.name if end else ""),
            Node("References"),
            objects.definitions(),
            objects.objects,
            objects.connections,
            takes(motion.name if end else "", int(end)),
        ]
    )


class _Objects:
    """The file's objects and what hangs on what."""

    def __init__(self) -> None:
        self.objects, self.connections = Node("Objects"), Node("Connections")
        self.joints: list[list[Long]] = []
        self._last = 1_000_000

    def add_person(self, person: Armature, data: BodyData, colour: tuple[float, float, float], *, alone: bool) -> None:
        """Append skeleton, mesh, skin and bind pose."""
        top = Long(0)
        if not alone:
            top = self._model(person.name, "Null", np.zeros(3), np.zeros(3))
            self._attribute(person.name, "Null", top)
            self._connect(top, Long(0))
        still = len(person.turns) == 1
        turns = _xyz_degrees(person.turns[:1] if still else person.rest_turns()[None])[0]
        joints: list[Long] = []
        for joint, (name, parent) in enumerate(zip(person.names, person.parents, strict=True)):
            place = person.moves[joint][0] if still and joint in person.moves else person.offsets[joint]
            joints.append(self._model(name, "LimbNode", place, turns[joint]))
            self._attribute(name, "LimbNode", joints[joint])
            self._connect(joints[joint], joints[parent] if parent >= 0 else top)
        self.joints.append(joints)
        mesh = self._model(f"{person.name}_body", "Mesh", np.zeros(3), np.zeros(3))
        self._connect(mesh, top)
        geometry = self._geometry(person, data)
        self._connect(geometry, mesh)
        material = self._object("Material", f"{person.name}_material", "Material", "")
        described = self.objects.children[-1]
        described.add("Version", 102)
        described.add("ShadingModel", "lambert")
        described.add("MultiLayer", 0)
        properties_of(described).add("P", "DiffuseColor", "Color", "", "A", *colour)
        self._connect(material, mesh)
        self._skin(person, joints, geometry)
        self._bind_pose(person, joints, mesh)

    def add_animation(self, name: str, people: list[Armature], end: int) -> None:
        """Append one stack with everybody's curves."""
        stack = self._object("AnimationStack", name, "AnimStack", "")
        span = properties_of(self.objects.children[-1])
        span.add("P", "LocalStop", "KTime", "Time", "", Long(end))
        span.add("P", "ReferenceStop", "KTime", "Time", "", Long(end))
        layer = self._object("AnimationLayer", "BaseLayer", "AnimLayer", "")
        self._connect(layer, stack)
        for person, joints in zip(people, self.joints, strict=True):
            if len(person.turns) == 1:
                continue
            times = _ticks(person.times_s)
            degrees = _xyz_degrees(person.turns)
            for joint, model in enumerate(joints):
                self._curves(layer, model, "R", "Lcl Rotation", times, degrees[:, joint])
                if joint in person.moves:
                    self._curves(layer, model, "T", "Lcl Translation", times, person.moves[joint])

    def definitions(self) -> Node:
        """Return how many objects of which type there are."""
        node = Node("Definitions")
        node.add("Version", 100)
        types = [child.name for child in self.objects.children]
        node.add("Count", len(types) + 1)
        node.add("ObjectType", "GlobalSettings").add("Count", 1)
        for kind in dict.fromkeys(types):
            node.add("ObjectType", kind).add("Count", types.count(kind))
        return node

    def _object(self, kind: str, name: str, category: str, sub: str) -> Long:
        self._last += 1
        self.objects.add(kind, Long(self._last), named(name, category), sub)
        return Long(self._last)

    def _connect(self, child: Long, parent: Long, property_name: str | None = None) -> None:
        if property_name is None:
            self.connections.add("C", "OO", child, parent)
        else:
            self.connections.add("C", "OP", child, parent, property_name)

    def _attribute(self, name: str, kind: str, model: Long) -> None:
        """Say what a node is: a bone ("LimbNode") or nothing ("Null")."""
        attribute = self._object("NodeAttribute", name, "NodeAttribute", kind)
        properties_of(self.objects.children[-1]).add("P", "Size", "double", "Number", "", 1.0)
        self.objects.children[-1].add("TypeFlags", "Skeleton" if kind == "LimbNode" else "Null")
        self._connect(attribute, model)

    def _model(self, name: str, kind: str, place: Float[np.ndarray, "3"], turn: Float[np.ndarray, "3"]) -> Long:
        model = self._object("Model", name, "Model", kind)
        node = self.objects.children[-1]
        node.add("Version", 232)
        properties = properties_of(node)
        properties.add("P", "InheritType", "enum", "", "", 1)
        properties.add("P", "DefaultAttributeIndex", "int", "Integer", "", 0)
        properties.add("P", "Lcl Translation", "Lcl Translation", "", "A", *map(float, place))
        properties.add("P", "Lcl Rotation", "Lcl Rotation", "", "A", *map(float, turn))
        properties.add("P", "Lcl Scaling", "Lcl Scaling", "", "A", 1.0, 1.0, 1.0)
        node.add("Shading", True)
        node.add("Culling", "CullingOff")
        return model

    def _geometry(self, person: Armature, data: BodyData) -> Long:
        geometry = self._object("Geometry", f"{person.name}_mesh", "Geometry", "Mesh")
        node = self.objects.children[-1]
        properties_of(node)
        node.add("GeometryVersion", 124)
        node.add("Vertices", person.rest_vertices.reshape(-1).astype(np.float64))
        # The last corner of each polygon is marked by its bitwise complement.
        corners = data.faces.astype(np.int32).copy()
        corners[:, -1] ^= -1
        node.add("PolygonVertexIndex", corners.reshape(-1))
        layers = [("LayerElementNormal", node.add("LayerElementNormal", 0))]
        normals = vertex_normals(person.rest_vertices, data.faces).astype(np.float64)
        _mapping(layers[-1][1], "ByVertice", "Direct").add("Normals", normals.reshape(-1))
        if len(data.ft):
            layers.append(("LayerElementUV", node.add("LayerElementUV", 0)))
            uv = _mapping(layers[-1][1], "ByPolygonVertex", "IndexToDirect")
            uv.add("UV", data.vt.reshape(-1).astype(np.float64))
            uv.add("UVIndex", data.ft.reshape(-1).astype(np.int32))
        layers.append(("LayerElementMaterial", node.add("LayerElementMaterial", 0)))
        _mapping(layers[-1][1], "AllSame", "IndexToDirect").add("Materials", np.zeros(1, np.int32))
        layer = node.add("Layer", 0)
        layer.add("Version", 100)
        for kind, _ in layers:
            element = layer.add("LayerElement")
            element.add("Type", kind)
            element.add("TypedIndex", 0)
        return geometry

    def _skin(self, person: Armature, joints: list[Long], geometry: Long) -> None:
        skin = self._object("Deformer", f"{person.name}_skin", "Deformer", "Skin")
        node = self.objects.children[-1]
        node.add("Version", 101)
        node.add("Link_DeformAcuracy", 50.0)
        self._connect(skin, geometry)
        binds = _bind_matrices(person)
        for joint, model in enumerate(joints):
            vertex, place = np.nonzero((person.joint_index == joint) & (person.joint_weight > 0))
            cluster = self._object("Deformer", person.names[joint], "SubDeformer", "Cluster")
            node = self.objects.children[-1]
            node.add("Version", 100)
            node.add("UserData", "", "")
            if len(vertex):
                node.add("Indexes", vertex.astype(np.int32))
                node.add("Weights", person.joint_weight[vertex, place].astype(np.float64))
            node.add("Transform", _columns(np.linalg.inv(binds[joint])))
            node.add("TransformLink", _columns(binds[joint]))
            self._connect(cluster, skin)
            self._connect(model, cluster)

    def _bind_pose(self, person: Armature, joints: list[Long], mesh: Long) -> None:
        self._object("Pose", f"{person.name}_bind_pose", "Pose", "BindPose")
        node = self.objects.children[-1]
        node.add("Type", "BindPose")
        node.add("Version", 100)
        node.add("NbPoseNodes", len(joints) + 1)
        for model, matrix in zip([mesh, *joints], [np.eye(4), *_bind_matrices(person)], strict=True):
            entry = node.add("PoseNode")
            entry.add("Node", model)
            entry.add("Matrix", _columns(matrix))

    def _curves(
        self, layer: Long, model: Long, short: str, what: str, times: np.ndarray, values: Float[np.ndarray, "f 3"]
    ) -> None:
        node_id = self._object("AnimationCurveNode", short, "AnimCurveNode", "")
        properties = properties_of(self.objects.children[-1])
        for axis, first in zip("XYZ", values[0], strict=True):
            properties.add("P", f"d|{axis}", "Number", "", "A", float(first))
        self._connect(node_id, layer)
        self._connect(node_id, model, what)
        for axis, column in zip("XYZ", values.T, strict=True):
            curve = self._object("AnimationCurve", "", "AnimCurve", "")
            node = self.objects.children[-1]
            node.add("Default", float(column[0]))
            node.add("KeyVer", 4008)
            node.add("KeyTime", times)
            node.add("KeyValueFloat", column.astype(np.float32))
            # One set of attributes for all keys: linear, and no tangents.
            node.add("KeyAttrFlags", np.array([0x4], np.int32))
            node.add("KeyAttrDataFloat", np.zeros(4, np.float32))
            node.add("KeyAttrRefCount", np.array([len(times)], np.int32))
            self._connect(curve, node_id, f"d|{axis}")


def _mapping(node: Node, mapping: str, reference: str) -> Node:
    node.add("Version", 101)
    node.add("Name", "")
    node.add("MappingInformationType", mapping)
    node.add("ReferenceInformationType", reference)
    return node


def _bind_matrices(person: Armature) -> Float[np.ndarray, "n 4 4"]:
    matrices = np.tile(np.eye(4), (len(person.names), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = person.rest_axes, person.rest_places
    return matrices


def _columns(matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "16"]:
    """FBX multiplies rows from the left: its rows are our columns."""
    return np.ascontiguousarray(matrix.T).reshape(-1).astype(np.float64)


def _xyz_degrees(rotations: Float[np.ndarray, "f n 3 3"]) -> Float[np.ndarray, "f n 3"]:
    """FBX's order XYZ turns about x first."""
    return euler_degrees(rotations, "ZYX")[..., ::-1]


def _ticks(times_s: Float[np.ndarray, " f"]) -> np.ndarray:
    return np.round(times_s * TICKS).astype(np.int64)
