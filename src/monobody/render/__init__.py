"""Drawing bodies: rasteriser, soft silhouette, shading, overlays."""
