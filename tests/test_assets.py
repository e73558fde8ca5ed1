"""Body files: the shipped one, SMPL-like ones of users, and every way in which a file can be wrong."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from monobody.body.assets import PARTS6, BodyData, load_body_data
from monobody.body.describe import describe_body
from monobody.body.model import Body
from monobody.body.skeleton import HUMAN_SETS, SKELETONS
from monobody.errors import UserError

SMPL_VERTICES = 6890
SMALL = 800


@pytest.fixture(scope="module")
def shipped() -> BodyData:
    return load_body_data()


def smpl_like(shipped: BodyData, vertices: int, coefficients: int) -> dict[str, np.ndarray]:
    """Make what a SMPL file holds out of some of the shipped body's vertices: no texture, no keypoints."""
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(shipped.v_template), vertices, replace=False))
    template = shipped.v_template[chosen].astype(np.float64)
    regressor = np.zeros((24, vertices))
    for joint, place in enumerate(shipped.J_regressor @ shipped.v_template):
        nearest = np.argsort(np.linalg.norm(template - place, axis=1))[:100]
        system = np.vstack([template[nearest].T, np.ones(100)])
        regressor[joint, nearest] = np.linalg.lstsq(system, [*place, 1], rcond=None)[0]
    return {
        "v_template": template,
        "shapedirs": rng.normal(scale=0.01, size=(vertices, 3, coefficients)),
        "posedirs": rng.normal(scale=1e-3, size=(vertices, 3, 207)),
        "J_regressor": regressor,
        "weights": shipped.weights[chosen].astype(np.float64),
        # SMPL's table is unsigned: the root's parent becomes 2**32 - 1.
        "kintree_table": np.array([shipped.parents, range(24)]).astype(np.uint32),
        "f": rng.integers(vertices, size=(2 * vertices - 4, 3)).astype(np.uint32),
    }


@pytest.fixture(scope="module")
def smpl_arrays(shipped: BodyData) -> dict[str, np.ndarray]:
    """A small file in SMPL's format."""
    return smpl_like(shipped, vertices=SMALL, coefficients=10)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, **arrays)
    return path


def test_shipped_body_is_symmetric(shipped: BodyData) -> None:
    template = shipped.v_template
    mirror = {tuple(vertex): i for i, vertex in enumerate((template * [-1, 1, 1]).tolist())}
    other = np.array([mirror[tuple(vertex)] for vertex in template.tolist()])
    assert (other[other] == np.arange(len(other))).all()
    for name, rows in {"J_regressor": shipped.J_regressor, **shipped.keypoint_regressors}.items():
        flip = list(SKELETONS["smpl24" if name == "J_regressor" else name].flip)
        np.testing.assert_allclose(rows[flip][:, other], rows, atol=1e-7, err_msg=name)
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(shipped.weights[other][:, list(SKELETONS["smpl24"].flip)], shipped.weights)
    np.testing.assert_array_equal(shipped.shapedirs[other] * np.array([-1, 1, 1])[:, None], shipped.shapedirs)


def test_shipped_body_has_everything(shipped: BodyData) -> None:
    assert shipped.name == "monobody"
    assert set(shipped.keypoint_regressors) == set(HUMAN_SETS)
    for name, skeleton in HUMAN_SETS.items():
        assert len(shipped.keypoint_regressors[name]) == len(skeleton.joints)
        assert shipped.placed(name).all()
    np.testing.assert_allclose(shipped.weights.sum(1), 1, atol=1e-6)
    assert shipped.vt.min() >= 0
    assert shipped.vt.max() <= 1
    assert shipped.ft.max() < len(shipped.vt)
    assert shipped.faces.max() < len(shipped.v_template)
    assert 1.6 < shipped.vertex_area_m2.sum() < 2.2


def test_parts_are_where_they_should_be(shipped: BodyData) -> None:
    centres = {part: shipped.v_template[shipped.part6 == i].mean(0) for i, part in enumerate(PARTS6)}
    assert centres["head"][1] > centres["torso"][1] > centres["left leg"][1]
    assert centres["left arm"][0] > 0.3 > -0.3 > centres["right arm"][0]  # The person's left is +x.
    assert centres["left leg"][0] > 0.05 > -0.05 > centres["right leg"][0]


