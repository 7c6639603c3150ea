"""What is deployed: the compose file's rules, and dashboards and alerts that speak of metrics that exist."""

import http.client
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import prometheus_client
import pytest
import yaml

from processors.ads.alerts import TEXTS
from processors.ads.no_bid import NoBid
from processors.evaluation.live_quality import Choices, Observations, ShownSlates
from processors.evaluation.published import Judged
from streams.broker.process import LOOPBACK, ChildProcess, free_port
from streams.engine.topology import build_topology
from streams.settings.loading import load_settings
from streams.settings.sections import Settings, WorkerSettings
from streams.worker.metrics import Metrics
from streams.worker.rule_warnings import STATES
from streams.worker.step_metrics import STEPS

CHECKOUT = Path(__file__).resolve().parent.parent
PROMETHEUS = CHECKOUT / "dashboards" / "prometheus"
GRAFANA = CHECKOUT / "dashboards" / "grafana"
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GRAFANA.glob("*.json"))
}
PANELS: dict[str, dict[str, Any]] = {
    f"{name} {panel['id']} {panel['title']}": panel
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
}
DEBIAN_PACKAGE = "install it to run this test (Debian: apt-get install prometheus)"

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
every_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)


def alert_rules() -> list[dict[str, Any]]:
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"]]


def panel_expressions() -> dict[str, str]:
    return {
        f"{name} {target['refId']}": target["expr"] for name, panel in PANELS.items() for target in panel["targets"]
    }


