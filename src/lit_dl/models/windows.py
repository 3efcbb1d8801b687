"""What convolutions and poolings do to the size of an image, and how much of the input their outputs see."""

from typing import NamedTuple

from torch import nn

WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
Windowed = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
Sides = tuple[int, int]  # along height and width


class Field(NamedTuple):
    """The receptive field of a layer's outputs, in pixels of the input."""

    size: Sides  # that one output sees
    jump: Sides  # from what one output sees to what its neighbour sees


PIXEL = Field((1, 1), (1, 1))  # what the input itself sees


def output_sides(layer: Windowed, sides: Sides) -> Sides:
    """Sides of what a layer without dilation gives: floor((n + 2 padding - kernel_size) / stride) + 1 of each side."""
    windows = zip(sides, _pair(layer.padding), _pair(layer.kernel_size), _pair(layer.stride), strict=True)
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n, padding, kernel, stride in windows)
    return height, width


def field_after(layer: Windowed, field: Field) -> Field:
    """The receptive field after one more layer: size + (kernel - 1) * jump, and jump * stride.

    The kernel is what it spans with its dilation, dilation * (kernel_size - 1) + 1. Source: Dumoulin and Visin, "A
    guide to convolution arithmetic for deep learning", 2016; Araujo, Norris and Sim, "Computing receptive fields of
    convolutional neural networks", Distill 2019.
    """
    dilation = (1, 1) if isinstance(layer, nn.AvgPool2d) else _pair(layer.dilation)
    spans = [d * (kernel - 1) for d, kernel in zip(dilation, _pair(layer.kernel_size), strict=True)]
    height, width = (size + span * jump for size, span, jump in zip(field.size, spans, field.jump, strict=True))
    down, across = (jump * stride for jump, stride in zip(field.jump, _pair(layer.stride), strict=True))
    return Field((height, width), (down, across))


def _pair(value: object) -> Sides:
    if isinstance(value, int):
        return value, value
    assert isinstance(value, tuple)
    return value[0], value[1]
