"""monobody: posed 3D people from a single picture.

model = monobody.load("hmr-small")
scene = model("photo.jpg")
scene.save("photo.glb")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monobody.errors import UserError
    from monobody.motion import Motion, Track
    from monobody.predict.fit_picture import Fitter, load_fitter
    from monobody.predict.predictor import Predictor, load
    from monobody.scene import Hypothesis, Person, Scene

__version__ = "0.1.0"
__all__ = [
    "Fitter",
    "Hypothesis",
    "Motion",
    "Person",
    "Predictor",
    "Scene",
    "Track",
    "UserError",
    "__version__",
    "load",
    "load_fitter",
]

_HOMES = {
    "Fitter": "monobody.predict.fit_picture",
    "Hypothesis": "monobody.scene",
    "Motion": "monobody.motion",
    "Person": "monobody.scene",
    "Predictor": "monobody.predict.predictor",
    "Scene": "monobody.scene",
    "Track": "monobody.motion",
    "UserError": "monobody.errors",
    "load": "monobody.predict.predictor",
    "load_fitter": "monobody.predict.fit_picture",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import monobody`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'monobody' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
