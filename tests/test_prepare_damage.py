"""`monobody prepare` of folders that hold something else, nothing, or files of no or of damaged content."""

from pathlib import Path

import pytest

from monobody.data.prepare import SETS, prepare
from monobody.errors import UserError

FILES: dict[str, tuple[str, ...]] = {
    "amass": ("CMU/01/01_01_poses.npz", "ACCAD/Female1General_c3d/A1_stageii.npz"),
    "mosh": ("neutrSMPL_CMU/01/01_01.pkl", "neutrSMPL_H3.6/S1/Directions 1.pkl", "neutrSMPL_jointLim/01/a.pkl"),
    "lsp": ("joints.mat", "images/im0001.jpg"),
    "lsp_extended": ("joints.mat", "images/im00001.jpg"),
    "mpii": ("annotations/mpii_human_pose_v1_u12_1.mat", "images/015601864.jpg"),
    "coco": ("annotations/person_keypoints_train2014.json", "train2014/COCO_train2014_000000000009.jpg"),
    "folder": ("annotations.json", "photos/a.jpg"),
    "spin": ("coco_2014_train.npz", "train2014/a.jpg"),
    "h36m": (
        "metadata.xml",
        "S1/Videos/Directions 1.54138969.mp4",
        "S1/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf",
        "S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf",
    ),
    "mpi_inf_3dhp": (
        "S1/Seq1/annot.mat",
        "S1/Seq1/camera.calibration",
        "S1/Seq1/imageFrames/video_0/frame_000001.jpg",
    ),
    "threedpw": ("imageFiles/downtown_00/image_00000.jpg", "sequenceFiles/train/downtown_00.pkl"),
    "surreal": (
        "cmu/train/run0/01_01/01_01_c0001.mp4",
        "cmu/train/run0/01_01/01_01_c0001_info.mat",
    ),
    "masked_folder": ("images/one.jpg", "masks/one.png"),
    "clothing_coparsing": ("images/0001.jpg", "masks/0001.png"),
    "tiktok": tuple(f"00001/{kind}/{number:04d}.png" for kind in ("images", "masks") for number in range(1, 60)),
}
"""For each set, files as they lie in it."""

CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "text": b"<html>404 Not Found</html>\n",
    "zip": b"PK\x03\x04" + bytes(60),
    "matlab": b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x01IM" + b"\x0f\0\0\0\xff\xff\0\0",
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(88),
    "cdf": bytes.fromhex("cdf300010000ffff") + bytes(64),
    "pickle": b"\x80\x02}q\x00(X\x05\x00\x00\x00poses",
    "python": b"cos\nsystem\n(S'true'\ntR.",
    "json": b'{"images": [{"id": 1}], "annotations": [{}], "categories": [{}]}',
    "list": b"[[], 3, null]",
}


@pytest.mark.parametrize("name", sorted(SETS))
def test_there_is_something_to_damage(name: str) -> None:
    assert name in FILES, "a new set: say here what its files are called"


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("name", sorted(FILES))
def test_folders_of_something_else(name: str, partial: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "IMG_0001.jpg").touch()
    for root in ("file", "empty", "other", "absent"):
        with pytest.raises(UserError):
            prepare(name, tmp_path / root, tmp_path / "out", partial=partial, workers=1)
    assert not list((tmp_path / "out").glob("*.tar"))


@pytest.mark.parametrize("content", sorted(CONTENTS))
@pytest.mark.parametrize("name", sorted(FILES))
def test_files_of_damaged_content(name: str, content: str, tmp_path: Path) -> None:
    for file in FILES[name]:
        (tmp_path / "root" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / file).write_bytes(CONTENTS[content])
    with pytest.raises(UserError):
        prepare(name, tmp_path / "root", tmp_path / "out", partial=True, workers=1)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("name", sorted(FILES))
def test_folders_where_files_should_be(name: str, tmp_path: Path) -> None:
    for file in FILES[name]:
        (tmp_path / "root" / file).mkdir(parents=True)
    with pytest.raises(UserError):
        prepare(name, tmp_path / "root", tmp_path / "out", partial=True, workers=1)
