"""Images turned and shifted: against rot90, slices and a loop over pixels; what is drawn, for which part, and when."""

import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from lit_dl.data import Digits, KFold, Spiral, augment
from lit_dl.data.augment import move
from lit_dl.data.batches import Batches
from lit_dl.models import MLP
from lit_dl.tasks.supervised import Classifier

BLACK = torch.zeros(1, 1, 1, 1)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def ready(**options) -> Digits:
    data = Digits(**options)
    data.setup()
    return data


def epoch_of(data, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def inputs_of(data, epoch: int) -> torch.Tensor:
    return torch.cat([inputs for inputs, _ in epoch_of(data, epoch)])


def test_a_shift_is_a_slice_of_the_image_with_background_beside_it():
    images, background = noise(2, 3, 6, 9), torch.tensor([-1.0, 0.5, 2.0]).view(1, 3, 1, 1)
    expected = background.repeat(2, 1, 6, 9)
    expected[0, :, 2:, :-3] = images[0, :, :-2, 3:]
    expected[1, :, :-1, 4:] = images[1, :, 1:, :-4]
    moved = move(images, torch.tensor([[2.0, -3.0], [-1.0, 4.0]]), torch.zeros(2), background)
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_quarter_turns_are_those_of_rot90():
    images = noise(4, 2, 7, 7)
    moved = move(images, torch.zeros(4, 2), torch.tensor([90.0, -90.0, 180.0, 0.0]), BLACK)
    for result, image, turns in zip(moved, images, (1, -1, 2, 0), strict=True):
        torch.testing.assert_close(result, torch.rot90(image, turns, (1, 2)), atol=1e-4, rtol=0)


def test_a_turn_and_a_shift_take_each_pixel_from_where_the_formula_says():
    height, width, degrees, down, right = 6, 9, 25.0, 1.0, -2.0
    image = noise(1, 1, height, width)
    moved = move(image, torch.tensor([[down, right]]), torch.tensor([degrees]), BLACK)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def pixel(row: int, column: int) -> float:
        return image[0, 0, row, column].item() if 0 <= row < height and 0 <= column < width else 0.0

    for row in range(height):
        for column in range(width):
            y, x = row - (height - 1) / 2 - down, column - (width - 1) / 2 - right
            # Rows count downwards, so that what was turned anticlockwise comes from here.
            from_y, from_x = sin * x + cos * y + (height - 1) / 2, cos * x - sin * y + (width - 1) / 2
            top, left = math.floor(from_y), math.floor(from_x)
            expected = sum(
                (1 - abs(from_y - r)) * (1 - abs(from_x - c)) * pixel(r, c)
                for r in (top, top + 1)
                for c in (left, left + 1)
            )
            assert moved[0, 0, row, column].item() == pytest.approx(expected, abs=1e-5)


def test_training_images_are_shifted_by_all_whole_pixels_up_to_the_most_and_labels_stay_with_them():
    still, moving = ready(), ready(shift=1)
    seen = set()
    for (before, labels), (after, labels_after) in zip(epoch_of(still, 0), epoch_of(moving, 0), strict=True):
        assert torch.equal(labels, labels_after)
        padded = torch.nn.functional.pad(before - still.background, (1, 1, 1, 1)) + still.background
        windows = {(r, c): padded[:, :, r : r + 8, c : c + 8] for r in range(3) for c in range(3)}
        errors = torch.stack([(window - after).abs().amax(dim=(1, 2, 3)) for window in windows.values()])
        assert errors.min(dim=0).values.max() < 1e-4
        seen |= set(errors.argmin(dim=0).tolist())
    assert seen == set(range(9))


def test_what_comes_in_at_the_borders_is_the_black_of_the_raw_images():
    data = ready()
    raw = data.load_pool()[0]
    mean, std = [f(raw[data.split(data.load_pool()[1])[0]]) for f in (torch.mean, lambda x: x.std(correction=0))]
    black = (-mean / std).item()
    assert data.background.item() == pytest.approx(black, abs=1e-5)
    assert ready(shift=1, normalize=False).background.item() == 0


def test_rotations_go_up_to_the_most_either_way(monkeypatch):
    drawn = []
    monkeypatch.setattr(augment, "move", lambda images, *amounts: drawn.append(amounts) or images)
    inputs_of(ready(rotate=20.0), 0)
    shifts, degrees, _ = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    assert -20 <= degrees.min() < -19
    assert 19 < degrees.max() <= 20
    assert shifts.abs().max() == 0


def test_validation_and_test_images_stay():
    still, moving = ready(), ready(shift=2, rotate=30.0)
    for part in ("val_dataloader", "test_dataloader"):
        for (ours, _), (theirs, _) in zip(getattr(still, part)(), getattr(moving, part)(), strict=True):
            assert torch.equal(ours, theirs)
    assert torch.equal(still.train_set.tensors[0], moving.train_set.tensors[0])
    assert still.sha256 == moving.sha256


def test_off_it_is_the_plain_data_set_in_the_same_batches():
    data = ready(shift=0, rotate=0.0)
    assert data.train_dataloader().dataset is data.train_set
    rows = torch.cat(list(Batches(data.train_set, 64, shuffle=True, seed=0)))
    assert torch.equal(inputs_of(data, 0), data.train_set.tensors[0][rows])


def test_movements_are_new_each_epoch_and_seed_and_the_same_when_asked_again():
    def moved(seed: int, epoch: int) -> torch.Tensor:
        source = ready(shift=2, rotate=30.0, shuffle_seed=seed).train_dataloader()
        source.sampler.set_epoch(epoch)
        return source.dataset[torch.arange(100)][0]

    assert torch.equal(moved(0, 0), moved(0, 0))
    images = [moved(seed, epoch) for seed in range(2) for epoch in range(2)]
    assert all(not torch.equal(one, other) for i, one in enumerate(images) for other in images[:i])


def test_a_sample_moves_alike_whatever_the_batch_so_that_processes_see_what_one_would():
    whole, small = ready(shift=2, rotate=30.0, batch_size="full"), ready(shift=2, rotate=30.0, batch_size=7)
    torch.testing.assert_close(inputs_of(whole, 3), inputs_of(small, 3))


def test_movements_draw_nothing_from_the_global_random_numbers():
    data = ready(shift=2, rotate=30.0)
    before = torch.get_rng_state()
    inputs_of(data, 0)
    assert torch.equal(torch.get_rng_state(), before)


class Keep(Callback):
    """The first batch of each epoch."""

    def __init__(self):
        self.seen = {}

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 0:
            self.seen[trainer.current_epoch] = batch[0]


def fitted(folder, epochs: int, checkpoint=None) -> Keep:
    keep = Keep()
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=[keep],
    )  # fmt: skip
    task = Classifier(MLP((1, 8, 8), 10, [5]), lambda parameters: torch.optim.SGD(parameters, lr=0.01))
    trainer.fit(task, Digits(shift=2, rotate=30.0), ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return keep


def test_the_trainer_sees_new_movements_each_epoch_and_resumed_the_same(tmp_path):
    whole = fitted(tmp_path, 3)
    fitted(tmp_path, 2)
    resumed = fitted(tmp_path, 3, str(tmp_path / "2.ckpt"))
    assert list(resumed.seen) == [2]
    assert torch.equal(resumed.seen[2], whole.seen[2])
    first = ready(shift=2, rotate=30.0)
    for epoch, batch in whole.seen.items():
        assert torch.equal(batch, epoch_of(first, epoch)[0][0])


def test_folds_are_moved_too_in_the_training_part_alone():
    data, still = KFold(Digits(), shift=2), KFold(Digits())
    data.setup()
    still.setup()
    assert not torch.equal(inputs_of(data, 0), inputs_of(still, 0))
    assert torch.equal(data.val_set.tensors[0], still.val_set.tensors[0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: Digits(shift=-1), r"shift is -1; it must be a whole number from 0 up \(pixels\)"),
        (lambda: Digits(shift=True), "shift is True"),
        (lambda: Digits(rotate=-1), r"rotate is -1; it must be a number from 0 to 180 \(degrees\)"),
        (lambda: Digits(rotate=math.nan), "rotate is nan"),
        (lambda: Digits(shift=8), r"shift is 8 .* digits has shape \(1, 8, 8\)"),
        (lambda: Spiral(rotate=5), r"rotate is 5, but a sample of spiral has shape \(2,\): only images"),
    ],
)
def test_what_cannot_be_moved_is_said(data, words):
    with pytest.raises(ValueError, match=words):
        data().setup()
