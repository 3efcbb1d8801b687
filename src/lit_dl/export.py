"""A trained network as a static graph: ``python -m lit_dl.export RUN_FOLDER [--to FILE] [--checkpoint best|last]``.

The network is rebuilt from the run folder's config and its checkpoint, if the config names classes that lit_dl knows or
``--trust`` is given. It is exported to ONNX with a batch of any size, and the file is kept only if ONNX Runtime, which
knows no torch, gives what torch gives.
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_dl import records
from lit_dl.console import relative, say, say_error
from lit_dl.errors import CommandError, how_to_install
from lit_dl.shell import any_text_printable

if TYPE_CHECKING:
    from torch import nn

NEEDED = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-4  # of the outputs, times the largest of them where that is above 1
BUILT = ("seed", "data", "model", "activation")  # of a config
BATCHES = (1, 2, 7, 64)  # sizes that are compared


@any_text_printable()
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit code: 0, 1 if the file cannot be made, 2 if the folder has no network."""
    parser = argparse.ArgumentParser(prog="python -m lit_dl.export", description="A run's network as an ONNX file.")
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--to", type=Path, metavar="FILE", help="default: network.onnx in the run folder")
    parser.add_argument(
        "--checkpoint", choices=(records.BEST, records.LAST), help="default: the best one, else the last one"
    )
    parser.add_argument("--trust", action="store_true", help="build whatever classes the folder names")
    args = parser.parse_args(arguments)
    try:
        export(args.folder, args.to or args.folder / "network.onnx", args.checkpoint, args.trust)
    except (CommandError, ValueError) as error:
        say_error(str(error))
        return 2
    except (OSError, ArithmeticError) as error:
        say_error(str(error))
        return 1
    return 0


def export(folder: Path, file: Path, checkpoint: str | None = None, trust: bool = False) -> None:
    """Export the network of a run folder, compare it with torch's, and say what was found.

    Args:
        folder: of the run.
        file: what to write; replaced whole or not at all.
        checkpoint: ``"best"`` or ``"last"``; None takes the best one, else the last one.
        trust: build whatever the folder names.

    Raises:
        CommandError: if packages are missing, or the config cannot be built here.
        ValueError: if it is no run folder, has no such checkpoint, or one of another network.
        OSError: if the file cannot be written.
        ArithmeticError: if the exported network gives something else.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CommandError(f"to export, {', '.join(missing)} must be installed. {how_to_install('export')}")
    path = _checkpoint(folder, checkpoint)
    network, in_shape, normalize = load(folder, path, trust)
    try:
        with records.replacing(file) as part:
            _write(network, in_shape, part)
            differences = {size: difference(network, part, in_shape, size) for size in BATCHES}
            _check(differences)
            seconds = _seconds(network, part, in_shape)
    except RuntimeError as error:
        raise ValueError(f"torch cannot export this network: {error}") from error
    except OSError as error:
        raise OSError(f"cannot write {file}: {error}\nChoose another file: --to FILE") from error
    shape = "x".join(str(side) for side in in_shape)
    say(f"network      {relative(path)}")
    say(f"inputs       Bx{shape}, for any batch size B, as training saw them: data.normalize={str(normalize).lower()}")
    say(f"file         {relative(file)}, {file.stat().st_size / 1e6:.2f} MB")
    sizes = ", ".join(map(str, BATCHES))
    say(f"compared     batches of {sizes}: outputs differ by {max(differences.values()):.1e} at most")
    times = ", ".join(f"{name} {1e3 * taken:.3f} ms" for name, taken in seconds.items())
    say(f"one sample   {times}, on one thread")


def load(folder: Path, checkpoint: Path, trust: bool = False) -> "tuple[nn.Module, tuple[int, ...], bool]":
    """The network of a run folder with the weights of a checkpoint, in evaluation mode.

    With it the shape of a sample, and whether samples were normalised.

    Raises:
        CommandError: if the config cannot be built here.
        ValueError: if it is no run folder, its network takes no samples, the checkpoint is of another network, or the
            config names what is not known and is not trusted.
    """
    from lit_dl.lightning_seams import load_checkpoint
    from lit_dl.run.again import recorded_config
    from lit_dl.run.objects import build_network

    data, network = build_network(recorded_config(folder, trust, BUILT))
    if not data.out_features:
        raise ValueError(f"{folder} is of a point on a surface, which takes no samples: there is nothing to export")
    try:
        state = load_checkpoint(checkpoint)["state_dict"]
        weights = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
        network.load_state_dict(weights)
    except (RuntimeError, KeyError, EOFError) as error:
        raise ValueError(f"{checkpoint} does not fit the network of the run's config: {error}") from error
    return network.eval(), tuple(data.in_shape), data.normalize


def difference(network: "nn.Module", file: Path, in_shape: Sequence[int], size: int) -> float:
    """Largest difference between the outputs of torch and of ONNX Runtime, over the largest output if above 1.

    The inputs are normally distributed, as normalised data is.
    """
    import torch

    inputs = torch.randn(size, *in_shape, generator=torch.Generator().manual_seed(size))
    with torch.inference_mode():
        expected = network(inputs)
    (found,) = _session(file).run(None, {"inputs": inputs.numpy()})
    gap = (torch.from_numpy(found) - expected).abs().max().item()
    return gap / max(1.0, expected.abs().max().item())


def _checkpoint(folder: Path, name: str | None) -> Path:
    if not (folder / records.HYDRA_FOLDER / "config.yaml").is_file():
        raise ValueError(
            f"{folder} is no run folder: it has no {records.HYDRA_FOLDER}/config.yaml. Name that of one "
            "run, such as outputs/train/<date>_<time>"
        )
    names = (records.BEST, records.LAST) if name is None else (name,)
    whole, damaged = records.whole_checkpoints(folder, names)
    if whole:
        if damaged:
            say(f"{damaged[0]} is damaged: {whole[0].name} is exported instead", style="yellow")
        return whole[0]
    if damaged:
        raise ValueError(f"{' and '.join(map(str, damaged))}: damaged, so that there is nothing to export")
    raise ValueError(f"{folder} has no {' or '.join(f'{records.CHECKPOINTS}/{each}.ckpt' for each in names)} to export")


def _write(network: "nn.Module", in_shape: Sequence[int], file: Path) -> None:
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells that torchvision, which is not needed, is absent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, on its internals
        torch.onnx.export(
            network,
            (torch.zeros(2, *in_shape),),
            file,
            input_names=["inputs"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _check(differences: dict[int, float]) -> None:
    for size, found in differences.items():
        if not found <= TOLERANCE:  # also where it is no number
            raise ArithmeticError(
                f"for a batch of {size} the exported network's outputs differ from torch's by {found:.1e}, more than "
                f"{TOLERANCE:g}; nothing was written"
            )


def _seconds(network: "nn.Module", file: Path, in_shape: Sequence[int]) -> dict[str, float]:
    """For one sample, by each runtime, on one thread of the CPU."""
    import torch
    from torch.utils.benchmark import Timer

    session, inputs = _session(file), torch.zeros(1, *in_shape)
    feed = {"inputs": inputs.numpy()}

    def seconds(call: Callable[[], object]) -> float:
        return float(Timer("call()", globals={"call": call}).blocked_autorange().median)  # on one thread by default

    with torch.inference_mode():
        return {"torch": seconds(lambda: network(inputs)), "ONNX Runtime": seconds(lambda: session.run(None, feed))}


if __name__ == "__main__":
    sys.exit(main())
