"""Acclaim motion files: positions of a small skeleton worked out by hand, and damaged files."""

import numpy as np
import pytest

from monobody.data.asf_amc import read_asf_amc
from monobody.errors import UserError

# The foot's own axes are turned a quarter about z: its rx bends about the world's y at rest.
ASF = """:version 1.10
:units
  mass 1.0
  length 0.5
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name leg
    direction 0 -1 0
    length 1
    axis 0 0 0 XYZ
    dof rx rz
    limits (-10 10)
           (-10 10)
  end
  begin
    id 2
    name foot
    direction 0 0 1
    length 0.25
    axis 0 0 90 XYZ
    dof rx
  end
:hierarchy
  begin
    root leg
    leg foot
  end
"""
AMC = """#!OML:ASF nowhere
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
leg 0 0
foot 0
2
root 1 2 3 0 90 0
leg 90 0
foot 90
"""


def write(folder, asf=ASF, amc=AMC):
    (folder / "s.asf").write_text(asf)
    (folder / "s_01.amc").write_text(amc)
    return folder / "s.asf", folder / "s_01.amc"


def test_positions_of_a_small_skeleton(tmp_path):
    motion = read_asf_amc(*write(tmp_path))
    assert motion.names == ("root", "leg", "foot", "foot_end")
    _, positions = motion.world()
    # Lengths are divided by the file's unit; the root's path is not.
    np.testing.assert_allclose(positions[0], [[1, 2, 3], [1, 2, 3], [1, 0, 3], [1, 0, 3.5]], atol=1e-12)
    # Leg: a quarter about x brings -y to -z and z to -y; the root then turns -z to -x.
    np.testing.assert_allclose(positions[1, 2], [-1, 2, 3], atol=1e-12)
    # Foot: a quarter about its x axis (y at rest) points it along x, which the root turns to -z.
    np.testing.assert_allclose(positions[1, 3], [-1, 2, 2.5], atol=1e-12)


def test_a_last_frame_cut_short_is_left_out(tmp_path):
    motion = read_asf_amc(*write(tmp_path, amc=AMC[: AMC.rindex("foot")]))
    assert len(motion.rotations) == 1


@pytest.mark.parametrize(
    ("asf", "amc", "blamed"),
    [
        ("hello", AMC, "s.asf"),
        (ASF, "", "s_01.amc"),
        (ASF, AMC.replace("foot", "paw"), "paw"),
        (ASF, AMC.replace("leg 90 0", "leg 90"), "s_01.amc"),
    ],
)
def test_damaged_files_are_refused(tmp_path, asf, amc, blamed):
    with pytest.raises(UserError, match=blamed):
        read_asf_amc(*write(tmp_path, asf, amc))
