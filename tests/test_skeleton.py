"""Joint sets: trees, mirror permutations, and the published maps between data sets."""

import pytest

from monobody.body.skeleton import HUMAN_SETS, SKELETONS, correspondence, mirrored_name

SETS = sorted(SKELETONS)


@pytest.mark.parametrize("name", SETS)
def test_one_tree_with_one_root(name: str) -> None:
    skeleton = SKELETONS[name]
    assert len(set(skeleton.joints)) == len(skeleton.joints) == len(skeleton.parents)
    assert skeleton.parents.count(-1) == 1
    assert len(skeleton.bones) == len(skeleton.joints) - 1
    for joint in range(len(skeleton.joints)):
        steps = 0
        while joint >= 0:
            joint, steps = skeleton.parents[joint], steps + 1
            assert steps <= len(skeleton.joints), "the tree has a cycle"


@pytest.mark.parametrize("name", SETS)
def test_flip_is_an_involution_that_exchanges_sides(name: str) -> None:
    skeleton = SKELETONS[name]
    for joint, other in enumerate(skeleton.flip):
        assert skeleton.flip[other] == joint
        assert mirrored_name(skeleton.joints[joint]) == skeleton.joints[other]
        assert (joint == other) == (not skeleton.joints[joint].startswith(("left_", "right_")))


def test_the_last_number_of_a_name_is_its_size() -> None:
    for name, skeleton in HUMAN_SETS.items():
        assert name.endswith(str(len(skeleton.joints)))


def test_parents_of_the_body_come_before_their_children() -> None:
    assert all(parent < joint for joint, parent in enumerate(SKELETONS["smpl24"].parents))


def test_published_orders() -> None:
    assert SKELETONS["cocoplus19"].flip == (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13, 14, 16, 15, 18, 17)
    assert SKELETONS["smpl24"].flip == (
        *(0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22),
    )
    assert correspondence("coco17", "cocoplus19") == (
        *(16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9, -1, -1, 0, 1, 2, 3, 4),
    )
    assert correspondence("mpii16", "lsp14") == (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9)
    assert correspondence("h36m17", "lsp14") == (3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10)
    one_based = (8, 6, 15, 16, 17, 10, 11, 12, 24, 25, 26, 19, 20, 21, 5, 4, 7)
    assert correspondence("mpi_inf_3dhp28", "mpi_inf_3dhp17") == tuple(index - 1 for index in one_based)
    xas = correspondence("mpi_inf_3dhp28", "xas18")
    assert (xas[7], xas[17]) == (2, 1)  # The torso is the second spine joint, the thorax the fourth.


@pytest.mark.parametrize("source", SETS)
@pytest.mark.parametrize("target", SETS)
def test_maps_respect_sides(source: str, target: str) -> None:
    mapping = correspondence(source, target)
    flip_source, flip_target = SKELETONS[source].flip, SKELETONS[target].flip
    for joint, found in enumerate(mapping):
        assert mapping[flip_target[joint]] == (flip_source[found] if found >= 0 else -1)
    if source == target:
        assert mapping == tuple(range(len(mapping)))
