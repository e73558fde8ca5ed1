"""What stands between a model and the truth: `python scripts/where_errors_come_from.py [--model M] [--lifter L]`.

PA-MPJPE on the shipped evaluation's synthetic people, with one thing at a time taken for granted:

    as predicted      the person found in the box, as in `monobody evaluate quick`
    region given      the model looks at the region where the true joints put it
    joints given      the lifter is told LSP's 14 joints as they are in the picture: only depth is left to find out
"""

import argparse

import numpy as np
import torch
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.landmarks import Landmarks
from monobody.data.mix import fixed_rows
from monobody.data.shards import SampleFiles
from monobody.evaluate.quick import SYNTHETIC, estimate_joints, find_people
from monobody.metrics import pa_mpjpe
from monobody.models.output import HMROutput
from monobody.predict.estimate import LandmarkEstimator, PixelEstimator
from monobody.predict.predictor import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="hmr-small", help="a network that looks at pixels")
    parser.add_argument("--lifter", default="lift", help="a network that looks at landmarks")
    parser.add_argument("--limit", type=int, help="only so many people")
    arguments = parser.parse_args()
    network, lifter = load(arguments.model).estimator, load(arguments.lifter).estimator
    assert isinstance(network, PixelEstimator)
    assert isinstance(lifter, LandmarkEstimator)
    body = JointBody.from_body(load(arguments.model).body, ("lsp14",))
    people = SampleFiles(SYNTHETIC)[: arguments.limit]
    rows = fixed_rows(people, network.model.input_size)
    found = find_people(people)
    joints_cam_m = np.stack([person.joints_cam_m for person in people if person.joints_cam_m is not None])
    in_picture = torch.from_numpy(joints_cam_m).float()

    def show(name: str, joints_m: Tensor, truth_m: Tensor) -> None:
        errors = pa_mpjpe(joints_m, truth_m)
        tenths = "  ".join(f"{100 * q:.0f} %: {float(errors.quantile(q)):.0f}" for q in (0.1, 0.5, 0.9))
        print(f"{name:<40}{float(errors.mean()):7.1f} mm    {tenths}")

    with torch.inference_mode():
        for name, estimator in ((arguments.model, network), (arguments.lifter, lifter)):
            show(f"{name}, as predicted", estimate_joints(estimator, body, people, found)[1], in_picture)
        outputs = [network.model(part.float() / 255)[-1] for part in rows["images"].split(16)]
        show(f"{arguments.model}, region given", torch.cat([_joints(body, o) for o in outputs]), rows["joints_3d"])
        given = Landmarks.from_joints("lsp14", rows["keypoints_2d"][:, :14], rows["visible"][:, :14])
        lifted = lifter.model(given)[-1].output
        show(f"{arguments.lifter}, joints given", _joints(body, lifted), rows["joints_3d"])


def _joints(body: JointBody, output: HMROutput) -> Tensor:
    return body(output.rotations, output.betas)["lsp14"]


if __name__ == "__main__":
    main()
