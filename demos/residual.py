"""ResNet-8: He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015), with one block a stage."""

from __future__ import annotations

import tinygrad_edu as tg
from demos.cifar_cnn import Standardise
from tinygrad_edu import nn


class Block(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H/stride, W/stride): what came in, plus two convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            thin = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(thin, nn.BatchNorm2d(outputs))

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        h = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(h)) + self.shortcut(x)).relu()


class ResNet(nn.Module):
    """ResNet-8: (N, 3, 32, 32) -> 64 features by the backbone -> (N, classes) by the head."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        first = (Standardise(), nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks = (Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.backbone = nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(64, classes)

    def forward(self, images: tg.Tensor) -> tg.Tensor:
        return self.head(self.backbone(images))
