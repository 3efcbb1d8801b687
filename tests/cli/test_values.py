"""Each value that cannot be is refused by name, with what it can be; by the function of a run, without a command."""

import pytest
from tests.runs import config, request

from lit_dl.cli.values import check_values
from lit_dl.errors import CommandError
from lit_dl.train import train

VALUES = [
    ("optimizer.lr=-1", ["optimizer.lr=-1", "above 0"]),
    ("optimizer.lr=nan", ["optimizer.lr=nan", "above 0"]),
    ("optimizer.lr=null", ["optimizer.lr=None", "above 0"]),
    ("optimizer.weight_decay=-1", ["optimizer.weight_decay=-1", "from 0 up"]),
    ("l1=inf", ["l1=inf", "from 0 up"]),
    ("compile=2", ["compile=2", "true or false"]),
    ("animate=2", ["animate=2", "true or false"]),
    ("seed=abc", ["seed=abc", "whole number", "4294967295"]),
    ("seed=-1", ["seed=-1", "from 0"]),
    ("seed=4294967296", ["seed=4294967296", "to 4294967295"]),
    ("trainer.max_epochs=-5", ["trainer.max_epochs=-5", "-1 for no limit"]),
    ("trainer.max_epochs=0", ["trainer.max_epochs=0", "from 1 up"]),
    ("trainer.max_steps=0", ["trainer.max_steps=0", "-1 for no limit"]),
    ("trainer.limit_train_batches=0", ["trainer.limit_train_batches=0"]),
    ("trainer.accumulate_grad_batches=0", ["trainer.accumulate_grad_batches=0", "from 1 up"]),
    ("trainer.check_val_every_n_epoch=0", ["trainer.check_val_every_n_epoch=0", "from 1 up"]),
    ("trainer.log_every_n_steps=0", ["trainer.log_every_n_steps=0", "from 1 up"]),
    ("trainer.gradient_clip_val=-1", ["trainer.gradient_clip_val=-1", "above 0"]),
    ("trainer.precision=16-mixed trainer.gradient_clip_val=1", ["optimizer.fused=false"]),
    ("early_stopping=on early_stopping.min_delta=-1", ["early_stopping.min_delta=-1", "from 0 up"]),
    ("model.dropout=abc", ["model.dropout=abc", "from 0 to 1"]),
    ("scheduler=step scheduler.step_size=0", ["scheduler.step_size=0", "from 1 up"]),
    ("scheduler=plateau scheduler.factor=2", ["scheduler.factor=2", "from 0 to 1"]),
    ("data=none model=mlp", ["data=none", "model=himmelblau"]),
    ("model=alexnet dropout=0.2", ["dropout=0.2", "model.dropout=0.2"]),
    ("model=perceptron dropout=0.2", ["dropout=0.2", "no dropout", "model=mlp"]),
]

