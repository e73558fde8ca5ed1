"""BVH motion files: positions of a small skeleton worked out by hand, Euler angles by scipy, and damaged files."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from monobody.data.bvh import euler_to_matrix, read_bvh
from monobody.errors import UserError

TWO_BONES = """HIERARCHY
ROOT hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT leg
  {
    OFFSET 0 -2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
0 0 0 0 0 0 0 0 0
5 6 7 90 0 0 0 90 0
"""


def write(folder, text):
    path = folder / "motion.bvh"
    path.write_text(text)
    return path


def test_positions_and_rotations_of_a_small_file(tmp_path):
    motion = read_bvh(write(tmp_path, TWO_BONES))
    assert motion.names == ("hips", "leg", "leg_end")
    assert motion.parents == (-1, 0, 1)
    assert motion.fps == pytest.approx(20)
    _, positions = motion.world()
    np.testing.assert_allclose(positions[0], [[0, 0, 0], [0, -2, 0], [0, -3, 0]], atol=1e-12)
    # The hips turn a quarter about z, which brings -y to +x; the leg then turns about its own x.
    np.testing.assert_allclose(positions[1], [[5, 6, 7], [7, 6, 7], [7, 6, 6]], atol=1e-12)


def test_position_channels_of_other_joints_replace_or_add_to_the_offset(tmp_path):
    six = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    text = TWO_BONES.replace("CHANNELS 3 Zrotation Xrotation Yrotation", six)
    for values in ("0 -2 0", "0 0 0"):
        both = text.replace("0 0 0 0 0 0 0 0 0\n", f"0 0 0 0 0 0 {values} 0 0 0\n")
        both = both.replace("5 6 7 90 0 0 0 90 0\n", f"0 0 0 0 0 0 {values} 0 0 0\n")
        _, positions = read_bvh(write(tmp_path, both)).world()
        np.testing.assert_allclose(positions[0, 1], [0, -2, 0])


@pytest.mark.parametrize("axes", ["ZYX", "XYZ", "ZXY", "Y", "XZ"])
def test_euler_angles_agree_with_scipy(axes):
    angles = np.random.default_rng(0).normal(size=(5, len(axes)))
    expected = Rotation.from_euler(axes, angles).as_matrix().reshape(5, 3, 3)
    np.testing.assert_allclose(euler_to_matrix(angles, axes), expected, atol=1e-12)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "not a motion file",
        lambda text: text[: text.index("MOTION")],
        lambda text: text[: len(text) - 12],
        lambda text: text.replace("OFFSET", "OFST"),
        lambda text: text.replace("90 0 0 0 90", "90 0 x 0 90"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage):
    with pytest.raises(UserError, match="not a complete BVH"):
        read_bvh(write(tmp_path, damage(TWO_BONES)))
