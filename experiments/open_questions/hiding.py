"""LiRA's first open question: does hiding confidences stop a strong attack at a low false positive rate (FPR)?

    python -m experiments.open_questions.hiding --logdirs runs/mnist_svhn_cpu runs/cifar10_cpu

A defence changes what a finished model returns and keeps its label; nothing is trained again. Two attackers meet it.
The adaptive one sends the shadow models' answers through the same defence. The unaware one fits the shadow models as
they are. The defences work on the answers to the image as it is, the first query.
Writes hiding.csv and a figure for each LOGDIR into experiments/results/open_questions.
Cost: about a minute per LOGDIR of 32 models and 2,625 examples on one core, besides its training.
Measured: experiments/results/open_questions/hiding.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

import mia_tf
from experiments import commands
from experiments.open_questions import rates
from mia_tf.attacks.lira import recommended_online
from mia_tf.figures import style
from mia_tf.validation import check, part_of

OUT = Path(__file__).parent.parent / "results" / "open_questions"
TEMPERATURE = 5.0
NOISE = 0.5
"""Share of random confidences in what the noise defence returns."""
BESIDE_LIRA = ("yeom", "rmia", "label_only")
"""The attacks, besides the LiRA variant that the number of models recommends."""
METRICS = ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
COLUMNS = (
    *("dataset", "num_models", "defence", "attacker", "attack", "population", "metric", "value", "ci_low", "ci_high"),
    *("num_targets", "num_members", "num_nonmembers", "seed", "note"),
)
ATTACKERS = ("adaptive", "unaware")
Defence = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""(..., C) logits and a generator -> (..., C) logits of what the defended model returns."""


def top_confidence(digits: int) -> Defence:
    """The label and its confidence, rounded to `digits` decimals; the attacker spreads the rest evenly.

    A confidence that is rounded to 1 counts as 1 - 10^-digits / 4, the middle of such confidences.
    """

    def hide(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        num_classes = logits.shape[-1]
        confidence = softmax(np.asarray(logits, np.float64), axis=-1).max(axis=-1).round(digits)
        confidence = confidence.clip(1 / num_classes + 1e-6, 1 - 10**-digits / 4)
        return _with_label(logits, np.log(confidence), np.log((1 - confidence) / (num_classes - 1)))

    return hide


def label_alone(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The label and no confidence."""
    return _with_label(logits, np.ones(logits.shape[:-1]), np.zeros(logits.shape[:-1]))


def temperature(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The softmax at a temperature: logits / TEMPERATURE."""
    return logits / TEMPERATURE


def noise(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Confidences mixed with random ones that have the same label (after MemGuard, Jia et al. 2019).

    Those are drawn evenly from all confidences, and their largest goes to the label. MemGuard instead seeks the noise
    that one known attack network takes for a non-member's; this noise knows no attack.
    """
    confidences = softmax(np.asarray(logits, np.float64), axis=-1)
    drawn = rng.dirichlet(np.ones(logits.shape[-1]), size=logits.shape[:-1])
    label = logits.argmax(axis=-1)[..., None]
    top = drawn.argmax(axis=-1)[..., None]
    largest, other = (np.take_along_axis(drawn, place, axis=-1) for place in (top, label))
    np.put_along_axis(drawn, top, other, axis=-1)
    np.put_along_axis(drawn, label, largest, axis=-1)
    return np.log((1 - NOISE) * confidences + NOISE * drawn)


DEFENCES: dict[str, tuple[str, Defence]] = {
    "none": ("no defence", lambda logits, rng: logits),
    "temperature": (f"temperature {TEMPERATURE:g}", temperature),
    "round_3": ("label, 3 decimals", top_confidence(3)),
    "round_2": ("label, 2 decimals", top_confidence(2)),
    "round_1": ("label, 1 decimal", top_confidence(1)),
    "noise": ("noise that keeps the label", noise),
    "label": ("label alone", label_alone),
}
"""Name -> (what tables and figures call it, the defence)."""


def hidden(shadows: mia_tf.ShadowModels, defence: str, seed: int) -> mia_tf.ShadowModels:
    """Returns the record, in memory, of the same models behind a defence, with one query.

    The noise of a model's answer to an example is drawn once, so that asking again does not help.
    """
    hide = DEFENCES[defence][1]
    models = []
    for number, model in enumerate(shadows.models):
        logits = hide(shadows.read_logits(number)[:, :1], np.random.default_rng([seed, number])).astype(np.float32)
        read = {"read": lambda start, stop, logits=logits: logits[start:stop], "shape": logits.shape}
        models.append(replace(model, **read))
    record = shadows.subset([])
    record.models, record.outputs = models, "logits"
    return record


def rows(shadows: mia_tf.ShadowModels, seed: int) -> Iterable[tuple]:
    """Rows of the CSV, of one record."""
    attacks = (*BESIDE_LIRA, recommended_online(len(shadows)))
    open_record = hidden(shadows, "none", seed)
    for defence in DEFENCES:
        record = hidden(shadows, defence, seed)
        for attacker in ATTACKERS:
            if attacker == "unaware" and defence == "none":
                continue
            known = (record,) if attacker == "adaptive" else (open_record, record)
            table = mia_tf.audit(*known, attacks=attacks, fpr=(0.01, 0.001), seed=seed).attacks
            for row in table[table["metric"].isin(METRICS)].itertuples(index=False, name=None):
                yield (shadows.about.name, len(shadows), defence, attacker, *row[:-1], seed, row[-1])


def draw(table: Iterable[Mapping], attacker: str = "adaptive") -> Figure:
    """Draws one attacker's AUROC and TPR at 0.1% FPR on all examples of one record, by defence and attack."""
    wanted = [row for row in table if row["population"] == "all" and row["attacker"] == attacker]
    looks = style.attack_styles(row["attack"] for row in wanted)
    markers = dict(zip(looks, "oD^sv", strict=False))
    series = {name: (look.label, style.GroupStyle(look.colour, markers[name], "-", "")) for name, look in looks.items()}
    names = {name: title for name, (title, _) in DEFENCES.items()}

    def values(metric: str) -> dict:
        return {
            (row["defence"], row["attack"]): tuple(float(row[name]) for name in ("value", "ci_low", "ci_high"))
            for row in wanted
            if row["metric"] == metric
        }

    first = wanted[0]
    words = f"{first['dataset']}, {first['num_models']} models, {attacker} attacker; grey: random guess. 95% intervals."
    return rates.draw(names, series, values, 5.2, words)


def main() -> None:
    """Hides the answers of every LOGDIR and attacks them."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdirs", type=commands.folder, nargs="+", required=True, help="runs with logits")
    parser.add_argument("--seed", type=int, default=0, help="of the noise and the bootstrap")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV and the figures")
    options = parser.parse_args()
    records = [mia_tf.ShadowModels.open(folder, argument="logdirs") for folder in options.logdirs]
    for folder, shadows in zip(options.logdirs, records, strict=True):
        check(part_of("logdirs", str(folder)), "only scores", shadows.has_logits, "must hold logits")
    by_record = {shadows.about.name: list(rows(shadows, options.seed)) for shadows in records}
    rates.write("hiding", COLUMNS, by_record, draw, options.out)


def _with_label(logits: np.ndarray, top: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(..., C) with `top` (...) in the place of the largest logit and `others` (...) elsewhere."""
    answers = np.repeat(others[..., None], logits.shape[-1], axis=-1)
    np.put_along_axis(answers, logits.argmax(axis=-1)[..., None], top[..., None], axis=-1)
    return answers


if __name__ == "__main__":
    commands.run(main)
