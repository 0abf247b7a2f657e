"""Every setting of an experiment, parsed once into frozen, validated dataclasses and passed explicitly.

`ExperimentConfig`, or `TaskConfig` for a user's task, holds what changes a result: it is written to LOGDIR/config.json,
and a LOGDIR accepts no other. What changes only where and how fast it is computed: `mia_tf.run_options`.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mia_tf.privacy_config import PrivacyConfig
from mia_tf.settings import documented, setting
from mia_tf.validation import InputError, check, check_choice, check_integer, check_number

DATA_SOURCES = ("auto", "npz", "tfds", "embedded")
SUBSET_PLANS = ("balanced", "bernoulli")
SELECTIONS = ("random", "subpopulation", "singletons")
"""How the under-represented examples are selected (Choi et al., section 6)."""
CLUSTERED = ("mixture", "under")
PIXMIX = ("choi", "published")
"""Readings of how Choi et al. make augMNIST and augCIFAR-10, the default first."""
AUGMENTATIONS = ("none", "mirror", "weak")
NORMS = ("batch", "group")
PRECISIONS = ("float32", "bfloat16")
ARCHITECTURES = {
    r"cnn(?P<filters>[1-9]\d*)-(?P<scales>[1-9]\d*)-(?P<pooling>max|mean)": "cnn{F}-{S}-{max|mean}",
    r"wrn28-(?P<width>1|2|10)": "wrn28-{1,2,10}",
    r"resnet(?P<depth>9|18|34|50)": "resnet{9,18,34,50}",
    "mobilenetv2": "mobilenetv2",
    "densenet121": "densenet121",
    "vgg16": "vgg16",
}
"""Pattern of an architecture's name -> how the name is written for people."""
WITHOUT_NORM = ("cnn",)
"""How the names of the architectures without normalisation begin."""
EFFICIENTNET = "efficientnetb0"
"""The network of Choi et al. whose features tell subpopulations apart."""
PAD = 4
"""Pixels an image is padded by, with its reflection, before it is cropped back to its size (LiRA)."""
MAX_QUERIES = 2 * (2 * PAD + 1) ** 2
"""Both mirrorings of every crop."""
MAX_MODELS = 10**6  # beyond any experiment; a slip of the keyboard
MIN_MODELS = 4
"""Shadow models that an analysis needs."""


