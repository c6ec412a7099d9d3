"""What Docker's Python library does through an API of 2016 (DOCKER_API_VERSION), as a transcript."""
import os

import docker

P = os.environ["P"]
IMG = os.environ["IMG"]
client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version=os.environ["DOCKER_API_VERSION"])


def show(title, *values):
    print(f"{title}:", *(str(value).replace(P, "P") for value in values), flush=True)


info = client.info()
show("info", info["OSType"], type(info["Containers"]).__name__)
created = client.create_container(
    IMG,
    ["sh", "-c", "echo out; echo err >&2; sleep 100"],
    name=f"{P}-old",
    environment={"A": "1"},
    labels=["a"],
    volumes=["/data"],
    ports=[80],
    host_config=client.create_host_config(
        binds={f"{P}-vol": {"bind": "/data", "mode": "rw"}},
        port_bindings={80: ("127.0.0.1", None)},
        mem_limit="64m",
        restart_policy={"Name": "no"},
        log_config={"type": "json-file", "config": {"max-size": "1m"}},
    ),
)
container = created["Id"]
show("warnings", created.get("Warnings") or None)
client.start(container)
state = client.inspect_container(container)
show("inspect", state["State"]["Status"], state["HostConfig"]["Memory"], state["Config"]["Labels"], state["Mounts"][0]["Destination"])
show("port", client.port(container, 80)[0]["HostIp"])
execution = client.exec_create(container, ["sh", "-c", "echo in; exit 4"])
show("exec", client.exec_start(execution), client.exec_inspect(execution)["ExitCode"])
show("exec tty", client.exec_start(client.exec_create(container, ["tty"], tty=True), tty=True))
show("logs", sorted(client.logs(container).splitlines()))
show("stats", client.stats(container, stream=False)["memory_stats"]["limit"])
show("top", "PID" in client.top(container)["Titles"])
show("list", [each["Names"] for each in client.containers(filters={"label": "a", "name": P})])
client.pause(container)
client.unpause(container)
client.resize(container, 10, 10)
client.kill(container, "KILL")
show("wait", client.wait(container)["StatusCode"])
show("diff", client.diff(container) is not None)
client.rename(container, f"{P}-new")
client.remove_container(container, v=True)
client.remove_volume(f"{P}-vol")
client.tag(IMG, f"{P}/x", "1")
show("images", [tag for image in client.images(f"{P}/x") for tag in image["RepoTags"] if P in tag])
client.remove_image(f"{P}/x:1")
network = client.create_network(f"{P}-n", driver="bridge")
show("network", client.inspect_network(network["Id"])["Driver"])
client.remove_network(network["Id"])
