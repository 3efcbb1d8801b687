"""Pictures of what convolutions do: their filters, and what they make of a sample."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from lit_dl.plots.labels import as_label

MOST_FILTERS = 64  # that can be told apart in a picture
MOST_MAPS = 16  # of a layer
SIGNED = "RdBu_r"  # white is 0, red above it


def filters(weights: Mapping[str, Tensor]) -> Figure:
    """The kernels of a convolution at several times, beside each other and on one scale.

    The scale is symmetric around 0. Kernels of three channels are drawn as colours, in which grey is 0; of other
    numbers, each channel's kernel by itself, a row for each output channel.

    Args:
        weights: (out_channels, in_channels, height, width) by what stands above it; of one shape.
    """
    first = next(iter(weights.values()))
    shown, in_channels = first[:MOST_FILTERS], first.shape[1]
    is_colour = in_channels == 3
    columns = math.ceil(math.sqrt(len(shown))) if in_channels in (1, 3) else in_channels
    most = _largest(list(weights.values()))
    figure = Figure(figsize=(0.6 + 4.2 * len(weights), 4.9), dpi=100, layout="constrained")
    places = figure.subplots(1, len(weights), squeeze=False)[0]
    for axes, (name, weight) in zip(places, weights.items(), strict=True):
        kernels = weight[:MOST_FILTERS].detach().float().cpu()
        tiles = kernels if is_colour else kernels.flatten(0, 1)[:MOST_FILTERS, None]
        _draw_signed(axes, _tiled(tiles, columns), most)
        axes.set_title(as_label(name))
    size = f"{first.shape[0]} filters of {first.shape[2]}x{first.shape[3]}"
    few = "" if len(shown) == len(first) else f", the first {len(shown)}"
    figure.suptitle(f"First convolution: {size}{few}")
    if is_colour:
        figure.supxlabel(f"red, green and blue from -{most:.2g} (dark) to {most:.2g}; grey is 0", fontsize=10)
    else:
        scale = ScalarMappable(Normalize(-most, most), SIGNED)
        figure.colorbar(scale, ax=list(places), label="weight", shrink=0.8)
    return figure


def feature_maps(image: Tensor, maps: Mapping[str, Tensor]) -> Figure:
    """A sample, and what each convolution makes of it, before the activation; each layer on a scale of its own.

    Args:
        image: (channels, height, width); of one channel grey, of three coloured, of others the first.
        maps: of each layer (channels, height, width), by its name; the first 16 channels are drawn.
    """
    columns = min(3, len(maps) + 1)
    rows = math.ceil((len(maps) + 1) / columns)
    figure = Figure(figsize=(3.6 * columns, 3.9 * rows), dpi=100, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    _draw_image(places[0], image.detach().float().cpu())
    for axes, (name, layer) in zip(places[1:], maps.items(), strict=False):
        shown = layer[:MOST_MAPS].detach().float().cpu()
        most = _largest([shown])
        _draw_signed(axes, _tiled(shown[:, None], math.ceil(math.sqrt(len(shown)))), most)
        few = f"{len(layer)} maps" if len(shown) == len(layer) else f"{len(shown)} of {len(layer)} maps"
        axes.set_title(f"{as_label(name, 24)}: {few} of {layer.shape[1]}x{layer.shape[2]}", fontsize=11)
        axes.set_xlabel(f"blue -{most:.2g}, white 0, red {most:.2g}")
    for axes in places[1 + len(maps) :]:
        axes.set_axis_off()
    figure.suptitle("A validation sample, and what each convolution makes of it (before the activation)")
    return figure


def _largest(tensors: Sequence[Tensor]) -> float:
    """The largest finite magnitude; 1 where there is none or nothing but 0."""
    finite = [tensor[tensor.isfinite()].abs().max().item() for tensor in tensors if tensor.isfinite().any()]
    return max(finite, default=0.0) or 1.0


def _tiled(tiles: Tensor, columns: int) -> Tensor:
    """Tiles (n, C, height, width) as one picture (C, ...), row by row, with gaps of NaN around them."""
    count, channels, height, width = tiles.shape
    gap = max(1, round(0.08 * max(height, width)))
    rows = math.ceil(count / columns)
    picture = torch.full((channels, rows * (height + gap) + gap, columns * (width + gap) + gap), math.nan)
    for number, tile in enumerate(tiles):
        down, across = number // columns * (height + gap) + gap, number % columns * (width + gap) + gap
        picture[:, down : down + height, across : across + width] = tile
    return picture


def _draw_signed(axes: Axes, picture: Tensor, most: float) -> None:
    """Draw (1, height, width) on a scale from blue to red, or (3, height, width) as colour; gaps stay white."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("0.85")
    if len(picture) == 1:
        axes.imshow(picture[0].numpy(), vmin=-most, vmax=most, cmap=SIGNED)
        return
    colours = (picture / (2 * most) + 0.5).clamp(0, 1).permute(1, 2, 0)
    opaque = colours.isfinite().all(dim=2, keepdim=True)
    axes.imshow(torch.cat([colours.nan_to_num(), opaque.float()], dim=2).numpy())


def _draw_image(axes: Axes, image: Tensor) -> None:
    low, high = image.min(), image.max()
    shown = (image - low) / (high - low).clamp(min=1e-12)
    if len(image) == 3:
        axes.imshow(shown.permute(1, 2, 0).numpy())
    else:
        axes.imshow(shown[0].numpy(), cmap="gray", vmin=0, vmax=1)
    axes.set_title(f"input: {image.shape[1]}x{image.shape[2]}", fontsize=11)
    axes.set_xlabel("column")
    axes.set_ylabel("row")
