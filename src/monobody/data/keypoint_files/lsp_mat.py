"""The `joints.mat` of LSP and LSP Extended, photo by photo; `datasets/` has their readers as data sets.

`joints` is 3 x 14 x N in LSP, where the flag is 1 for a hidden joint, and 14 x 3 x N in LSP Extended, where it is 1 for
a visible one. Hidden joints are taken as unknown. Photo n is `im0001.jpg` in the first and `im00001.jpg` in the second.
A single photo's 3 x 14 or 14 x 3 is read as well.
"""

from pathlib import Path

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.data.datasets.lsp import matlab_joints
from monobody.data.keypoint_files.entry import LARGEST, Entry
from monobody.data.keypoint_files.known_people import KnownPeople, KnownPerson

_COUNT = len(SKELETONS["lsp14"].joints)


def read(path: Path) -> KnownPeople:
    """Return one person for each photo.

    Raises:
        UserError: scipy is missing, or the file is none of the two.
    """
    joints = matlab_joints(path, "LSP")
    single = joints.ndim == 2
    joints = joints[..., None] if single else joints
    if joints.ndim == 3 and joints.shape[:2] == (3, _COUNT):
        layout, digits = "LSP", 4
        joints = joints.transpose(2, 1, 0)
        known = joints[:, :, 2] == 0
    elif joints.ndim == 3 and joints.shape[:2] == (_COUNT, 3):
        layout, digits = "LSP Extended", 5
        joints = joints.transpose(2, 0, 1)
        known = joints[:, :, 2] == 1
    else:
        shape = " x ".join(map(str, joints.shape))
        raise Entry(path, "joints").refuse(f"it is {shape}, where LSP has 3 x 14 x N and LSP Extended 14 x 3 x N")
    broken = known & ~(np.abs(joints[:, :, :2]) < LARGEST).all(2)
    if broken.any():
        row, joint = np.argwhere(broken)[0]
        name = SKELETONS["lsp14"].joints[joint]
        raise Entry(path, f"photo {row + 1}").refuse(f"its {name} is marked as visible and not a finite number")
    rows = np.concatenate([joints[:, :, :2], known[:, :, None]], axis=2).astype(np.float64)
    people = [[KnownPerson(keypoints=row, set_name="lsp14")] for row in rows]
    names = [""] if single else [f"im{number + 1:0{digits}d}" for number in range(len(rows))]
    return KnownPeople(path=path, layout=layout, pictures=dict(zip(names, people, strict=True)))
