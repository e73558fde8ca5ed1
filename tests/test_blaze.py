"""The BlazePose trunk in torch against the runtime on the shipped file, and that it can be trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import monobody
from monobody.body.skeleton import correspondence
from monobody.errors import UserError
from monobody.models.blaze import BlazeBackbone, scale_landmarks
from monobody.models.heat_maps import find_peaks

TFLITE = Path(monobody.__file__).parent / "assets" / "blazepose" / "pose_landmark_full.tflite"
PHOTO = Path(__file__).parents[1] / "samples" / "astronaut.jpg"


def pictures() -> torch.Tensor:
    """A crop of a real picture, the same on its side, and noise."""
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize((256, 256)), dtype=np.float32) / 255
    noise = np.random.default_rng(0).random((256, 256, 3), dtype=np.float32)
    return torch.from_numpy(np.stack([photo, np.rot90(photo), noise]))


def test_gives_the_runtimes_outputs() -> None:
    openvino = pytest.importorskip("openvino")
    runtime = openvino.compile_model(TFLITE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    network = BlazeBackbone.load().eval()
    for picture in pictures():
        expected = runtime({0: picture[None].numpy()})
        with torch.no_grad():
            features = network(picture.permute(2, 0, 1)[None])
        landmarks, world = features.landmarks.reshape(1, 195).numpy(), features.world.reshape(1, 117).numpy()
        np.testing.assert_allclose(landmarks, expected["Identity"], atol=0.02)  # pixels and logits
        np.testing.assert_allclose(world, expected["Identity_4"], atol=1e-4)  # metres
        np.testing.assert_allclose(features.presence.sigmoid().numpy(), expected["Identity_1"][0], atol=1e-4)


def test_takes_the_files_numbers_to_the_bit() -> None:
    """The runtime's constants are half precision; each of our tensors is one of them, in another order of axes."""
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(TFLITE)
    constants = [node.get_data() for node in model.get_ops() if node.get_type_name() == "Constant"]
    theirs = {np.sort(array, axis=None).tobytes() for array in constants if array.dtype == np.float16}
    state = BlazeBackbone.load().state_dict()
    ours = {name: np.sort(t.half().numpy(), axis=None).tobytes() for name, t in state.items()}
    assert [name for name in ours if ours[name] not in theirs] == ["decoder.maps.weight", "decoder.maps.bias"]
    assert all(torch.equal(tensor, tensor.half().float()) for tensor in state.values())


@pytest.mark.parametrize("length", [0, 7, 500, 20_000, 3_000_000, 6_400_000])
def test_a_file_cut_off_is_refused_in_a_sentence(length: int, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(TFLITE.read_bytes()[:length])
    with pytest.raises(UserError, match="damaged: install monobody again"):
        BlazeBackbone.load(tmp_path / "cut.tflite")


def test_broken_offsets_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """Wherever the structure lies (the last 100 kB) and whatever is written there: our sentence, or a whole network."""
    whole, random = TFLITE.read_bytes(), np.random.default_rng(3)
    refused = 0
    for _ in range(30):
        broken = bytearray(whole)
        for place in [*random.integers(0, 64, 1), *random.integers(len(whole) - 100_000, len(whole), 40)]:
            broken[place] = random.integers(256)
        (tmp_path / "broken.tflite").write_bytes(broken)
        try:
            BlazeBackbone.load(tmp_path / "broken.tflite")
        except UserError:
            refused += 1
    assert refused > 20


def test_heat_maps_are_the_runtimes_but_for_the_finest_level() -> None:
    """Where the runtime is sure, the peaks of both lie together: on this picture within a cell of ours, 8 pixels."""
    openvino = pytest.importorskip("openvino")
    runtime = openvino.compile_model(TFLITE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    picture = pictures()[0]
    theirs = torch.from_numpy(runtime({0: picture[None].numpy()})["Identity_3"]).permute(0, 3, 1, 2)
    theirs = theirs[:, [i for i in correspondence("blazepose33", "cocoplus19") if i >= 0]]
    with torch.no_grad():
        ours = BlazeBackbone.load().eval()(picture.permute(2, 0, 1)[None]).maps
    ours = ours[:, [i >= 0 for i in correspondence("blazepose33", "cocoplus19")]]
    sure = theirs.amax((2, 3)) > 0
    assert sure.sum() >= 7
    apart = 128 * (find_peaks(ours).image - find_peaks(theirs).image).abs().amax(-1)
    assert apart[sure].max() < 8


def test_a_batch_gives_what_its_pictures_give() -> None:
    network = BlazeBackbone.load().eval()
    images = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together, alone = network(images), network(images[1:2])
    torch.testing.assert_close(together.pooled[1:2], alone.pooled, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.world[1:2], alone.world, atol=1e-4, rtol=1e-4)


def test_gradient_reaches_every_parameter() -> None:
    network = BlazeBackbone.load()
    features = network(torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(2)))
    (features.landmarks.sum() + features.world.sum() + features.presence.sum() + features.maps.sum()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_scaled_landmarks_span_the_crop() -> None:
    landmarks = torch.zeros(1, 39, 5)
    landmarks[0, 0, :3] = torch.tensor([0.0, 256.0, 128.0])
    landmarks[0, 1, 3] = 100.0
    scaled = scale_landmarks(landmarks)
    assert scaled[0, 0].tolist() == [-1.0, 1.0, 1.0, 0.5, 0.5]
    assert scaled[0, 1].tolist() == [-1.0, -1.0, 0.0, 1.0, 0.5]