def test_keypoints_are_where_they_should_be(shipped: BodyData) -> None:
    for name, rows in shipped.keypoint_regressors.items():
        at = dict(zip(SKELETONS[name].joints, rows @ shipped.v_template, strict=True))
        assert all(at[joint][0] > 0 for joint in at if joint.startswith("left_")), name
        if "nose" in at and "head_top" in at:
            assert at["head_top"][1] > at["nose"][1], name
    face = dict(zip(SKELETONS["blazepose33"].joints, shipped.keypoint_regressors["blazepose33"] @ shipped.v_template,
                    strict=True))  # fmt: skip
    assert face["left_eye_inner"][0] < face["left_eye"][0] < face["left_eye_outer"][0] < face["left_ear"][0]
    assert face["left_eye"][1] > face["nose"][1] > face["left_mouth"][1]
    assert face["nose"][2] > face["left_mouth"][2] > face["left_ear"][2]
    assert face["left_toe"][2] > face["left_ankle"][2] > face["left_heel"][2]
    assert face["left_index"][2] > face["left_pinky"][2]  # Palms down: the thumb's side is in front.
    assert face["left_thumb"][2] > face["left_pinky"][2]


def test_the_digest_follows_the_content(tmp_path: Path, smpl_arrays: dict[str, np.ndarray]) -> None:
    first = load_body_data(write_npz(tmp_path / "a.npz", smpl_arrays))
    assert first.digest == load_body_data(write_npz(tmp_path / "b.npz", smpl_arrays)).digest
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor"):
        changed = smpl_arrays | {name: smpl_arrays[name] + 1e-4 * (np.arange(smpl_arrays[name].shape[0]) == 7)[
            (slice(None),) + (None,) * (smpl_arrays[name].ndim - 1)]}  # fmt: skip
        assert load_body_data(write_npz(tmp_path / "c.npz", changed)).digest != first.digest, name


@pytest.mark.slow
@pytest.mark.parametrize("coefficients", [10, 300])
@pytest.mark.parametrize("kind", ["npz", "pkl"])
def test_a_users_smpl_file(tmp_path: Path, shipped: BodyData, kind: str, coefficients: int) -> None:
    arrays = smpl_like(shipped, SMPL_VERTICES, coefficients)
    file = tmp_path / f"SMPL_NEUTRAL.{kind}"
    if kind == "npz":
        write_npz(file, arrays)
    else:
        sparse = pytest.importorskip("scipy.sparse")
        content = {**arrays, "J_regressor": sparse.csc_matrix(arrays["J_regressor"]), "bs_style": "lbs"}
        file.write_bytes(pickle.dumps(content, protocol=2))
    body = Body.load(file)
    assert body.data.name == "SMPL_NEUTRAL"
    assert body.data.shapedirs.shape == (SMPL_VERTICES, 3, 10)
    np.testing.assert_allclose(body.data.shapedirs, arrays["shapedirs"][:, :, :10], atol=1e-6)
    assert len(body.data.vt) == len(body.data.ft) == 0
    posed = body(torch.eye(3).expand(24, 3, 3), torch.zeros(10))
    np.testing.assert_allclose(posed.vertices_m.numpy(), arrays["v_template"], atol=1e-5)
    for name, skeleton in HUMAN_SETS.items():
        assert body.keypoints(posed.vertices_m, name).shape == (len(skeleton.joints), 3)
    assert "SMPL_NEUTRAL" in describe_body(file)


def test_substitute_keypoints_lie_near_the_real_ones(tmp_path: Path, shipped: BodyData) -> None:
    found = load_body_data(write_npz(tmp_path / "smpl.npz", smpl_like(shipped, SMPL_VERTICES, 10)))
    for name in ("lsp14", "cocoplus19", "coco17", "blazepose33", "h36m17"):
        real = shipped.keypoint_regressors[name] @ shipped.v_template
        substitute = found.keypoint_regressors[name] @ found.v_template
        distance = np.linalg.norm(real - substitute, axis=1)
        worst = SKELETONS[name].joints[distance.argmax()]
        assert distance.max() < 0.09, f"{worst} of {name} lies {100 * distance.max():.1f} cm away"
        assert distance.mean() < 0.035, name


def test_hmrs_own_regressor_is_taken(tmp_path: Path, smpl_arrays: dict[str, np.ndarray]) -> None:
    regressor = np.random.default_rng(1).dirichlet(np.ones(SMALL), size=19)
    data = load_body_data(write_npz(tmp_path / "hmr.npz", smpl_arrays | {"cocoplus_regressor": regressor}))
    np.testing.assert_allclose(data.keypoint_regressors["cocoplus19"], regressor, atol=1e-7)
    np.testing.assert_allclose(data.keypoint_regressors["lsp14"], regressor[:14], atol=1e-7)


