"""PyTorch's own training loop on LiRA's plain network, for a Python that has PyTorch and need not have mia_tf.

    python torch_peer.py cnn8-3-max 256 6      images per second, over 6 seconds with batches of 256

The same layers, loss and optimizer as those of `training_speed.py`, on images of noise in memory, with all cores. Of
channels-first and channels-last it takes the faster layout, as a user of PyTorch would.
"""

import json
import re
import sys
import time

import numpy as np
import torch
from torch import nn

SIDE, CLASSES, SLOPE, MOST_FILTERS = 28, 10, 0.1, 1024
WARM_UP = 3
"""Steps before the clock starts."""


def network(arch: str) -> nn.Module:
    """LiRA's plain network of a name such as cnn8-3-max: no normalisation, two convolutions a scale."""
    filters, scales, pooling = re.fullmatch(r"cnn(\d+)-(\d+)-(max|mean)", arch).groups()
    layers, channels = [], 1

    def add(width: int) -> None:
        nonlocal channels
        layers.extend([nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(SLOPE)])
        channels = width

    def width(scale: int) -> int:
        return min(int(filters) << scale, MOST_FILTERS)

    add(width(0))
    for scale in range(int(scales)):
        add(width(scale))
        add(width(scale + 1))
        layers.append(nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2))
    layers += [nn.Conv2d(channels, CLASSES, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def images_per_second(arch: str, batch: int, seconds: float, layout: torch.memory_format) -> float:
    """Training speed in one memory layout."""
    torch.manual_seed(0)
    model = network(arch).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    count = 20 * batch
    images = torch.from_numpy(rng.uniform(-1, 1, (count, 1, SIDE, SIDE)).astype(np.float32))
    labels = torch.arange(count) % CLASSES
    steps, started = 0, time.perf_counter()
    while steps <= WARM_UP or time.perf_counter() - started < seconds:
        if steps == WARM_UP:
            started = time.perf_counter()
        rows = torch.arange(steps * batch, (steps + 1) * batch) % count
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(images[rows].to(memory_format=layout)), labels[rows])
        loss.backward()
        optimizer.step()
        steps += 1
    return (steps - WARM_UP) * batch / (time.perf_counter() - started)


def main() -> None:
    arch, batch, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    layouts = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
    speeds = {name: images_per_second(arch, batch, seconds / 2, layout) for name, layout in layouts.items()}
    print(json.dumps(max(speeds.values())))


if __name__ == "__main__":
    main()
