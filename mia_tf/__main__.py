"""`python -m mia_tf` lists the commands."""

from mia_tf import __version__

COMMANDS = {
    "train": "trains shadow models on random subsets of a data set",
    "analyze": "measures memorization and membership inference on them",
    "plot": "draws the figures of an analysis",
    "report": "writes the page to hand over: one HTML file, and its numbers as JSON",
    "inference": "asks kept weights again, for more queries per example",
}
"""Command -> what it does."""


def main() -> None:
    """Prints the commands."""
    print(f"mia_tf {__version__}: measures what a trained model remembers of its training data\n")
    for name, what in COMMANDS.items():
        print(f"  python -m mia_tf.{name:10} {what}")
    print("\nEach lists its flags with --help. In Python: import mia_tf; help(mia_tf.audit)")


if __name__ == "__main__":
    main()
