"""The three scales of the papers' experiments, and the mixtures that they are made of."""

from dataclasses import dataclass, field, replace

MNIST = ("mnist_augmnist", "mnist_svhn", "mnist_cifar10")
"""V1, V2 and V3 of section 4."""
CIFAR10 = ("cifar10_augcifar10", "cifar10_cifar100")
MIXED = (*MNIST, *CIFAR10)
"""All mixtures of section 4."""
ALONE = ("mnist", "cifar10")
"""The data sets without an under-represented group."""
SHIFTS = ("cifar10_cinic10", "cifar10_cifar100_random", "cifar10_mislabeled")
"""D_U of the LiRA excerpt's Figure 13, ever further from CIFAR-10."""
REMOVALS = ("onion", "control")
"""Selections that leave examples out (section 8): the most memorized, or as many at random."""


@dataclass(frozen=True)
class Scale:
    """What one scale has of everything.

    Attributes:
        flags: first word of a mixture -> flagfile.
        minutes: first word of a mixture -> estimated cost of a run, None if it was not measured; a run that costs more
            has an entry of its own, such as mnist_singletons.
        machine: what `minutes` are measured on.
        num_under: examples of D_U in a random run; None for as many as the paper has.
        candidates: examples of D_U to choose from; None if the random run itself offers them.
        choosers: further flags of the runs on candidates.
        threshold: memorization of a singleton, and of a data set's own examples; None for the paper's,
            SINGLETON_THRESHOLDS and ALONE_THRESHOLDS.
        features: architecture whose features make the subpopulations.
        clustered: what its features are clustered of: "mixture", as in the paper, or "under", D_U alone. At the small
            scales all of SVHN and CIFAR-10 lies in clusters of its own. The paper's rule, the smallest of five clusters
            of the whole mixture, finds none of it; nor does it on all of MNIST with SVHN. So there it is the smallest
            of five clusters of D_U.
        architectures: of the LiRA excerpt's Figure 12.
        one_group: the data set that they are trained on, alone.
        one_group_flags: further flags of these runs.
        num_shadow: numbers of shadow models per side that the attacks are also measured with.
        more: mixture -> further flags.
        singletons: further flags of the runs on singletons.
        defence: "private" or "plain" -> flagfile and further flags of MNIST with SVHN with and without DP-SGD (Choi et
            al., section 8); if there is no "plain", the random run has the same examples and subsets.
    """

    flags: dict[str, str]
    minutes: dict[str, float | None]
    machine: str
    num_under: int | None
    candidates: int | None
    threshold: float | None
    features: str
    clustered: str
    architectures: tuple[str, ...]
    one_group: str
    num_shadow: tuple[int, ...]
    choosers: tuple[str, ...] = ()
    one_group_flags: tuple[str, ...] = ()
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    singletons: tuple[str, ...] = ()
    defence: dict[str, tuple[str, ...]] = field(default_factory=dict)


SCALES = {
    "smoke": Scale(
        flags={"mnist": "smoke", "cifar10": "smoke"},
        minutes={"mnist": 1, "cifar10": 1},
        machine="two cores",
        num_under=60,
        candidates=120,
        threshold=0.4,
        features="cnn8-2-max",
        clustered="under",
        architectures=("cnn8-2-max", "cnn8-2-mean"),
        one_group="mnist",
        num_shadow=(1, 2),
        defence={
            "private": ("smoke", "--dp", "--target_epsilon=3.2", "--delta=1e-5", "--sampling=poisson", "--batch=64")
        },
    ),
    "cpu": Scale(
        flags={"mnist": "mnist_svhn_cpu", "cifar10": "cifar10_cpu"},
        minutes={
            "mnist": 13,
            "mnist_singletons": 22,
            "mnist_plain": 8,
            "mnist_private": 15,
            "cifar10": 27,
            "cifar10_singletons": 34,
            "cifar10_cnn16-2-max": 60,
            "cifar10_cnn16-3-max": 68,
        },
        machine="two cores",
        num_under=250,
        candidates=1000,
        threshold=None,
        features="cnn8-3-max",
        clustered="under",
        architectures=("cnn8-3-max", "cnn16-2-max", "cnn16-3-max"),
        one_group="cifar10",
        num_shadow=(1, 2, 4, 8, 16),
        # In 20 epochs models fit 61% of their members among 112 SVHN singletons; section 4.1 asks for more than 80%.
        singletons=("--epochs=40",),
        defence={"plain": ("dp_mnist_svhn_cpu_plain",), "private": ("dp_mnist_svhn_cpu",)},
    ),
    # All of the papers' data with small networks. One GPU trains a run in minutes, two cores in five hours.
    "full": Scale(
        flags={"mnist": "mnist_full", "cifar10": "cifar10_full"},
        minutes={"mnist": 4, "cifar10": None},
        machine="one H200 GPU",
        num_under=None,
        candidates=None,
        threshold=None,
        features="efficientnetb0",
        clustered="under",
        architectures=("cnn8-3-max", "cnn16-2-max", "cnn16-3-max"),
        one_group="cifar10",
        num_shadow=(1, 2, 4, 8, 16),
        defence={
            # Of 4 models a balanced plan would train each on 2, and not 70%, of the examples.
            "plain": ("mnist_full", "--num_experiments=10"),
            "private": ("dp_mnist_svhn", "--num_experiments=10", "--arch=cnn8-3-max"),
        },
    ),
    "paper": Scale(
        flags={"mnist": "mnist_paper", "cifar10": "cifar10_paper"},
        minutes={"mnist": None, "cifar10": None},
        machine="a GPU",
        num_under=None,
        candidates=None,
        threshold=None,
        features="efficientnetb0",
        clustered="mixture",
        architectures=("resnet18", "resnet34", "resnet50", "mobilenetv2", "densenet121", "vgg16"),
        one_group="cifar10",
        num_shadow=(1, 2, 4, 5, 10, 20, 50, 100, 200, 500),
        one_group_flags=("--pool_test", "--num_experiments=256"),
        defence={"private": ("dp_mnist_svhn",)},
        # These are LiRA's, whose recipe has other networks; here all mixtures with CIFAR-10 are trained alike.
        more=dict.fromkeys(SHIFTS, ("--arch=resnet9", "--pkeep=0.7")),
    ),
}
# MNIST with SVHN at the size of the cpu scale with eight times as many models.
SCALES["many"] = replace(
    SCALES["cpu"],
    flags={"mnist": "mnist_svhn_many", "cifar10": "cifar10_cpu"},
    minutes={"mnist": 9, "cifar10": None},
    machine="one H200 GPU",
    choosers=("--num_experiments=64",),
    num_shadow=(1, 2, 4, 8, 16, 32, 64, 125, 250),
    singletons=("--epochs=40", "--num_experiments=256"),
)
SINGLETON_THRESHOLDS = {"mnist": 0.8, "cifar10": 0.5}
"""First word of a mixture -> the memorization above which an example is a singleton (section 6)."""
ALONE_THRESHOLDS = {"mnist": 0.4, "cifar10": 0.8}
"""The same for examples of one data set alone (footnote 11)."""
