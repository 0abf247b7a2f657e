"""Every table and figure of the papers that is made here: what it is, its runs, and the function that builds it.

`python -m experiments` makes them. A new one is one more entry, and what the paper reports of it in paper/figures.csv.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from experiments import runs
from experiments.reproduction import (
    accuracy_tables,
    architectures,
    attack_tables,
    defence,
    ood_proxy,
    privacy_onion,
    score_figures,
    shifts,
    sources,
    sweep_figures,
)
from experiments.reproduction.outcome import Build
from experiments.reproduction.paper_numbers import statements
from experiments.reproduction.scales import ALONE, CIFAR10, MIXED, MNIST, SCALES, SHIFTS


@dataclass(frozen=True)
class Entry:
    """One table or figure.

    Attributes:
        name: on the command line, and of its folder under experiments/results.
        title: one line: what it is, in which paper.
        runs: scale -> names of the runs that it is made of.
        build: makes it from those of them that are finished.
    """

    name: str
    title: str
    runs: Callable[[str], Sequence[str]]
    build: Build

    @property
    def paper(self) -> str:
        """What the paper reports (paper/figures.csv)."""
        return " ".join(statement["says"] for statement in statements(self.name))

    def cost(self, scale: str) -> str:
        """Returns the number of runs and what all of them cost, such as "3 runs, about 39 min on two cores"."""
        names = self.runs(scale)
        minutes = sources.minutes(names, scale)
        time = "cost not measured" if minutes is None else f"about {minutes:g} min on {SCALES[scale].machine}"
        return f"{len(names)} runs, {time}"


def _always(*names: str) -> Callable[[str], Sequence[str]]:
    """The same runs at every scale."""
    return lambda _scale: names


def _of(selection: str, mixtures: Sequence[str]) -> list[str]:
    """The names of the runs of one selection."""
    return [f"{mixture}_{selection}" for mixture in mixtures]


def _attacked(*mixtures: str) -> list[str]:
    """The runs of a table of attacks on these mixtures."""
    return [f"{mixture}_{kind}" for mixture in mixtures for kind in ("random", "subpopulation", "singletons")]


_ALONE_AND_RANDOM = _always(*ALONE, *_of("random", MIXED))
_RANDOM_AND_SINGLETONS = _always(*_of("random", MIXED), *_of("singletons", MIXED))
_MNIST_RANDOM = _always(*_of("random", MNIST))
_MNIST_RANDOM_AND_SINGLETONS = _always(*_of("random", MNIST), *_of("singletons", MNIST))

ENTRIES = (
    Entry(
        "table1",
        "Table 1 of Choi et al.: sizes and accuracies of the mixtures with random under-represented examples",
        _ALONE_AND_RANDOM,
        partial(accuracy_tables.build, "table1"),
    ),
    Entry(
        "table2",
        "Table 2 of Choi et al.: five attacks on MNIST with augMNIST and SVHN, by selection of the examples",
        _always("mnist", "mnist_again", *_attacked("mnist_augmnist", "mnist_svhn")),
        partial(attack_tables.build, "table2"),
    ),
    Entry(
        "table3",
        "Table 3 of Choi et al.: five attacks on CIFAR-10 with augCIFAR-10 and CIFAR-100, by selection of the examples",
        _always("cifar10", "cifar10_again", *_attacked("cifar10_augcifar10", "cifar10_cifar100")),
        partial(attack_tables.build, "table3"),
    ),
    Entry(
        "table4",
        "Table 4 of Choi et al.: sizes and accuracies of the mixtures with highly memorized examples (singletons)",
        _always(*_of("singletons", MIXED)),
        partial(accuracy_tables.build, "table4"),
    ),
    Entry(
        "table5",
        "Table 5 of Choi et al.: five attacks on MNIST with CIFAR-10, by selection of the examples",
        _always(*_attacked("mnist_cifar10")),
        partial(attack_tables.build, "table5"),
    ),
    Entry(
        "figure1",
        "Figure 1 of Choi et al.: privacy scores of both groups, and against the MSP out-of-distribution score",
        _MNIST_RANDOM,
        score_figures.figure1,
    ),
    Entry(
        "figure2",
        "Figure 2 of Choi et al.: memorization and privacy score, and examples of low, middle and high memorization",
        _MNIST_RANDOM_AND_SINGLETONS,
        score_figures.figure2,
    ),
    Entry(
        "figure3",
        "Figure 3 of Choi et al.: AUROC of LiRA on the under-represented group by the number of shadow models",
        _RANDOM_AND_SINGLETONS,
        sweep_figures.figure3,
    ),
    Entry(
        "figure4",
        "Figure 4 of Choi et al. (section 8): memorization with and without DP-SGD at epsilon 3.2, on MNIST with SVHN",
        runs.defence,
        defence.build,
    ),
    Entry(
        "figure5",
        "Figure 5 of Choi et al.: privacy scores against the energy out-of-distribution score",
        _MNIST_RANDOM,
        partial(score_figures.against_ood, "figure5", "privacy_score", "ood_energy"),
    ),
    Entry(
        "figure6",
        "Figure 6 of Choi et al.: memorization on CIFAR-10 alone and with its under-represented groups",
        _always("cifar10", *_of("random", CIFAR10)),
        score_figures.figure6,
    ),
    Entry(
        "figure7",
        "Figure 7 of Choi et al.: AUROC of LiRA on the over-represented group by the number of shadow models",
        _ALONE_AND_RANDOM,
        partial(sweep_figures.sweep, "figure7", ("auroc",), sweep_figures.OVER),
    ),
    Entry(
        "figure8",
        "Figure 8 of Choi et al.: TPR of LiRA at 0.1% FPR by the number of shadow models",
        _RANDOM_AND_SINGLETONS,
        partial(
            sweep_figures.sweep, "figure8", ("tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target"), sweep_figures.BOTH
        ),
    ),
    Entry(
        "figure9",
        "Figure 9 of Choi et al.: memorization against the MSP out-of-distribution score (Hendrycks et al.)",
        _MNIST_RANDOM_AND_SINGLETONS,
        partial(score_figures.against_ood, "figure9", "memorization", "ood_msp"),
    ),
    Entry(
        "figure10",
        "Figure 10 of Choi et al.: memorization against the energy out-of-distribution score (Liu et al.)",
        _MNIST_RANDOM_AND_SINGLETONS,
        partial(score_figures.against_ood, "figure10", "memorization", "ood_energy"),
    ),
    Entry(
        "lira_figure12",
        "Figure 12 of LiRA (Carlini et al.): the target's architecture and the shadow models', each with each",
        runs.architectures,
        architectures.build,
    ),
    Entry(
        "lira_figure13",
        "Figure 13 of LiRA (Carlini et al.): privacy scores of examples ever further from CIFAR-10",
        _always("cifar10", *_of("random", SHIFTS)),
        shifts.build,
    ),
    Entry(
        "privacy_onion",
        "Section 8 of Choi et al., the privacy onion: what is memorized once the most memorized examples are gone?",
        privacy_onion.runs,
        privacy_onion.build,
    ),
    Entry(
        "ood_proxy",
        "Section 8 of Choi et al.: can an out-of-distribution score stand in for memorization?",
        _always(*_of("random", MIXED)),
        ood_proxy.build,
    ),
)
CATALOGUE = {entry.name: entry for entry in ENTRIES}
"""By name, in the papers' order."""
