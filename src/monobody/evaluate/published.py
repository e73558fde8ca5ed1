"""What others have published, with the place where each number was read; printed beside ours.

The four tables are those of "End-to-end Recovery of Human Shape and Pose" (Kanazawa et al., CVPR 2018) with all methods
in them. Numbers under one heading were not always measured alike: what a protocol states holds for our rows, and for
others' as far as they say. No table of "X as Supervision" is here, because none was at hand.
"""

from collections.abc import Mapping

from monobody.evaluate.protocol import Row

HMR = "Kanazawa et al., CVPR 2018"
RELEASED = "doc/train.md of akanazawa/hmr: the released weights, measured by its authors"
VIBE = "README of mkocabas/VIBE"
MMHUMAN3D = "configs of open-mmlab/mmhuman3d"
BENCHMARKS = "README of smplbody/hmr-benchmarks (NeurIPS 2022)"
SECOND_HAND = "second hand (†): transcribed by others from"


def _rows(source: str, keys: tuple[str, ...], numbers: Mapping[str, tuple[float | None, ...]]) -> tuple[Row, ...]:
    return tuple(
        Row(method=method, numbers=dict(zip(keys, values, strict=True)), source=source)
        for method, values in numbers.items()
    )


H36M_P1 = (
    *_rows(
        f"{HMR}, table of Human3.6M, protocol 1",
        ("mpjpe_mm", "pa_mpjpe_mm"),
        {
            "Tome et al. 2017": (88.39, None),
            "Rogez et al. 2017": (87.7, 71.6),
            "VNect (Mehta et al. 2017)": (80.5, None),
            "Pavlakos et al. 2017": (71.9, 51.23),
            "Mehta et al. 2017": (68.6, None),
            "Sun et al. 2017": (59.1, None),
            "Deep Kinematic Pose (Zhou et al. 2016)": (107.26, None),
            "HMR": (87.97, 58.1),
            "HMR unpaired": (106.84, 67.45),
        },
    ),
    Row(
        method="HMR, released weights",
        numbers={
            "mpjpe_mm": 86.20,
            "pa_mpjpe_mm": 58.47,
            "median_mpjpe_mm": 79.47,
            "median_pa_mpjpe_mm": 52.95,
        },
        source=RELEASED,
    ),
)
H36M_P2 = _rows(
    f"{HMR}, table of Human3.6M, protocol 2",
    ("pa_mpjpe_mm",),
    {
        "Rogez et al. 2016": (87.3,),
        "Pavlakos et al. 2017": (51.9,),
        "Martinez et al. 2017": (47.7,),
        "SMPLify (Bogo et al. 2016)": (82.3,),
        "SMPLify from 91 keypoints (Lassner et al. 2017)": (80.7,),
        "Decision forests from 91 keypoints (Lassner et al. 2017)": (93.9,),
        "HMR": (56.8,),
        "HMR unpaired": (66.5,),
    },
)
H36M_P2_SPIN = _rows(
    VIBE, ("pa_mpjpe_mm",), {"HMR (there: Temporal HMR)": (56.8,), "SPIN": (41.1,), "VIBE (video)": (41.5,)}
)
MPI_INF_3DHP = tuple(
    Row(
        method=method,
        numbers=dict[str, float | None](zip(("pck_percent", "auc_percent", "mpjpe_mm"), absolute, strict=True))
        | dict[str, float | None](zip(("pa_pck_percent", "pa_auc_percent", "pa_mpjpe_mm"), aligned, strict=True)),
        source=f"{HMR}, table 3",
    )
    for method, absolute, aligned in (
        ("Mehta et al. 2017", (75.7, 39.3, 117.6), (None, None, None)),
        ("VNect (Mehta et al. 2017)", (76.6, 40.4, 124.7), (83.9, 47.3, 98.0)),
        ("HMR", (72.9, 36.5, 124.2), (86.3, 47.8, 89.8)),
        ("HMR unpaired", (59.6, 27.9, 169.5), (77.1, 40.7, 113.2)),
    )
) + _rows(VIBE, ("pa_mpjpe_mm",), {"SPIN": (67.5,), "VIBE (video)": (63.4,)})
LSP = _rows(
    f"{HMR}, table 4",
    ("fg_accuracy", "fg_f1", "parts_accuracy", "parts_f1", "seconds_a_person"),
    {
        "SMPLify oracle": (92.17, 0.88, 88.82, 0.67, None),
        "SMPLify (about a minute)": (91.89, 0.88, 87.71, 0.64, 60.0),
        "Decision forests (Lassner et al.)": (86.60, 0.80, 82.32, 0.51, 0.13),
        "HMR": (91.67, 0.87, 87.12, 0.60, 0.04),
        "HMR unpaired": (91.30, 0.86, 87.00, 0.59, 0.04),
    },
)
_3DPW = ("mpjpe_mm", "pa_mpjpe_mm", "pve_mm")
THREEDPW = (
    *_rows(VIBE, ("pa_mpjpe_mm",), {"HMR (there: Temporal HMR)": (76.7,), "SPIN": (59.2,), "VIBE (video)": (56.5,)}),
    *_rows(
        MMHUMAN3D,
        ("mpjpe_mm", "pa_mpjpe_mm"),
        {
            "HMR, trained by mmhuman3d": (112.34, 67.53),
            "SPIN, mmhuman3d": (94.11, 57.54),
            "VIBE, mmhuman3d (video)": (94.89, 57.08),
            "CLIFF, mmhuman3d": (75.08, 47.38),
        },
    ),
    *_rows(
        BENCHMARKS,
        ("pa_mpjpe_mm",),
        {
            "HMR, ResNet-50, tuned": (51.66,),
            "HMR, HRNet-W32, tuned": (49.18,),
            "HMR, Twins-SVT, tuned": (48.77,),
            "HMR, Twins-SVT, all tricks": (47.31,),
        },
    ),
    *_rows(
        "README of mkocabas/PARE",
        _3DPW,
        {"PARE": (82.0, 50.9, 97.9), "PARE, trained on 3DPW too": (74.5, 46.5, 88.6)},
    ),
    *_rows(
        "README and file names of huawei-noah/noah-research, CLIFF; tuned on 3DPW",
        _3DPW,
        {"CLIFF, ResNet-50": (72.0, 45.7, 85.3), "CLIFF, HRNet-W48": (69.0, 43.0, 81.2)},
    ),
    *_rows(
        f"{SECOND_HAND} BEDLAM, table 1",
        _3DPW,
        {
            "HMR, as BEDLAM measures it †": (130.0, None, None),
            "BEDLAM-HMR †": (79.0, 47.6, 93.1),
            "BEDLAM-CLIFF †": (72.0, 46.6, 85.0),
            "BEDLAM-CLIFF, trained on 3DPW too †": (66.9, 43.0, 78.5),
            "CLIFF on real pictures, as BEDLAM trains it †": (73.9, 46.4, 87.6),
        },
    ),
    *_rows(
        f"{SECOND_HAND} somebody's log; its authors give no table", ("mpjpe_mm", "pa_mpjpe_mm"),
        {"HMR2.0a †": (70.0, 44.5)},
    ),
    *_rows(
        "README of saidwivedi/TokenHMR",
        _3DPW,
        {"TokenHMR": (70.9, 44.8, 84.3), "TokenHMR, BEDLAM alone": (71.6, 44.0, 85.7)},
    ),
    *_rows("README of naver/multi-hmr", ("pve_mm",), {"Multi-HMR 896-L": (89.9,), "Multi-HMR 672-S": (102.4,)}),
    *_rows(
        f"{SECOND_HAND} SAM 3D Body, table 2",
        _3DPW,
        {
            "HMR2.0b †": (81.3, 54.3, 93.1),
            "CameraHMR †": (56.0, 35.1, 65.9),
            "PromptHMR †": (58.7, 36.1, 69.4),
            "NLF-L, fitted †": (54.9, 33.6, 63.7),
            "WHAM (video) †": (57.8, 35.9, 68.7),
            "TRAM (video) †": (59.3, 35.6, 69.6),
        },
    ),
    *_rows(
        f"README of facebookresearch/sam-3d-body; PA-MPJPE {SECOND_HAND} its paper",
        _3DPW,
        {"SAM 3D Body, DINOv3 †": (54.8, 33.8, 63.6), "SAM 3D Body, ViT-H †": (54.8, 33.2, 64.1)},
    ),
)  # fmt: skip