def expressions() -> list[str]:
    """Every PromQL expression there is."""
    variables = [
        variable["query"]["query"]
        for dashboard in DASHBOARDS.values()
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    annotations = [
        annotation["expr"]
        for dashboard in DASHBOARDS.values()
        for annotation in dashboard["annotations"]["list"]
        if "expr" in annotation
    ]
    return [*panel_expressions().values(), *variables, *annotations, *(rule["expr"] for rule in alert_rules())]


def series_by_family() -> dict[str, set[str]]:
    """The names that Prometheus knows each family of metrics by."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    return {
        family.name: {f"{family.name}{suffix}" for suffix in suffixes[family.type]}
        for family in Metrics().registry.collect()
    }


def named_metrics() -> set[str]:
    return {name for expression in expressions() for name in re.findall(r"\bnearstream_\w+", expression)}


@every_service
def test_every_service_has_a_health_check(service: dict[str, Any]) -> None:
    assert "healthcheck" in service or ("build" in service and "HEALTHCHECK" in DOCKERFILE)


def test_the_image_is_healthy_when_the_worker_is_ready() -> None:
    check = DOCKERFILE.split("HEALTHCHECK", 1)[1]

    assert "'/readyz'" in check
    assert "NEARSTREAM_WORKER__WEB_PORT" in check


@every_service
def test_every_service_runs_as_an_ordinary_user(service: dict[str, Any]) -> None:
    assert service["user"].split(":")[0] not in {"", "0", "root"}


def test_the_image_uses_the_kernels_that_its_build_has_compiled() -> None:
    build, image = (dict(re.findall(r"(NUMBA_\w+)=(\S+)", stage)) for stage in DOCKERFILE.split("\nFROM ")[0:2])
    assert build == image == {"NUMBA_CACHE_DIR": "/opt/nearstream/kernels", "NUMBA_CPU_NAME": "generic"}
    assert build["NUMBA_CACHE_DIR"].startswith("/opt/nearstream/"), "it is copied with the rest"
    assert DOCKERFILE.index("NUMBA_CPU_NAME") < DOCKERFILE.index("nearstream warm") < DOCKERFILE.index("\nFROM ")


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


@every_service
def test_every_service_is_confined(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert not {"privileged", "network_mode", "pid", "cap_add", "devices"} & service.keys()


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "kafka"])
def test_root_file_systems_are_read_only_save_that_of_kafka(name: str) -> None:
    assert SERVICES[name]["read_only"] is True


@every_service
def test_ports_are_published_on_loopback_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@every_service
def test_images_have_a_pinned_version(service: dict[str, Any]) -> None:
    tag = service["image"].partition(":")[2]

    assert "build" in service or re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


@every_service
def test_no_password_is_written_down(service: dict[str, Any]) -> None:
    secrets = {
        name: value
        for name, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|SECRET|TOKEN|CREDENTIAL", name)
    }

    assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secrets.values())


def test_grafana_does_not_start_without_a_password_and_shows_nothing_without_one() -> None:
    environment = SERVICES["grafana"]["environment"]

    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_ADMIN_PASSWORD:?")
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "${GRAFANA_ANONYMOUS_VIEWERS:-false}"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_example_environment_names_every_variable_and_no_password() -> None:
    lines = (CHECKOUT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used = set(re.findall(r"\$\{(\w+)", (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")))

    assert example.keys() == used
    assert example["GRAFANA_ADMIN_PASSWORD"] == ""


def test_the_worker_understands_its_environment() -> None:
    image = dict(re.findall(r"(NEARSTREAM_\w+)=(\S+)", DOCKERFILE))
    compose = {name: _with_defaults(value) for name, value in SERVICES["worker"]["environment"].items()}

    settings = load_settings(environment={**image, **compose})

    assert settings.kafka.brokers == "kafka:19092"
    assert settings.worker.state_dir == SERVICES["worker"]["volumes"][0]["target"]
    assert settings.worker.web_host == "0.0.0.0"


def test_workers_can_be_scaled() -> None:
    worker = SERVICES["worker"]

    assert not {"container_name", "ports", "hostname"} & worker.keys()
    assert "source" not in worker["volumes"][0]


def test_prometheus_finds_every_worker_by_name() -> None:
    job = _prometheus_config()["scrape_configs"][0]

    assert job["dns_sd_configs"][0]["names"] == ["worker"]
    assert job["dns_sd_configs"][0]["port"] == WorkerSettings().web_port
    assert set(SERVICES["worker"]["networks"]) & set(SERVICES["prometheus"]["networks"])


def test_grafana_reads_what_is_mounted() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "nearstream.yml").read_text(encoding="utf-8"))
    mount = provider["providers"][0]["options"]["path"]

    assert f"./dashboards/grafana:{mount}:ro" in SERVICES["grafana"]["volumes"]
    assert SERVICES["grafana"]["environment"]["GF_PATHS_PROVISIONING"] == f"{mount}/provisioning"
    assert source["datasources"][0]["jsonData"]["timeInterval"] == _prometheus_config()["global"]["scrape_interval"]


def test_dashboards_and_alerts_name_only_metrics_that_exist() -> None:
    assert named_metrics() - {name for names in series_by_family().values() for name in names} == set()


def test_outcomes_and_states_of_ads_are_named_as_workers_name_them() -> None:
    outcomes = {"filled", *(code.name.lower() for code in NoBid)}
    states = {"running", "paused", "ended", "spent", "left_out"}

    def named(family: str, label: str) -> set[str]:
        selectors = re.findall(rf'\b{family}{{[^}}]*\b{label}[!=]~?"([^"]+)"', "\n".join(expressions()))
        return {name for selector in selectors for name in selector.split("|")}

    assert {"filled", "no_consent"} <= named("nearstream_ad_decisions_total", "outcome") <= outcomes
    assert {"running", "left_out"} <= named("nearstream_campaigns", "state") <= states


def test_every_metric_is_on_a_dashboard_or_in_an_alert() -> None:
    named = named_metrics()

    assert [family for family, names in series_by_family().items() if not names & named] == []


def test_lag_rules_cover_the_source_topics_of_every_plane() -> None:
    rule = next(r["expr"] for r in alert_rules() if r.get("record") == "plane_partition:nearstream_lag_records:sum")
    topics = dict(re.findall(r'topic=~?"([^"]+)"\}\s*\),\s*"plane", "(\w+)"', rule))

    assert set(topics.values()) == {plane.name for plane in build_topology(Settings()).planes}
    for plane in build_topology(Settings()).planes:
        for topic in plane.source_topics:
            assert [name for pattern, name in topics.items() if re.fullmatch(pattern, topic)] == [plane.name]


@every_panel
def test_panels_explain_themselves(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@every_panel
def test_panels_follow_the_variables(panel: dict[str, Any]) -> None:
    selectors = [s for target in panel["targets"] for s in re.findall(r"nearstream_\w+(\{[^}]*\})?", target["expr"])]

    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert all('job=~"$job"' in selector and 'instance=~"$instance"' in selector for selector in selectors)


def test_dashboard_uids_and_panel_ids_are_unique() -> None:
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS) > 0
    for dashboard in DASHBOARDS.values():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_lead_to_each_other_and_keep_what_was_chosen(name: str) -> None:
    (link,) = DASHBOARDS[name]["links"]

    assert link["type"] == "dashboards"
    assert [other for other in DASHBOARDS if not set(link["tags"]) <= set(DASHBOARDS[other]["tags"])] == []
    assert link["includeVars"]
    assert link["keepTime"]
    assert DASHBOARDS[name]["templating"] == DASHBOARDS["nearstream.json"]["templating"]


def test_everything_about_ads_is_on_a_dashboard_of_its_own() -> None:
    def shown(dashboard: str) -> set[str]:
        return set(re.findall(r"\bnearstream_\w+", json.dumps(DASHBOARDS[dashboard]["panels"])))

    about_ads = re.compile(r"nearstream_(ad_|campaign|pacing_|attribution_|(click|purchase)_calibration)")
    families = {family: names for family, names in series_by_family().items() if about_ads.match(family)}

    assert DASHBOARDS["ads.json"]["title"] == "Ads"
    assert [family for family, names in families.items() if not names & shown("ads.json")] == []
    assert [name for name in shown("nearstream.json") if about_ads.match(name)] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    for one, other in combinations([panel["gridPos"] for panel in dashboard["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_are_formatted(name: str) -> None:
    text = (GRAFANA / name).read_text(encoding="utf-8")

    assert text == json.dumps(DASHBOARDS[name], indent=2, ensure_ascii=False) + "\n"


def test_every_alert_has_a_unit_test() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    alerts = [alert for case in cases for alert in case.get("alert_rule_test", [])]
    fired = {alert["alertname"] for alert in alerts if alert["exp_alerts"]}

    assert {rule["alert"] for rule in alert_rules() if "alert" in rule} == fired


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("check", "config"), "prometheus.yml"),
        (("check", "rules"), "alerts.yml"),
        (("test", "rules"), "alerts_test.yml"),
    ],
    ids=["config", "rules", "unit tests"],
)
def test_promtool_is_content(arguments: tuple[str, str], file: str) -> None:
    command = [_tool("promtool"), *arguments, file]

    done = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Asks a Prometheus that has the rules of the deployment and scrapes a worker's metrics with sample values."""
    program = _tool("prometheus")
    directory = tmp_path_factory.mktemp("prometheus")
    metrics, port = Metrics(), free_port()
    server, thread = prometheus_client.start_http_server(0, addr=LOOPBACK, registry=metrics.registry)
    config = _prometheus_config()
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"{LOOPBACK}:{server.server_port}"]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    options = {
        "config.file": directory / "prometheus.yml",
        "storage.tsdb.path": directory / "data",
        "web.listen-address": f"{LOOPBACK}:{port}",
    }
    process = ChildProcess([program, *(f"--{name}={value}" for name, value in options.items())], directory / "log")
    try:
        deadline = time.monotonic() + 60
        while not _has_enough(port):
            if process.exit_code is not None or time.monotonic() > deadline:
                pytest.fail(process.log.read_text(encoding="utf-8"))
            _work(metrics)
            time.sleep(0.5)
        yield lambda path, **parameters: _ask(port, path, **parameters)
    finally:
        process.stop()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("expression", panel_expressions().values(), ids=panel_expressions())
