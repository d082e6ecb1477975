"""The result of a scrape, by series."""

from itertools import chain

from ccari.metrics.registry import Registry


def scraped(registry: Registry) -> dict[str, float]:
    """Each of our series, as a query names it, with its value."""
    return {
        f"{sample.name}{_labels(sample.labels)}": sample.value
        for family in chain(registry._read(), registry._counted())
        for sample in family.samples
        if sample.name.startswith("ccari_")
    }


def _labels(labels: dict[str, str]) -> str:
    told = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""
