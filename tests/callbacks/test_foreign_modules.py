"""The monitor works on other people's modules: recurrent ones, transformers, several optimizers."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.demos import LightningTransformer
from lightning.pytorch.demos.boring_classes import BoringModel
from tests.callbacks.strangers import Stranger, monitored
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def test_it_works_on_lightnings_own_demo(tmp_path):
    values = monitored(BoringModel(), tmp_path, limit_train_batches=3, limit_val_batches=0)
    assert list(values["grad_norm/01_linear"]) == [1, 2]


class Speaker(LightningModule):
    """An embedding, an LSTM and a head, registered the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.lstm = nn.LSTM(4, 6, batch_first=True, num_layers=2)
        self.embedding = nn.Embedding(20, 4)

    def training_step(self, batch, batch_idx):
        outputs, _ = self.lstm(self.embedding(batch[0]))
        return nn.functional.cross_entropy(self.head(outputs[:, -1]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def train_dataloader(self):
        tokens = torch.randint(0, 20, (64, 7), generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(tokens, tokens.sum(dim=1) % 3), batch_size=8)


def test_it_works_on_an_lstm_with_the_layers_in_order_of_use(tmp_path):
    values = monitored(Speaker(), tmp_path)
    for measure in ("grad_norm", "grad_rms", "update_ratio", "weight_norm"):
        tags = [tag for tag in values if tag.startswith(f"{measure}/0")]
        assert tags == [f"{measure}/{layer}" for layer in ("01_embedding", "02_lstm", "03_linear")]


class Tokens(LightningTransformer):
    """Lightning's demo on tokens made here instead of a text from the network."""

    def __init__(self) -> None:
        super().__init__(vocab_size=30)

    def prepare_data(self):
        pass

    def train_dataloader(self):
        tokens = torch.randint(0, 30, (16, 12), generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(tokens, tokens.roll(-1, dims=1)), batch_size=4)


def test_it_works_on_lightnings_transformer(tmp_path):
    values = monitored(Tokens(), tmp_path, logger=None, max_steps=3, max_epochs=-1)
    layers = [tag.removeprefix("grad_rms/") for tag in values if tag.startswith("grad_rms/")]
    assert layers[:3] == ["01_embedding", "02_multiheadattention", "03_linear"]
    assert len(layers) == sum(any(True for _ in module.parameters(recurse=False)) for module in Tokens().modules())


def test_it_works_with_several_optimizers_stepped_by_hand(tmp_path):
    class ByHand(Stranger):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                self.manual_backward(super().training_step(batch, batch_idx))
                optimizer.step()

        def configure_optimizers(self):
            return [torch.optim.SGD(layer.parameters(), lr=0.01) for layer in (self.net[1], self.net[3])]

    values = monitored(ByHand(), tmp_path, log_every_n_steps=4)
    assert list(values["grad_norm/total"]) == [2, 6, 10]  # two steps a batch: the first after steps 1, 4 and 8
