"""Table 5 of Choi et al.: five attacks on MNIST with CIFAR-10, by selection of the under-represented examples.

    python -m experiments.table5 --scale=cpu --data_dir=DATA

Cost: smoke 4 minutes; cpu 1 hour on two cores; paper 3 x 2,000 models.
The paper: LiRA's AUROC on the under-represented examples is 0.96 (random), 0.97 (subpopulation) and 1.0 (singletons).
"""

from experiments.reproduction import attack_tables, command


def names(scale: str) -> list[str]:
    """The runs."""
    return attack_tables.names(("mnist_cifar10",))


def build(measured):
    """The table."""
    return attack_tables.build("table5", measured)


if __name__ == "__main__":
    command.main("table5", __doc__, names, build)
