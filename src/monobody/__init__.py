"""monobody: posed 3D people from a single picture."""

__version__ = "0.1.0"
