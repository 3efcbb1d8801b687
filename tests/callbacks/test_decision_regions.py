"""Decision regions say what the network says, are drawn when they should be, and leave no trace in the training."""

from io import BytesIO

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from tests.runs import events
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lit_dl.callbacks.decision_regions import DecisionRegions, Plane, class_probabilities
from lit_dl.models import MLP
from lit_dl.plots.decision_regions import class_colours, region_colours
from lit_dl.tasks.losses import SquaredError, classes_of

QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}


class Stranger(LightningModule):
    """A module of somebody else's: two classes by one logit, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, inputs):
        return self.net(inputs)

    def training_step(self, batch, batch_idx):
        return nn.functional.binary_cross_entropy_with_logits(self(batch[0])[:, 0], batch[1].float())

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", ((self(batch[0])[:, 0] > 0) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader(inputs=None) -> DataLoader:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 2, generator=generator) if inputs is None else inputs
    return DataLoader(TensorDataset(inputs, (inputs[:, 0] > 0).long()), batch_size=10)


def trained(tmp_path, **options) -> Stranger:
    torch.manual_seed(0)
    module = Stranger()
    options = {**QUIET, "accelerator": "cpu", "max_epochs": 3, "log_every_n_steps": 1, **options}
    Trainer(default_root_dir=tmp_path, **options).fit(module, loader(), loader())
    return module


def frames_in(path) -> int:
    with Image.open(path) as image:
        return image.n_frames


def test_every_cell_has_the_colour_of_the_class_that_the_network_gives_it():
    network = MLP((2,), 3, [20], nn.Tanh)
    plane = Plane(torch.tensor([[-2.0, 0.0], [4.0, 1.0]]))
    left, right, bottom, top = plane.extent
    side = 12
    with torch.no_grad():
        drawn = region_colours(class_probabilities(network(plane.grid(side))).view(side, side, 3).numpy())
    for row in range(side):
        for column in range(side):
            x = left + (column + 0.5) / side * (right - left)
            y = bottom + (row + 0.5) / side * (top - bottom)
            label = int(network(torch.tensor([[x, y]])).argmax())
            hue = 1 - class_colours(3)[label]  # what is taken from white
            taken = 1 - drawn[row, column] / 255
            assert np.allclose(taken / taken.max(), hue / hue.max(), atol=0.05)


def test_one_logit_is_that_of_the_second_of_two_classes():
    logits = torch.tensor([[-3.0], [0.0], [2.0]])
    two = torch.cat([torch.zeros_like(logits), logits], dim=1).softmax(dim=1)
    assert torch.allclose(class_probabilities(logits), two)


def test_one_output_with_a_threshold_changes_class_there():
    outputs = torch.tensor([[0.4], [0.6]])
    assert class_probabilities(outputs, SquaredError().threshold).argmax(dim=1).tolist() == [0, 1]
    assert classes_of(outputs, SquaredError().threshold).tolist() == [0, 1]


def test_a_strangers_training_is_the_same_with_and_without_the_picture(tmp_path):
    before = trained(tmp_path)
    after = trained(tmp_path, callbacks=[DecisionRegions(animate=True)])
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(one, other)
    assert after.net[2].training == before.net[2].training
    assert (tmp_path / "decision_regions.png").is_file()
    assert frames_in(tmp_path / "decision_regions.gif") == 3


def test_data_of_another_shape_is_refused(tmp_path):
    options = {"max_epochs": 1, "log_every_n_steps": 1, "num_sanity_val_steps": 0, **QUIET}
    trainer = Trainer(default_root_dir=tmp_path, callbacks=[DecisionRegions()], accelerator="cpu", **options)
    with pytest.raises(ValueError, match=r"\(10, 3\).*inputs \(B, 2\)"):
        trainer.fit(Stranger(), loader(torch.randn(40, 3)), loader())


def test_a_run_draws_at_each_validation_and_the_gif_has_every_frame(command):
    settings = ("data=spiral", "trainer.max_epochs=12", "trainer.check_val_every_n_epoch=3", "trainer.accelerator=cpu")
    result = command(*settings, "animate=true")
    assert result.code == 0, result.err
    images = events(result.folder).Images("decision_regions")
    assert [image.step for image in images] == [3, 6, 9, 12]
    with Image.open(BytesIO(images[0].encoded_image_string)) as image:
        assert image.size == (images[0].width, images[0].height) == (400, 400)
    assert frames_in(result.folder / "decision_regions.gif") == 4
    assert (result.folder / "decision_regions.png").is_file()


def test_only_data_in_the_plane_gets_the_picture_and_only_on_request_a_gif(command):
    assert not list(command("data=digits", "trainer.max_epochs=1").folder.glob("decision_regions*"))
    names = {path.name for path in command("data=spiral", "trainer.max_epochs=1").folder.glob("decision_regions*")}
    assert names == {"decision_regions.png"}
