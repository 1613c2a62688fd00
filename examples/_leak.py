"""Tables and plots of how much a leak by lesion raises the scores."""

from _splits import SPLITS, mean_interval
from rich.table import Table

# Scores without and with the leak.
PAIRS = {
    "Each split on its own test images": SPLITS[::-1],
    "The same test images, without and with other images of their lesions in a "
    "training set of the same size": ("without", "with"),
    "Those of these test images that have such other images": (
        "seen without",
        "seen with",
    ),
}


def summarize_leak(scores):
    """Return means and the interval of their difference, for JSON."""
    return {
        f"{honest}, {leaking}": {
            metric: [
                *(scores[split][metric].mean() for split in (honest, leaking)),
                *mean_interval(scores[leaking][metric] - scores[honest][metric]),
            ]
            for metric in scores[honest]
        }
        for honest, leaking in PAIRS.values()
    }


def print_leak(console, scores, arguments):
    """Print the mean scores without and with the leak, and their difference."""
    table = Table(
        title=f"A support vector machine on features of {arguments.leak_backbone}, "
        f"means over {arguments.repeats} splits"
    )
    for name in ("", "without leak", "with leak", "difference [95 % interval]"):
        table.add_column(name, justify="right" if name else "left")
    for title, (honest, leaking) in PAIRS.items():
        table.add_row(f"[bold]{title}")
        for metric in scores[honest]:
            pair = scores[honest][metric], scores[leaking][metric]
            mean, low, high = mean_interval(pair[1] - pair[0])
            table.add_row(
                metric,
                *(f"{values.mean():.3f}" for values in pair),
                f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]",
                end_section=metric == list(scores[honest])[-1],
            )
    console.print(table)


def plot_leak(scores):
    """Plot the differences caused by the leak, with their intervals."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    labels = ("own test images", "same test images", "lesion also in training")
    metrics = list(scores["with"])
    figure, axes = plt.subplots(figsize=(8.5, 3.5), layout="constrained")
    for offset, (label, (honest, leaking)) in enumerate(
        zip(labels, PAIRS.values(), strict=True)
    ):
        for row, metric in enumerate(metrics):
            gain = scores[leaking][metric] - scores[honest][metric]
            mean, low, high = mean_interval(gain)
            axes.errorbar(
                mean,
                row + 0.2 * (offset - 1),
                xerr=[[mean - low], [high - mean]],
                marker="o",
                color=f"C{offset}",
                capsize=3,
                label=label if row == 0 else None,
            )
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_yticks(range(len(metrics)), metrics)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set(
        xlabel="score with leak minus score without, 95 % interval",
        title="Effect of other images of the tested lesions",
    )
    figure.legend(loc="outside right upper")
    return figure