@documented
@dataclass(frozen=True)
class DataConfig:
    """Which examples there are."""

    dataset: str = setting(
        "mnist_svhn", "Mixture (mnist, mnist_svhn, ...) or npz:PATH for your own pictures and labels."
    )
    data_source: str = setting("auto", f"Where pictures come from: {', '.join(DATA_SOURCES)}.")
    data_dir: str | None = setting(None, "Folder of mnist.npz, svhn.npz, ...; default $MIA_TF_DATA.")
    num_over: int | None = setting(
        None, "Number of over-represented examples, balanced over the labels; default as in the paper."
    )
    num_under: int | None = setting(
        None, "Number of under-represented examples, balanced over the labels; default as in the paper."
    )
    pool_test: bool = setting(False, "Use the test images as examples too; none are left to test with.")
    dataset_size: int | None = setting(None, "Keep this many examples of the mixture; default all.", lira=True)
    data_seed: int = setting(0, "Chooses the examples, and trains the network of `features`.")
    pixmix: str | None = setting(
        None,
        "With mnist_augmnist or cifar10_augcifar10: how PixMix augments. choi (default): with all operations that the "
        "images allow. published: as in PixMix's own code, with nine operations, after random mirroring and a random "
        "crop of 4 pixels.",
    )
    under: str = setting("random", f"How the under-represented examples are selected: {', '.join(SELECTIONS)}.")
    features: str | None = setting(
        None,
        f"With `under`=subpopulation: the network whose features are clustered, {EFFICIENTNET} (default) or an "
        "architecture.",
    )
    clustered: str = setting(
        "mixture",
        f"With `under`=subpopulation: what is clustered, {' or '.join(CLUSTERED)}. The paper clusters the mixture. "
        "Take under if one of its clusters has the whole under-represented group.",
    )
    scores_from: str | None = setting(
        None, "With `under`=singletons: an analyzed LOGDIR with the memorization of the same examples."
    )
    threshold: float | None = setting(
        None,
        "With `under`=singletons: the memorization above which an example stays; default the paper's, 0.8 on MNIST and "
        "0.5 on CIFAR-10.",
    )
    without: str | None = setting(None, "Text file with the ids of examples to leave out, one per line.")

    def __post_init__(self):
        check_choice("data_source", self.data_source, DATA_SOURCES)
        check_integer("num_over", self.num_over, 1, optional=True)
        check_integer("num_under", self.num_under, 0, optional=True)
        check_integer("dataset_size", self.dataset_size, 2, optional=True)
        check_integer("data_seed", self.data_seed, 0, 2**32 - 1)
        if self.pixmix is not None:
            check_choice("pixmix", self.pixmix, PIXMIX)
        check_choice("under", self.under, SELECTIONS)
        needed_by = {"features": "subpopulation", "scores_from": "singletons", "threshold": "singletons"}
        for name, under in needed_by.items():
            value = getattr(self, name)
            check(name, value, value is None or self.under == under, f"needs --under={under}")
        check_choice("clustered", self.clustered, CLUSTERED)
        whole = self.clustered == "mixture"
        check("clustered", self.clustered, whole or self.under == "subpopulation", "needs --under=subpopulation")
        if self.features not in (None, EFFICIENTNET):
            check_arch("features", self.features, EFFICIENTNET)
        if self.under == "singletons":
            check("under", self.under, self.scores_from is not None, "needs --scores_from, an analyzed LOGDIR")
        if self.threshold is not None:
            check("threshold", self.threshold, -1 <= self.threshold < 1, "must be in [-1, 1)")


