"""Does a ResNet learn faster from random weights if it is taught heat maps as well? Two networks, equally long.

    python scripts/compare_dense_heads.py --data DATA --minutes 8 [--rows 12000] [--size 64] [-o FILE.json]

`plain` is `hmr-resnet18`. `heat maps` has, beside it, a decoder of maps at a quarter of the crop's size, taught by
cross-entropy (`train/dense_heads.py`), whose peaks the regressor sees beside the pooled features. Both see the same
rows in the same order, made once: synthetic people and photos as `hmr-small` is trained on. Minutes are of processor
time and of training alone, so that other work on the machine changes nothing.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.files import atomic_write
from monobody.models.backbone import ResNet
from monobody.models.heat_maps import KEYPOINTS, find_peaks
from monobody.models.hmr import IterativeRegressor, build_model
from monobody.models.output import HMROutput
from monobody.train.dense_heads import heat_map_loss
from monobody.train.hmr_task import as_input
from monobody.train.recipes import hmr_small
from monobody.train.sources import stream, validation_of
from monobody.train.terms import LossWeights, body_losses

BATCH, RATE, CLIP = 64, 5e-4, 20.0
LOSSES = LossWeights(earlier=0.3, heat_maps=2.0)
WIDTH = 64


class WithHeatMaps(nn.Module):
    """A ResNet, a decoder of its first three levels, and a regressor that sees where the maps are highest."""

    def __init__(self, encoder: ResNet) -> None:
        super().__init__()
        self.encoder = encoder
        self.fine, self.middle, self.coarse = (nn.Conv2d(channels, WIDTH, 1) for channels in (64, 128, 256))
        self.mix = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.maps = nn.Conv2d(WIDTH, KEYPOINTS, 1)
        self.regressor = IterativeRegressor(encoder.output_size + 3 * KEYPOINTS, hidden=512)

    def forward(self, images: Tensor) -> list[HMROutput]:
        return self.with_maps(images)[0]

    def with_maps(self, images: Tensor) -> tuple[list[HMROutput], Tensor]:
        """Return the bodies and the maps."""
        net = self.encoder
        x = F.relu(net.bn1(net.conv1((images - net.mean) / net.std)))
        fine = net.layer1(F.max_pool2d(x, kernel_size=3, stride=2, padding=1))
        middle = net.layer2(fine)
        coarse = net.layer3(middle)
        side = fine.shape[-2:]
        levels = [self.fine(fine), *(F.interpolate(y, side) for y in (self.middle(middle), self.coarse(coarse)))]
        maps = self.maps(F.relu(self.mix(F.relu(sum(levels, torch.zeros(()))))))
        peaks = find_peaks(maps.detach())
        pooled = net.layer4(coarse).mean(dim=(2, 3))
        return self.regressor(torch.cat([pooled, peaks.image.flatten(1), peaks.score], dim=1)), maps


def made(data: Path, rows: int, size: int) -> dict[str, Tensor]:
    """Return the first rows of `hmr-small`'s stream at another size."""
    endless = stream(hmr_small(), data, size)(0, 0, 1)
    parts = [next(endless) for _ in range(math.ceil(rows / hmr_small().batch))]
    return {name: torch.cat([part[name] for part in parts])[:rows] for name in parts[0]}


def trained(model: nn.Module, rows: dict[str, Tensor], body: JointBody, minutes: float) -> tuple[int, float]:
    """Train until so many minutes of processor time are over; return the steps, and the last losses of keypoints."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-4, fused=True)
    generator, step, recent = torch.Generator().manual_seed(0), 0, []
    model.train()
    order, began = torch.empty(0, dtype=torch.long), time.process_time()
    while (share := (time.process_time() - began) / (60 * minutes)) < 1:
        if len(order) < BATCH:
            order = torch.randperm(len(rows["images"]), generator=generator)
        chosen, order = order[:BATCH], order[BATCH:]
        batch = {name: values[chosen] for name, values in rows.items()}
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        images = as_input(batch["images"])
        outputs, maps = model.with_maps(images) if isinstance(model, WithHeatMaps) else (model(images), None)
        losses = body_losses(outputs, batch, body, LOSSES)
        recent = [*recent[-99:], float(losses["keypoints"].detach())]
        if maps is not None:
            losses["heat_maps"] = LOSSES.heat_maps * heat_map_loss(maps, batch)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        step += 1
    return step, sum(recent) / max(len(recent), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    body = JointBody.from_body(Body.load(), ("cocoplus19", "blazepose33"))
    validation = validation_of(hmr_small(), arguments.data, arguments.size)
    rows = made(arguments.data, arguments.rows, arguments.size)
    table = []
    for name in ("plain", "heat maps"):
        torch.manual_seed(0)
        plain = build_model("hmr-resnet18", size=arguments.size)
        assert isinstance(plain.encoder, ResNet)
        model = plain if name == "plain" else WithHeatMaps(plain.encoder)
        steps, keypoints = trained(model, rows, body, arguments.minutes)
        model.eval()
        with torch.inference_mode():
            numbers = dict(validation(model, body).numbers)
        table.append({"change": name, "steps": steps, "keypoints": round(keypoints, 2), **numbers})
        print(json.dumps(table[-1]), flush=True)
    if arguments.out is not None:
        with atomic_write(arguments.out) as temporary:
            temporary.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
