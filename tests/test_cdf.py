"""CDF files: every way in which a `Pose` can be stored gives the same numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monobody.data.cdf import pose_frames, read_poses
from monobody.errors import UserError

POSES = np.arange(5 * 6, dtype=np.float32).reshape(5, 6)


def write(path: Path, kind: str, majority: str, compress: int) -> Path:
    cdfwrite = pytest.importorskip("cdflib.cdfwrite")
    spec: dict[str, Any] = {"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True}
    spec |= {"Var_Type": kind, "Compress": compress}
    spec |= {"Dim_Sizes": [5, 6]} if kind == "zVariable" else {"Dim_Vary": [True, True]}
    with cdfwrite.CDF(str(path), cdf_spec={"Majority": majority, "rDim_sizes": [5, 6]}) as file:
        # The writer puts numbers down as they come, so they have to come in the file's order.
        stored = POSES if majority == "row_major" else POSES.ravel(order="F").reshape(POSES.shape)
        file.write_var(spec, var_data=stored[None])
    return path


@pytest.mark.parametrize("kind", ["zVariable", "rVariable"])
@pytest.mark.parametrize("majority", ["row_major", "column_major"])
@pytest.mark.parametrize("compress", [0, 6])
def test_numbers_come_in_order(tmp_path: Path, kind: str, majority: str, compress: int) -> None:
    path = write(tmp_path / "poses.cdf", kind, majority, compress)
    assert pose_frames(path) == 5
    np.testing.assert_array_equal(read_poses(path, 3), POSES.reshape(5, 2, 3))
    np.testing.assert_array_equal(read_poses(path, 2), POSES.reshape(5, 3, 2))
    with pytest.raises(UserError, match="not 4 a joint"):
        read_poses(path, 4)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        pose_frames(tmp_path / "none.cdf")
    (tmp_path / "text.cdf").write_text("no CDF at all")
    with pytest.raises(UserError, match="no CDF file with a variable `Pose`"):
        pose_frames(tmp_path / "text.cdf")