@documented
@dataclass(frozen=True)
class TrainingConfig:
    """How one model is trained and asked."""

    arch: str = setting("cnn32-3-mean", f"Architecture: {', '.join(ARCHITECTURES.values())}.")
    norm: str = setting("batch", f"Normalisation, for architectures that have one: {', '.join(NORMS)}.")
    precision: str = setting(
        "float32",
        f"Number format of the training: {', '.join(PRECISIONS)}. GPUs with TF32 train float32 in that; some "
        "processors compute bfloat16 faster. Logits and the clipped sums of private training are full float32 in any "
        "case. With dp, bfloat16 needs KERAS_BACKEND=jax.",
    )
    lr: float = setting(0.1, "Peak learning rate.")
    batch: int = setting(256, "Examples per step; default 256, or fewer if a model has fewer examples.")
    epochs: int = setting(100, "Passes over a model's training set.")
    weight_decay: float = setting(5e-4, "L2 penalty on weights, not on biases.")
    warmup: float = setting(0.05, "Share of training in which the learning rate rises linearly (LiRA: 0.01).")
    clip_norm: float = setting(
        1.0, "Largest L2 norm of a step's gradient; 0 for no limit (LiRA); default 1, with private training 0."
    )
    ema: float = setting(
        0.0, "Decay of the averaged weights that measure test accuracy (LiRA: 0.999); 0 for none.", lira=True
    )
    augment: str = setting("weak", f"Augmentation: {', '.join(AUGMENTATIONS)}.")
    queries: int = setting(2, "Views of each example to ask; default 1 without augmentation, else 2.")
    eval_steps: int = setting(0, "Epochs between measurements of test accuracy; 0 for only the last.", lira=True)
    patience: int | None = setting(
        None, "Stop after more than this many epochs without a better test accuracy; default never.", lira=True
    )
    save_steps: int = setting(0, "Epochs between kept checkpoints; 0 for none.", lira=True)
    keep_ckpt: bool = setting(False, "Keep the final weights, for mia_tf.inference.")
    privacy: PrivacyConfig | None = field(
        default=None, metadata={"help": "How to train with differential privacy; None for without."}
    )

    def __post_init__(self):
        check_architecture(self.arch, self.norm)
        check_choice("precision", self.precision, PRECISIONS)
        check("lr", self.lr, 0 < self.lr < float("inf"), "must be a positive number")
        check_integer("batch", self.batch, 1)
        check_integer("epochs", self.epochs, 1)
        check("weight_decay", self.weight_decay, 0 <= self.weight_decay < float("inf"), "must not be negative")
        check("warmup", self.warmup, 0 <= self.warmup <= 1, "must be in [0, 1]")
        check("clip_norm", self.clip_norm, 0 <= self.clip_norm < float("inf"), "must not be negative")
        check("ema", self.ema, 0 <= self.ema < 1, "must be in [0, 1)")
        check_choice("augment", self.augment, AUGMENTATIONS)
        check_integer("queries", self.queries, 1, MAX_QUERIES)
        check_integer("eval_steps", self.eval_steps, 0)
        check_integer("patience", self.patience, 1, optional=True)
        check("patience", self.patience, self.patience is None or self.eval_steps > 0, "needs --eval_steps above 0")
        check_integer("save_steps", self.save_steps, 0)
        if self.privacy is not None:
            check("clip_norm", self.clip_norm, self.clip_norm == 0, "must be 0 with --dp, which clips each example's")
            allowed = "must not have batch norm with --dp, because it mixes the examples of a batch: take --norm=group"
            check("arch", self.arch, self.norm != "batch" or not has_norm(self.arch), allowed)

    @property
    def microbatch(self) -> int:
        """Examples whose gradients private training holds at the same time; 1 without privacy."""
        return self.privacy.microbatch if self.privacy else 1

    def to_dict(self) -> dict:
        """The settings as a flat, JSON-serialisable dict. It has later additions only if they are used."""
        settings = dataclasses.asdict(self)
        for name in ("norm", "precision"):  # earlier versions had only the defaults
            if settings[name] == getattr(TrainingConfig, name):
                del settings[name]
        del settings["privacy"]
        return settings if self.privacy is None else {**settings, "dp": True, **self.privacy.to_dict()}

    @classmethod
    def from_dict(cls, settings: dict) -> "TrainingConfig":
        """The configuration whose `to_dict` is among `settings`.

        Raises:
            InputError: one of them is missing.
        """
        privacy = PrivacyConfig.from_dict(settings) if "dp" in settings else None
        settings = {"norm": cls.norm, "precision": cls.precision, **settings, "privacy": privacy}
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := sorted(set(names) - set(settings)):
            line = f"config.json lacks {missing[0]}: it must be of this version's mia_tf.train"
            raise InputError(line, "logdir", f"a config.json without {missing[0]}")
        return cls(**{name: settings[name] for name in names})


def check_architecture(arch: str, norm: str) -> None:
    """Raises InputError if `arch` or `norm` is unknown, or if norm="group" is set for an architecture without it."""
    check_arch("arch", arch)
    check_choice("norm", norm, NORMS)
    fits = norm == "batch" or has_norm(arch)
    check("norm", norm, fits, f"must not be given for {arch}, which has no normalisation")


def has_norm(arch: str) -> bool:
    """Whether an architecture normalises."""
    return not arch.startswith(WITHOUT_NORM)


def check_arch(name: str, value: str, *others: str) -> None:
    """Raises InputError unless the value is the name of an architecture; `others` are named as allowed too."""
    known = any(re.fullmatch(pattern, value) for pattern in ARCHITECTURES)
    check(name, value, known, "must be one of " + ", ".join([*others, *ARCHITECTURES.values()]))


def check_arch_fits(name: str, arch: str, image_shape: tuple[int, ...]) -> None:
    """Raises InputError if images of (H, W, C) are too small for the poolings of the architecture given."""
    scales = re.match(r"cnn\d+-(\d+)", arch)
    poolings = int(scales[1]) if scales else 3
    side = min(image_shape[:2])
    check(name, arch, side >= 2**poolings, f"halves images {poolings} times and cannot take {side} pixels")


