"""The field's measures of error, for any batch, of numpy arrays and torch tensors alike."""

from monobody.metrics.calibration import Calibration, calibration, log_score
from monobody.metrics.hypotheses import best_joints, best_of, best_pose, confident, expected, normalised, pose_errors_mm
from monobody.metrics.motion import acceleration, acceleration_error
from monobody.metrics.pck_2d import box_diagonal, box_side, hits, pck, pckh, segment_length, torso_pck
from monobody.metrics.pck_3d import AUC_THRESHOLDS_MM, auc_3d, pck_3d
from monobody.metrics.pose import LSP_HIPS, align, centred, joint_errors_mm, mpjpe, n_mpjpe, pa_mpjpe, resized
from monobody.metrics.segmentation import (
    mask_iou,
    segmentation_accuracy,
    segmentation_counts,
    segmentation_f1,
    segmentation_iou,
)
from monobody.metrics.surface import area_pve, pve, vertex_areas, vertex_errors_mm
from monobody.metrics.tally import Tally, Total, exact_sum

__all__ = [
    "AUC_THRESHOLDS_MM", "LSP_HIPS", "Calibration", "Tally", "Total", "acceleration", "acceleration_error", "align",
    "area_pve", "auc_3d", "best_joints", "best_of", "best_pose", "box_diagonal", "box_side", "calibration", "centred",
    "confident", "exact_sum", "expected", "hits", "joint_errors_mm", "log_score", "mask_iou", "mpjpe", "n_mpjpe",
    "normalised", "pa_mpjpe", "pck", "pck_3d", "pckh", "pose_errors_mm", "pve", "resized", "segment_length",
    "segmentation_accuracy", "segmentation_counts", "segmentation_f1", "segmentation_iou", "torso_pck", "vertex_areas",
    "vertex_errors_mm",
]  # fmt: skip
