"""What the graph critic keeps instead of computing it anew: its graph, and the code that tells joints apart."""

import math

import pytest
import torch

from monobody.body.skeleton import SKELETONS
from monobody.models import pose_graph
from monobody.models.pose_graph import PoseGraphCritic


def test_the_position_code_is_a_buffer_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging makes neither code nor graph; both go along where the critic goes, and neither is saved nor learnt."""
    critic = PoseGraphCritic(width=8).eval()

    def made_again(*_: object) -> None:
        raise AssertionError("made again")

    for name in ("_place_code", "_means_over_neighbours"):
        monkeypatch.setattr(pose_graph, name, made_again)
    assert critic(torch.randn(5, 18, 3)).shape == (5,)
    assert {"place", "neighbours"} == {name for name, _ in critic.named_buffers()}
    assert not {"place", "neighbours"} & (critic.state_dict().keys() | dict(critic.named_parameters()).keys())
    double = critic.double()
    assert double.place.dtype == double.neighbours.dtype == torch.float64
    assert double(torch.randn(5, 18, 3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("joint_set", ["xas18", "quadruped"])
def test_the_position_code_tells_joints_apart(joint_set: str) -> None:
    code = PoseGraphCritic(joint_set, width=8).place
    assert len(code) == len(SKELETONS[joint_set].joints)
    for number, (first, second, third) in enumerate(code.tolist()):
        assert first == pytest.approx(math.sin(number), abs=1e-6)
        assert second == pytest.approx(math.cos(number / 10000 ** (2 / 3)), abs=1e-6)
        assert third == pytest.approx(math.sin(number / 10000 ** (4 / 3)), abs=1e-6)
    assert len(code.unique(dim=0)) == len(code)
