"""What posing a body costs on one core: ``python benchmarks/body.py`` prints milliseconds of CPU time per call.

Process time of one thread, the best of several runs, so that a busy machine does not count.
"""

import time
from collections.abc import Callable

import torch

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of a call after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def measure(body: Body, joint_body: JointBody, batch: int, runs: int) -> dict[str, float]:
    """Return milliseconds by what is done, for a batch of random people."""
    rotations = axis_angle_to_matrix(0.5 * torch.randn(batch, 24, 3)).requires_grad_()
    betas = torch.randn(batch, 10, requires_grad=True)
    with torch.no_grad():
        identity = body.identity(betas)
        forward = {
            "shape and pose": milliseconds(lambda: body(rotations, betas), runs),
            "pose of a known identity": milliseconds(lambda: body(rotations, identity=identity), runs),
            "joints only": milliseconds(lambda: joint_body(rotations, betas), runs),
        }
    return forward | {
        "shape and pose, with gradient": milliseconds(lambda: body(rotations, betas).vertices_m.sum().backward(), runs),
        "joints only, with gradient": milliseconds(
            lambda: joint_body(rotations, betas)["cocoplus19"].sum().backward(), runs
        ),
    }


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.process_time()
    body = Body.load()
    print(f"load the shipped body           {1000 * (time.process_time() - start):8.1f} ms")
    joint_body = JointBody.from_body(body, sets=("cocoplus19", "smpl24"))
    one, many = measure(body, joint_body, 1, 30), measure(body, joint_body, 64, 7)
    print("                                     B=1      B=64")
    for name in one:
        print(f"{name:32}{one[name]:8.1f}  {many[name]:8.1f} ms")


if __name__ == "__main__":
    main()