def test_a_missing_point_is_flagged(tmp_path: Path, smpl_arrays: dict[str, np.ndarray]) -> None:
    rows = np.zeros((14, SMALL))
    rows[:13, 0] = 1
    data = load_body_data(write_npz(tmp_path / "b.npz", smpl_arrays | {"keypoints_lsp14": rows}))
    assert data.placed("lsp14").tolist() == [True] * 13 + [False]


MISTAKES = {
    "no vertices": (lambda a: a.update({k: v[:0] for k, v in a.items() if len(v) == SMALL}), "it has no vertices"),
    "a hand without skin": (
        lambda a: a.update(weights=np.eye(24)[np.arange(SMALL) % 22]),
        "no vertex follows joint 22",
    ),
    "texture corners": (lambda a: a.update(vt=np.zeros((3, 2)), ft=np.full(a["f"].shape, 3)), "its ft names texture"),
    "no such key": (lambda a: a.pop("weights"), "no weights"),
    "wrong number of vertices": (lambda a: a.update(weights=a["weights"][1:]), "weights has the shape 799 x 24"),
    "wrong rank": (lambda a: a.update(v_template=a["v_template"][0]), "v_template has the shape 3"),
    "not a number": (lambda a: a["v_template"].__setitem__((5, 1), np.nan), "v_template has values that are not"),
    "infinite": (lambda a: a["posedirs"].__setitem__((5, 1, 3), np.inf), "posedirs has values that are not"),
    "few shapes": (lambda a: a.update(shapedirs=a["shapedirs"][:, :, :4]), "4 shape coefficients"),
    "SMPL-X": (lambda a: a.update(kintree_table=np.zeros((2, 55), int)), "55 joints"),
    "no tree": (lambda a: a["kintree_table"].__setitem__((0, 3), 9), "not a tree"),
    "weights": (lambda a: a.update(weights=2 * a["weights"]), "do not sum to 1"),
    "faces": (lambda a: a["f"].__setitem__((0, 0), SMALL), "faces name vertices outside"),
    "text": (lambda a: a.update(v_template=np.full((SMALL, 3), "x")), "does not hold numbers"),
    "objects": (lambda a: a.update(v_template=a["v_template"].astype(object)), "no v_template"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_files_are_refused_in_one_sentence(
    tmp_path: Path, smpl_arrays: dict[str, np.ndarray], mistake: str
) -> None:
    spoil, message = MISTAKES[mistake]
    arrays = {name: array.copy() for name, array in smpl_arrays.items()}
    spoil(arrays)
    file = write_npz(tmp_path / "body.npz", arrays)
    with pytest.raises(UserError, match=message) as caught:
        load_body_data(file)
    assert "body.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_attack_hidden_in_an_npz_is_not_opened(tmp_path: Path, smpl_arrays: dict[str, np.ndarray]) -> None:
    canary = tmp_path / "canary"

    class Attack:
        def __reduce__(self) -> tuple:
            return open, (str(canary), "w")

    hidden = np.empty(1, dtype=object)
    hidden[0] = Attack()
    load_body_data(write_npz(tmp_path / "extra.npz", smpl_arrays | {"more": hidden}))
    with pytest.raises(UserError):
        load_body_data(write_npz(tmp_path / "body.npz", smpl_arrays | {"v_template": hidden}))
    assert not canary.exists()
    with np.load(tmp_path / "extra.npz", allow_pickle=True) as archive:
        archive["more"]
    assert canary.exists(), "the attack was a real one"


def test_files_that_are_no_bodies(tmp_path: Path) -> None:
    contents = {"empty.npz": b"", "text.npz": b"hello", "cut.npz": b"PK\x03\x04 cut", "text.pkl": b"hello"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npz").write_bytes((tmp_path / "array.npy").read_bytes())
    for file in [*contents, "array.npz", "absent.npz", "."]:
        with pytest.raises(UserError) as caught:
            load_body_data(tmp_path / file)
        assert "\n" not in str(caught.value)


def test_description_of_the_shipped_body(shipped: BodyData) -> None:
    text = describe_body()
    for fact in (shipped.digest, "13492 vertices", "26972 triangles", "blazepose33", "litres"):
        assert fact in text
