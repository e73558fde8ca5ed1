"""What an FBX file says beside its objects: who wrote it, axes, units, frame rate, the scene and its one animation."""

from monobody.export.fbx_nodes import Long, Node, named
from monobody.export.options import ExportOptions
from monobody.motion import Motion

_TIME_MODES = {24: 11, 25: 10, 30: 6, 48: 5, 50: 4, 60: 3, 100: 2, 120: 1}
_CUSTOM_TIME_MODE = 14


def header(motion: Motion) -> Node:
    """Return who wrote the file and when, and on what terms the motion may be used."""
    node = Node("FBXHeaderExtension")
    node.add("FBXHeaderVersion", 1003)
    node.add("FBXVersion", 7400)
    stamp = node.add("CreationTimeStamp")
    stamp.add("Version", 1000)
    for name, value in (("Year", 1970), ("Month", 1), ("Day", 1), ("Hour", 10)):
        stamp.add(name, value)
    for name in ("Minute", "Second", "Millisecond"):
        stamp.add(name, 0)
    node.add("Creator", creator(motion))
    info = node.add("SceneInfo", named("GlobalInfo", "SceneInfo"), "UserData")
    info.add("Type", "UserData")
    info.add("Version", 100)
    about = info.add("MetaData")
    about.add("Version", 100)
    comment = f"model {motion.model}: {motion.terms}"
    for name, value in (("Title", motion.name), ("Subject", ""), ("Author", ""), ("Keywords", ""), ("Revision", "")):
        about.add(name, value)
    about.add("Comment", comment)
    return node


def settings(motion: Motion, options: ExportOptions, end: int) -> Node:
    """Return which way is up, how long a unit is, and how many frames a second there are."""
    node = Node("GlobalSettings")
    node.add("Version", 1000)
    properties = properties_of(node)
    up, front, front_sign = (2, 1, -1) if options.up == "z" else (1, 2, 1)
    whole = {
        "UpAxis": up, "UpAxisSign": 1, "FrontAxis": front, "FrontAxisSign": front_sign, "CoordAxis": 0,
        "CoordAxisSign": 1, "OriginalUpAxis": up, "OriginalUpAxisSign": 1,
    }  # fmt: skip
    for name, value in whole.items():
        properties.add("P", name, "int", "Integer", "", value)
    # How many centimetres the file's unit is.
    unit = 100.0 if options.unit == "m" else 1.0
    for name in ("UnitScaleFactor", "OriginalUnitScaleFactor"):
        properties.add("P", name, "double", "Number", "", unit)
    mode = next((mode for fps, mode in _TIME_MODES.items() if abs(motion.fps / fps - 1) < 1e-6), _CUSTOM_TIME_MODE)
    properties.add("P", "TimeMode", "enum", "", "", mode)
    properties.add("P", "TimeSpanStart", "KTime", "Time", "", Long(0))
    properties.add("P", "TimeSpanStop", "KTime", "Time", "", Long(end))
    properties.add("P", "CustomFrameRate", "double", "Number", "", motion.fps if mode == _CUSTOM_TIME_MODE else -1.0)
    return node


def documents(stack: str) -> Node:
    """Return the one scene of the file, and which animation it shows."""
    node = Node("Documents")
    node.add("Count", 1)
    document = node.add("Document", Long(999_999), "", "Scene")
    properties = properties_of(document)
    properties.add("P", "SourceObject", "object", "", "")
    properties.add("P", "ActiveAnimStackName", "KString", "", "", stack)
    document.add("RootNode", Long(0))
    return node


def takes(stack: str, end: int) -> Node:
    """Return the animation's name and length, for old programs."""
    node = Node("Takes")
    node.add("Current", stack)
    if stack:
        take = node.add("Take", stack)
        take.add("FileName", "take.tak")
        take.add("LocalTime", Long(0), Long(end))
        take.add("ReferenceTime", Long(0), Long(end))
    return node


def creator(motion: Motion) -> str:
    """Return the program's name and version."""
    return f"monobody {motion.versions.get('monobody', '')}".strip()


def properties_of(node: Node) -> Node:
    """Return a new list of properties of a node."""
    return node.add("Properties70")