def test_panels_show_something_once_workers_work(expression: str, query: Callable[..., Any]) -> None:
    values = {"$job": ".+", "$instance": ".+", "$__rate_interval": "10s", "$__range": "1m"}
    for name, value in values.items():
        expression = expression.replace(name, value)

    answer = query("query", query=expression)

    assert answer["status"] == "success"
    assert [sample for sample in answer["data"]["result"] if sample["value"][1] != "NaN"]


@pytest.mark.slow
def test_prometheus_evaluates_every_rule(query: Callable[..., Any]) -> None:
    rules = [rule for group in query("rules")["data"]["groups"] for rule in group["rules"]]

    assert len(rules) == len(alert_rules())
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}


@pytest.mark.slow
def test_alerts_are_silent_while_all_is_well(query: Callable[..., Any]) -> None:
    alerts = query("alerts")["data"]["alerts"]

    assert [alert["labels"]["alertname"] for alert in alerts] == []


def _work(metrics: Metrics) -> None:
    """What half a second of healthy work leaves in the metrics; every family gets a value."""
    own = metrics.partitions
    for plane in build_topology(Settings()).planes:
        for topic in plane.source_topics:
            own.lag.labels(topic, "0").set(0)
            own.lost.labels(topic)
        for step in STEPS:
            metrics.steps.seconds.labels(plane.name, step).observe(0.004)
        for stage in ("read", "fold", "changelog"):
            metrics.steps.stages.labels(plane.name, stage).inc(0.001)
        for gauge in (own.commit_age, own.store_bytes, own.store_memory, own.store_decoded, own.restore_seconds):
            gauge.labels(plane.name, "0").set(0.5)
        metrics.steps.batch_records.labels(plane.name).observe(25)
        metrics.steps.held.labels(plane.name).inc(30)
        metrics.steps.held_age.labels(plane.name).set(20)
        metrics.steps.expired.labels(plane.name).inc(9)
        own.assigned.labels(plane.name).set(1)
        own.standby.labels(plane.name).set(1)
        own.standby_behind.labels(plane.name).set(3)
        own.restored.labels(plane.name).inc(0)
        for counter in (own.repeated, own.gaps, own.chain_breaks):
            counter.labels(plane.name)
    for outcome in ("accepted", "repaired", "duplicate", "forwarded", "refused"):
        metrics.steps.events.labels("events.click.v1", outcome).inc(200 if outcome == "accepted" else 1)
        metrics.steps.events.labels("ads.requests.v1", outcome).inc(20 if outcome == "accepted" else 0)
    metrics.steps.dead_letters.labels("not_json").inc()
    metrics.steps.outputs.labels("recommendations.v1").inc(200)
    metrics.steps.latency.observe(0.06)
    metrics.read_models.items.set(1000)
    metrics.read_models.evictions.set(0)
    metrics.read_models.age.set(0.2)
    choice = Choices("any", np.array([0.5]), np.array([True]))
    judged = Judged("home", np.array([3]), np.array([True]))
    shown = ShownSlates.of("home", np.array([[1, 2]]), np.array([[1, 2]]), np.array([[0.1, 0.2]]))
    metrics.quality.live.take(Observations([judged], [choice], [shown]))
    metrics.quality.refresh()
    metrics.ranker.examples.inc(20)
    metrics.ranker.missed.set(0.4)
    metrics.ranker.miss_alarms.set(0)
    for order in ("learned", "covisitation"):
        metrics.ranker.gain.labels(order).set(0.2)
    metrics.read_models.groups.labels("0", "tents").set(0.4)
    metrics.rules.share.labels("small-brands").set(0.2)
    metrics.rules.offset.labels("small-brands").set(1.5)
    metrics.rules.minimum.labels("small-brands").set(0.15)
    metrics.rules.maximum.labels("small-brands").set(1.0)
    metrics.ranker.exploration.set(0.5)
    metrics.ranker.removed.labels("rules").inc(40)
    metrics.ranker.unlearned.labels("rate").inc(3)
    _advertise(metrics)
    for state in STATES:
        metrics.rules.states.labels(state).set(1 if state == "known" else 0)
    metrics.ready.set(1)


