"""Other words for keys and choices, as courses, papers and other programs have them."""

import re

# What is to be typed instead of a key. One that ends in = takes the value that was typed.
_KEYS = {
    "optimizer.lr=": "lr learning_rate eta",
    "optimizer.weight_decay=": "wd l2 l2_penalty l2_regularization",
    "optimizer=": "opt optim solver",
    "trainer.max_epochs=": "epoch epochs num_epochs n_epochs nb_epochs",
    "trainer.max_steps=": "steps num_steps max_iter iterations iters",
    "trainer.accelerator=gpu": "gpu gpus cuda use_gpu use_cuda",
    "trainer.accelerator=": "device",
    "trainer.precision=16-mixed": "amp fp16 half mixed_precision",
    "trainer.gradient_clip_val=": "clip grad_clip clip_grad clip_grad_norm clipnorm max_grad_norm gradient_clipping",
    "data=": "dataset",
    "data.batch_size=": "batch bs mini_batch minibatch_size",
    "data.train_size=": "num_samples n_samples subset",
    "data.val_fraction=": "val_split validation_split val_size",
    "data.rotate=15 data.shift=1": "augment augmentation",
    "model=": "net network arch architecture",
    '"model.hidden=[100,50]", the widths of the hidden layers': (
        "layers num_layers n_layers hidden_layers num_hidden_layers hidden_size hidden_dim hidden_units units neurons"
    ),
    "model.norm=batch": "batch_norm bn use_batch_norm normalization",
    "loss=": "criterion loss_function loss_fn objective",
    "init=": "initialization initialisation initializer weight_init kernel_initializer",
    "activation=": "act nonlinearity activation_function",
    "scheduler=": "lr_scheduler lr_schedule schedule",
    "early_stopping=on": "early_stop",
    "dropout=": "dropout_rate drop_rate p_drop",
    "seed=": "random_seed random_state manual_seed rng",
    "resume=": "checkpoint ckpt ckpt_path load restore",
    "hydra.run.dir=": "output output_dir out out_dir save_dir log_dir logdir",
    "experiment=cross_validation data.folds=": "k_fold k_folds cross_validation cv",
}

# Of each group, other names of its choices.
_CHOICES = {
    "activation": {
        "identity": "linear none off null",
        "sigmoid": "logistic",
        "silu": "swish",
        "leaky_relu": "lrelu",
    },
    "data": {"fashion_mnist": "fashion", "kmnist": "kuzushiji", "digits": "sklearn load_digits", "arrays": "numpy npz"},
    "early_stopping": {"on": "true yes", "off": "false no none null"},
    "diagnostics": {"off": "false no none null", "basic": "true on yes"},
    "init": {
        "he": "kaiming kaiming_normal kaiming_uniform he_normal",
        "xavier": "glorot xavier_uniform xavier_normal glorot_uniform",
        "constant": "zeros zero ones",
        "normal": "gaussian random",
    },
    "logger": {"tensorboard": "tb true on yes", "off": "false no none null"},
    "loss": {
        "cross_entropy": "ce nll xent categorical_crossentropy",
        "binary_cross_entropy": "bce logistic",
        "mse": "l2 squared_error mean_squared_error",
    },
    "model": {
        "mlp": "dense fc fcn dnn fully_connected",
        "cnn": "conv convnet",
        "softmax_regression": "linear logistic logistic_regression",
    },
    "optimizer": {"bgd": "gd batch_gradient_descent full_batch", "nesterov": "nag", "momentum": "sgdm sgd_momentum"},
    "scheduler": {
        "plateau": "reduce_on_plateau reduce_lr_on_plateau",
        "cosine": "cosine_annealing cosine_annealing_lr",
        "onecycle": "one_cycle_lr",
        "step": "step_lr",
        "exponential": "exp exponential_lr",
        "none": "off false no null constant",
    },
}

# Known data that lit_dl does not bring along.
_NOT_HERE = {
    "data": "cifar cifar10 cifar100 imagenet svhn emnist stl10 celeba iris wine california_housing boston titanic"
}


def folded(name: str) -> str:
    """A name without case and separators, so that ReLU, LeakyReLU and cross-entropy are found.

    Example:
        >>> folded("Leaky-ReLU") == folded("leaky_relu")
        True
    """
    return re.sub(r"[^a-z0-9.]", "", name.casefold())


KEYS = {folded(word): typed for typed, words in _KEYS.items() for word in words.split()}
CHOICES = {
    group: {folded(word): choice for choice, words in names.items() for word in words.split()}
    for group, names in _CHOICES.items()
}
NOT_HERE = {group: {folded(word) for word in words.split()} for group, words in _NOT_HERE.items()}
