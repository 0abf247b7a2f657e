"""Table 3 of Choi et al.: five attacks on CIFAR-10 with augCIFAR-10 and CIFAR-100, by selection of the examples.

    python -m experiments.table3 --scale=cpu --data_dir=DATA

Cost: smoke 10 minutes; cpu 4.5 hours on two cores; paper 8 x 2,000 models.
The paper: LiRA's AUROC is 0.72 to 0.87 on all examples, 0.93 and 0.96 on random under-represented ones, 1.0 on
singletons, where its TPR at 0.1% FPR is 98% and 100%.
"""

from experiments.reproduction import attack_tables, command


def names(scale: str) -> list[str]:
    """The runs."""
    return attack_tables.names(("cifar10_augcifar10", "cifar10_cifar100"), alone="cifar10")


def build(measured):
    """The table."""
    return attack_tables.build("table3", measured)


if __name__ == "__main__":
    command.main("table3", __doc__, names, build)