OBJECTS = [
    ("optimizer=scratch/adam optimizer.betas=[0.9,1.0]", ["optimizer:", "betas is", "below 1"]),
    ("optimizer.layer_lr_decay=2", ["optimizer:", "layer_lr_decay is 2", "above 0 and at most 1"]),
    ("optimizer.layer_lr_decay=0", ["optimizer:", "layer_lr_decay is 0", "above 0 and at most 1"]),
    ("optimizer.decay_biases_and_norms=3", ["optimizer:", "decay_biases_and_norms is 3", "true or false"]),
    (
        "scheduler=cosine scheduler.eta_min=0.001 optimizer.layer_lr_decay=0.5",
        ["scheduler:", "eta_min=0.001", "take eta_min=0"],
    ),
    ("trainer.strategy=ddp_spawn", ["trainer.strategy=ddp_spawn", "ddp"]),
    (
        "early_stopping=on early_stopping.monitor=val/acc early_stopping.mode=min",
        ["early_stopping.mode=min", "maximum"],
    ),
    ("early_stopping=on early_stopping.mode=up", ["early_stopping.mode=up", "minimum"]),
    ("early_stopping=on trainer.limit_val_batches=0", ["never validates", "train/loss"]),
    ("early_stopping=on trainer.enable_checkpointing=false", ["trainer.enable_checkpointing=true"]),
    (
        "early_stopping=on early_stopping.monitor=val/auc",
        ["val/auc", "train/loss, train/acc", "val/loss, val/acc"],
    ),
    ("optimizer._target_=7", ["optimizer:", "_target_ is 7", "the name of a class"]),
    ("optimizer._target_='../..'", ["optimizer:", "_target_ is '../..'", "invalid dotstring"]),
    ("activation._target_=torch.nn.Nowhere", ["activation:", "_target_ is 'torch.nn.Nowhere'"]),
    ("activation=softmax activation.dim=7", ["model:", "Dimension out of range"]),
    ("+logger.foo=1", ["logger:", "foo is 1", "SummaryWriter takes no such argument"]),
    ("trainer.accelerator=cpu trainer.devices=1000000", ["trainer.devices=1000000", "a process of its own"]),
    ("model.hidden=[1000000000]", ["model:", "its parameters and their gradients would take", "this machine has"]),
    ("model=cnn model.channels=[4000000000,4000000000]", ["more parameters than can be counted"]),
    ("model=cnn model.kernel_size=100000", ["kernel_size is [100000]", "to 10000"]),
    ("trainer.accelerator=cpu trainer.devices=[0]", ["trainer.devices=[0]", "from 1 up, or auto"]),
    ("trainer.plugins=3", ["trainer:", "plugins: one is 3", "_target_"]),
    ("data=mnist data.root=3", ["root is 3", "name of a folder"]),
    ("experiment=memory hardware.depth=1000000000", ["hardware:", "largest depth is 1000000000"]),
    ("experiment=devices hardware.sizes=[10000000]", ["hardware:", "GiB"]),
    ("data.normalize=abc", ["normalize is 'abc'", "true or false"]),
    ("data.split_seed=99999999999999999999999", ["split_seed is 99999999999999999999999", "2**63"]),
    ("data.split_seed=-1", ["split_seed is -1"]),
    ("data=spiral data.noise=abc", ["noise is 'abc'", "from 0 up"]),
    ("data=spiral data.turns=abc", ["turns is 'abc'"]),
    ("data=arrays", ["path is null", "np.savez", "data.path=my.npz"]),
    ("data=quickdraw data.per_class=one", ["per_class is 'one'", "from 2 up, or null"]),
    ("data=regression data.signal=-1", ["signal is -1", "from 0 up"]),
    ("data.shift=-1", ["shift is -1", "from 0 up"]),
    ("data.shift=0.5", ["shift is 0.5", "whole number"]),
    ("data.shift=8", ["shift is 8", "(1, 8, 8)", "smaller shift"]),
    ("data.rotate=181", ["rotate is 181", "0 to 180"]),
    ("data=kfold data@data.base=spiral data.rotate=5", ["rotate is 5", "(2,)", "only images"]),
    ("data.batch_size=all", ["batch_size is 'all'", "full"]),
    ("data.val_fraction=1.0", ["val_fraction is 1.0", "between 0 and 1"]),
    ("data.label_noise=2", ["label_noise is 2", "0", "1"]),
    ("model.hidden=[1] loss=mse loss.link=tanh", ["link is 'tanh'", "sigmoid, softmax or null"]),
    ("data=kfold data@data.base=none model=himmelblau", ["data:", "'none'", "no samples"]),
    ("data=regression loss=mse loss.link=softmax", ["loss:", "link is 'softmax'", "for classes"]),
    ("data=regression loss=cross_entropy", ["loss:", "CrossEntropyLoss is for classes", "loss=mse"]),
    ("data=spiral data.classes=2 model=perceptron", ["loss:", "a single one", "loss=binary_cross_entropy"]),
    ("model=himmelblau", ["himmelblau", "data=none"]),
    ("data=none model=himmelblau model.start=[1]", ["start is [1]", "two finite numbers"]),
    ("data=none model=himmelblau model.surface=sphere", ["surface is 'sphere'", "himmelblau, rosenbrock"]),
    ("data=none model=himmelblau data.steps=0", ["steps is 0", "from 1 up"]),
    ("data=none model=himmelblau early_stopping=on", ["no such metric", "train/loss"]),
    (
        "data=none model=himmelblau early_stopping=on early_stopping.monitor=train/acc",
        ["early_stopping.monitor=train/acc", "no such metric", "train/loss"],
    ),
    ("model.hidden=100", ["hidden is 100", "list of widths"]),
    ("model.norm=group", ["norm is 'group'", "batch, layer or null"]),
    ("model=cnn data=spiral", ["CNN", "(2,)", "model=mlp", "data=digits"]),
    ("model=cnn model.channels=[4,4,4,4]", ["4 blocks", "8x8"]),
    ("model=lenet", ["LeNet's layers", "8x8", "data=mnist"]),
    ("model=alexnet data=spiral", ["AlexNet needs images", "(2,)", "model=mlp"]),
    ("model=alexnet model.channels=[4] data=mnist", ["channels is [4]", "five"]),
    ("model=perceptron", ["one unit tells two classes apart", "10 outputs", "model=mlp model.hidden=[]"]),
    ("model=parallel model.width=0", ["width is [0]", "from 1 up"]),
    ("model=shared model.depth=0", ["depth is [0]", "from 1 to 10000"]),
    ("model=cnn model.pool=min", ["pool is 'min'", "max or avg"]),
    ("trainer.accelerator=banana", ["trainer.accelerator=banana", "auto, cpu"]),
    ("trainer.accelerator=tpu", ["trainer.accelerator=tpu", "auto, cpu"]),
    ("experiment=devices hardware.sizes=[0]", ["hardware:", "sizes: one is 0", "from 1 up"]),
    ("experiment=memory hardware.depths=[2,4]", ["hardware:", "depths is [2, 4]", "three numbers"]),
]


def with_digits(overrides: str) -> list[str]:
    return [*([] if "data=" in overrides or "experiment=" in overrides else ["data=digits"]), *overrides.split()]


@pytest.mark.parametrize(("overrides", "words"), VALUES, ids=[overrides for overrides, _ in VALUES])
def test_a_value_that_no_class_receives_is_checked_in_the_config(overrides, words):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the words are below
        check_values(config(*with_digits(overrides)))
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(("overrides", "words"), OBJECTS, ids=[overrides for overrides, _ in OBJECTS])
def test_a_value_that_a_class_refuses_ends_the_run_before_it_begins(overrides, words, tmp_path):
    with pytest.raises(CommandError) as raised:
        train(request(tmp_path, *with_digits(overrides)))
    for word in words:
        assert word in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_seed_and_endless_training_are_allowed():
    check_values(config("data=digits", "seed=4294967295", "trainer.max_epochs=-1", "trainer.max_steps=-1"))
