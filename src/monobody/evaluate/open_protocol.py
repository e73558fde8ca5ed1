"""What the table of the open benchmark means: its people, its columns, and what to mind when they are compared."""

from typing import Any

from monobody.evaluate.protocol import Column, Protocol

COLUMNS = (
    Column(key="mpjpe_mm", heading="MPJPE mm", better="lower"),
    Column(key="pa_mpjpe_mm", heading="PA-MPJPE mm", better="lower"),
    Column(key="pve_mm", heading="PVE mm", better="lower"),
    Column(key="pck_0.1", heading="PCK@0.1 %", better="higher"),
    Column(key="pck_0.05", heading="PCK@0.05 %", better="higher"),
    Column(key="iou", heading="IoU %", better="higher"),
    Column(key="impossible", heading="impossible %", better="lower"),
    Column(key="ms", heading="ms", better="lower"),
)


def open_protocol() -> Protocol:
    """Return what the table means."""

    def closed(*_: Any) -> Any:
        raise AssertionError("The open benchmark opens and measures three sets by itself.")

    return Protocol(
        name="open",
        title="The open benchmark",
        people=(
            "500 rendered held-out people (MPJPE, PA-MPJPE, PVE); the 500 photos of LSP Extended that are kept from "
            "training (PCK, impossible); the 100 of Clothing Co-Parsing (IoU)"
        ),
        joints="the 14 of LSP, read off the body by its own regressor of the set",
        root="the middle of the hips; of meshes the pelvis",
        alignment="hips (MPJPE), similarity (PA-MPJPE), pelvis (PVE); none in pictures",
        boxes=(
            "about the known joints, wider by a tenth all round, or about the mask; the detector finds the person "
            "inside, once for all rows"
        ),
        columns=COLUMNS,
        headline="pa_mpjpe_mm",
        expected=None,
        open=closed,
        measure=closed,
        notes=(
            "IoU is of bare bodies against dressed people. Clothing Co-Parsing's people mostly stand.",
            "`impossible` counts people, not joints: one joint is enough.",
            "`ms` is processor time on this machine, all threads together, without finding people; "
            "refined rows have the model's time in theirs, "
            "and fit 64 people together.",
            "BlazePose's row is judged on 12 joints, the others on 14. Rows of skeletons say how far their joints lie "
            "from LSP's; where a body is needed they are empty, and `lifted` rows fit one to the likeliest skeleton.",
            "Photos do not tell their camera: networks are seen through their own weak-perspective one, fits through a "
            "pinhole whose focal length is the picture's diagonal.",
            "`hardly_seen` in the facts counts people of whom the detector is sure of too few landmarks; they are "
            "fitted to all of them, weakly.",
        ),
    )
