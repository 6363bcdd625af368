"""Who may talk to a cluster: what listens on its hosts, and what a stranger on the network is told."""

import json
import re

from tests.cluster.hosts import ADDRESSES, Hosts

LISTENERS = {
    22: "sshd",
    6379: "gcs",
    8076: "object manager",
    8077: "raylet",
    8078: "runtime environment agent",
    8079: "agent, gRPC",
    8080: "agent, metrics",
    8265: "dashboard",
    10001: "client server",
    44217: "autoscaler, metrics",
    44227: "dashboard, metrics",
    52365: "agent, HTTP",
}
"""Every port on which a host of the cluster may listen before there is work. Workers' own follow from 10002 on."""

ON_WORKERS = {22, 8076, 8077, 8078, 8079, 8080, 52365}

ASK = """
import json, sys, grpc
token = open("/root/.ray/auth_token").read().strip()
methods = {6379: "NodeInfoGcsService/GetAllNodeInfo", 8077: "NodeManagerService/GetSystemConfig", 8079: "ReporterService/GetTraceback",
           10001: "RayletDriver/ClusterInfo", 8076: "ObjectManagerService/Pull"}
def ask(port, method, given):
    header = (("authorization", f"Bearer {given}"),) if given else ()
    with grpc.insecure_channel(f"{sys.argv[1]}:{port}") as channel:
        try:
            channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=20, metadata=header)
            return "OK"
        except grpc.RpcError as error:
            return error.code().name
answers = {port: [ask(port, method, given) for given in ("", "0" * 64)] for port, method in methods.items()}
print(json.dumps({"strangers": answers, "member": ask(6379, methods[6379], token)}))
"""
"""Asks every gRPC port on the network: without a token, with a wrong one, and gcs with the right one."""

DRIVER = """
import ray, sys
try:
    ray.init("ray://" + sys.argv[1] + ":10001", log_to_driver=False, logging_level="ERROR")
    print("in")
except ConnectionError:
    print("refused")
"""


def check_tokens(hosts: Hosts, names: tuple[str, ...]) -> None:
    """Checks that every host has the token to itself, and that every process of Ray demands it and reports no statistics."""
    for name in names:
        assert hosts.run(name, "stat -c %a ~/.ray/auth_token ~/.ray").stdout.split() == ["600", "700"], name
        listed = "for p in $(pgrep -f 'python.*/ray/|core/src/ray/'); do tr '\\0' '\\n' < /proc/$p/environ 2> /dev/null | grep -E '^RAY_(AUTH_MODE|USAGE_STATS_ENABLED)=' | sort | xargs; done"
        found = {line for line in hosts.run(name, listed, check=False).stdout.splitlines() if line}
        assert found == {"RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0"}, (name, found)
    print(f"token file: mode 600 on {', '.join(names)}; every process of Ray demands it, and usage statistics are off")


def check_closed(hosts: Hosts) -> None:
    """Checks from the laptop what the head answers to one who has no token."""
    head = ADDRESSES["head"]
    assert http(hosts, "laptop", f"{head}:8265/api/jobs/") == "000"
    said = [
        http(hosts, "head", "127.0.0.1:8265/api/jobs/", f'-H "Authorization: Bearer {t}"' if t else "")
        for t in ("", "wrong")
    ]
    assert said == ["401", "403"], said
    agents = [
        http(hosts, "laptop", f"{head}:{path}")
        for path in ("52365/api/job_agent/jobs/", "8078/get_or_create_runtime_env")
    ]
    assert agents == ["401", "401"], agents
    print(
        "from the network the dashboard does not answer; its job API says 401 without token, 403 to a wrong one; the agents say 401"
    )
    python = "~/stridefold-venv/bin/python"
    answers = json.loads(hosts.run("laptop", f"{python} -c '{ASK}' {head}").stdout.splitlines()[-1])
    strangers = {code for codes in answers["strangers"].values() for code in codes}
    assert strangers == {"UNAUTHENTICATED"}, answers
    assert answers["member"] == "OK", answers
    driver = hosts.run("laptop", f"RAY_AUTH_MODE=disabled {python} -W ignore -c '{DRIVER}' {head}", timeout=120)
    assert "refused" in driver.stdout, driver
    print(
        f"without the token gcs, object manager, raylet, agent and client server ({', '.join(answers['strangers'])}) say UNAUTHENTICATED"
    )


def http(hosts: Hosts, name: str, url: str, *options: str) -> str:
    """Returns the status of an HTTP request from a host; 000 where nobody answers."""
    return hosts.run(
        name, f"curl -s -m 5 -o /dev/null -w '%{{http_code}}' {' '.join(options)} http://{url}", check=False
    ).stdout


def check_listeners(hosts: Hosts, names: tuple[str, ...]) -> None:
    """Checks that nothing listens that is not known by its port, and that the dashboard does so on loopback alone."""
    for name in names:
        rows = [line.split() for line in hosts.run(name, "ss -Hltnp").stdout.splitlines()]
        found = {int(row[3].rpartition(":")[2]): row for row in rows}
        unknown = {
            port: row for port, row in found.items() if port not in (LISTENERS if name == "head" else ON_WORKERS)
        }
        assert not unknown, (name, unknown)
        if name == "head":
            assert re.fullmatch(r"127\.0\.0\.1:8265", found[8265][3])
            print("listening on the head: " + ", ".join(f"{port} {LISTENERS[port]}" for port in sorted(found)))
        elif name == names[-1]:
            print("listening on a worker: " + ", ".join(str(port) for port in sorted(found)))