def _advertise(metrics: Metrics) -> None:
    """The same of ads."""
    for outcome in ("filled", "paced"):
        metrics.ads.decisions.labels(outcome).inc(20)
    for alert in TEXTS:
        metrics.ads.alerts.labels(alert).set(0)
    for state in ("running", "paused", "ended", "spent", "left_out"):
        metrics.ads.campaigns.labels(state).set(0 if state == "left_out" else 1)
    for gauge, figure in (
        (metrics.ads.spent, 30.0),
        (metrics.ads.unbilled, 0.5),
        (metrics.ads.budget, 90.0),
        (metrics.ads.click_calibration, 1.02),
        (metrics.ads.purchase_calibration, 0.98),
    ):
        gauge.labels("cpc").set(figure)
    metrics.ads.spent_ratio.labels("spring").set(0.3)
    metrics.ads.today.labels("spring", "clicks").set(4)
    metrics.ads.count_folded({"part": 1})
    metrics.ads.pacing_error.set(0.02)
    for event in ("click", "purchase"):
        for by in ("model", "usual share"):
            metrics.ads.log_loss.labels(event, by).set(0.2)
        metrics.ads.entropy.labels(event).set(0.9)
        metrics.ads.attribution_delay.labels(event).observe(40.0)


def _has_enough(port: int) -> bool:
    """Whether there are samples for rates, and the rules have been evaluated on them."""
    try:
        scrapes = _ask(port, "query", query="count_over_time(nearstream_ready[1m])")["data"]["result"]
        recorded = _ask(port, "query", query="plane:nearstream_lag_records:sum")["data"]["result"]
    except OSError:
        return False
    return bool(recorded) and int(scrapes[0]["value"][1]) >= 4


def _ask(port: int, path: str, **parameters: str) -> Any:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
        return json.load(connection.getresponse())
    finally:
        connection.close()


def _prometheus_config() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    return config


def _with_defaults(value: str) -> str:
    """A compose variable as it is with an empty environment."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no `{name}` on the PATH: {DEBIAN_PACKAGE}")
    return found
