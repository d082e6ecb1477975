"""Whoever is woken by a Prometheus alert is told what to do."""

import itertools
import json
import re
from pathlib import Path

from ccari.metrics import catalogue
from tests.integration.prometheus import queries_of

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "docker" / "grafana" / "ccari.json"
RULES = (ROOT / "docker" / "prometheus" / "ccari.rules.yml").read_text("utf-8")


def anchors(document: str) -> set[str]:
    """As GitHub makes them from headings."""
    heads = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in heads}


def test_an_alert_leads_to_no_advice() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES)
    led = re.findall(r"runbook_url: (\S+)#(\S+)", RULES)
    assert len(alerts) == len(set(alerts)) == len(led) > 20
    for page, anchor in led:
        assert anchor in anchors((ROOT / page).read_text("utf-8")), anchor


def test_nobody_knows_how_urgent_an_alert_is() -> None:
    told = re.findall(r"^        labels: \{severity: (?:page|ticket)\}$", RULES, re.MULTILINE)
    assert len(told) == RULES.count("- alert: ")


def test_a_rule_or_a_panel_waits_for_a_metric_that_does_not_exist() -> None:
    exposed = {name for family in catalogue.families() for name in family.exposed}
    of_rules = set(re.findall(r"\bccari_\w+", RULES))
    of_panels = {name for each in queries_of(DASHBOARD) for name in re.findall(r"\bccari_\w+", each)}
    assert len(of_rules) > 15
    assert of_rules - exposed == set()
    assert of_panels - exposed == set()


def test_a_rule_or_a_panel_asks_for_a_value_that_no_label_has() -> None:
    """If a label's values are a closed list, a typing error would wait for ever."""
    known = {
        family.name: {each.name: each.values for each in family.labels} for family in catalogue.families()
    }
    for query in (RULES, *queries_of(DASHBOARD)):
        for metric, matchers in re.findall(
            r"\b(ccari_\w+?)(?:_total|_bucket|_count|_sum)?\{([^{}]*)\}", query
        ):
            for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
                values = known[metric].get(label, ())
                if label not in {"job", "instance"} and values:
                    assert set(value.split("|")) <= set(values), (metric, label, how, value)


def test_panels_of_the_dashboard_lie_on_one_another() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    places: dict[tuple[int, int], str] = {}
    for each in panels:
        at = each["gridPos"]
        assert at["x"] + at["w"] <= 24
        for place in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert place not in places, (each["title"], places[place])
            places[place] = each["title"]