def check_images_fit(config: TrainingConfig, image_shape: tuple[int, ...]) -> None:
    """Raises InputError if images of (H, W, C) are too small for a network's poolings or for their views."""
    check_arch_fits("arch", config.arch, image_shape)
    check_views_fit(config.augment, config.queries, image_shape)


def check_views_fit(augment: str, queries: int, image_shape: tuple[int, ...]) -> None:
    """Raises InputError if images of (H, W, C) are too small for the shifts of their views."""
    side = min(image_shape[:2])
    if side <= PAD:  # reflection shows no pixel twice
        too_small = f"images of {side} pixels, which cannot be reflected by {PAD}"
        check("augment", augment, augment != "weak", f"must not be weak for {too_small}")
        check("queries", queries, queries <= 2, f"must be at most 2 for {too_small}")


@documented
@dataclass(frozen=True)
class PlanConfig:
    """How many models there are, and what each is trained on."""

    num_experiments: int = setting(64, "Number of shadow models.")
    pkeep: float = setting(0.5, "Share of the models that are trained on an example.")
    subsets: str = setting(
        "balanced", f"Plan of the subsets: {', '.join(SUBSET_PLANS)} (`num_experiments` can grow later)."
    )
    only_subset: int | None = setting(
        None, "Train no model on the examples from this row on; default all examples.", lira=True
    )
    seed: int = setting(0, "Draws the subsets and each model's own seed.")

    def __post_init__(self):
        check_integer("num_experiments", self.num_experiments, 1, MAX_MODELS)
        check_number("pkeep", self.pkeep)
        check("pkeep", self.pkeep, 0 < self.pkeep < 1, "must be in (0, 1)")
        check_choice("subsets", self.subsets, SUBSET_PLANS)
        alone = self.num_experiments == 1 and self.subsets == "balanced"
        check("num_experiments", self.num_experiments, not alone, "must be at least 2 unless subsets is bernoulli")
        check_integer("only_subset", self.only_subset, 1, optional=True)
        check_integer("seed", self.seed, 0)


@documented
@dataclass(frozen=True)
class TaskConfig(PlanConfig):
    """Everything that decides what the LOGDIR of a user's task holds."""

    task: Mapping = field(
        default_factory=dict, metadata={"help": "What tells the task from others (`mia_tf.Task.identity`)."}
    )
    epochs = 1  # not a field: a task does not report its epochs

    def to_dict(self) -> dict:
        """The settings as one flat, JSON-serialisable dict, as config.json has them."""
        settings = dataclasses.asdict(self)
        return {**settings.pop("task"), **settings}


@documented
@dataclass(frozen=True)
class ExperimentConfig(PlanConfig):
    """Everything that decides what a LOGDIR holds."""

    data: DataConfig = field(default_factory=DataConfig, metadata={"help": "Which examples."})
    training: TrainingConfig = field(default_factory=TrainingConfig, metadata={"help": "How each model is trained."})

    @property
    def epochs(self) -> int:
        """Passes of each model over its training set."""
        return self.training.epochs

    def to_dict(self) -> dict:
        """The settings as one flat, JSON-serialisable dict, as config.json has them."""
        nested = dataclasses.asdict(self)
        data, training = nested.pop("data"), self.training.to_dict()
        del nested["training"]
        # The place of a folder or a file does not change what is in it.
        for name in ("data_dir", "scores_from", "without"):
            del data[name]
        # Settings that earlier versions did not have are written only if they are used, so that old LOGDIRs resume.
        for name in ("pool_test", "under", "features", "clustered", "threshold"):
            if data[name] == getattr(DataConfig, name):
                del data[name]
        if data["pixmix"] in (None, PIXMIX[0]):  # earlier versions had only the first
            del data["pixmix"]
        return {**data, **training, **nested}
