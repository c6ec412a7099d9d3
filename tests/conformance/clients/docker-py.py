"""What Docker's Python library does with an engine, as a transcript; P is a prefix for names, IMG the base image."""
import io
import json
import os
import re
import tarfile
import threading
import time

import docker

P = os.environ["P"]
IMG = os.environ["IMG"]
client = docker.from_env(version=os.environ.get("DOCKER_API_VERSION") or None)


def show(title, *values):
    print(f"{title}:", *values, flush=True)


def stable(text):
    """The words that no engine version changes: without names, ids and the layers before the cause."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "ID", text.replace(P, "P"))
    text = re.sub(r"^(no such image: \S+: |.*(?=unable to start)|cannot kill container: \S+: )", "", text, flags=re.I)
    return text[:1].upper() + text[1:]


def plain(value):
    return json.dumps(value, sort_keys=True).replace(P, "P")


def fails(title, call):
    try:
        call()
        show(title, "no error")
    except docker.errors.DockerException as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        text = str(getattr(error, "explanation", None) or getattr(error, "msg", None) or error)
        show(title, type(error).__name__, status, stable(text))


def archive(name, text):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


show("ping", client.ping())
show("version", client.version()["Os"], client.version()["Arch"])
info = client.info()
show("info", info["OSType"], info["Driver"], info["LoggingDriver"], type(info["Containers"]).__name__)

# run
show("run", client.containers.run(IMG, ["echo", "hi"], remove=True))
show("run stderr", client.containers.run(IMG, ["sh", "-c", "echo out; echo err >&2"], remove=True, stdout=False, stderr=True))
try:
    client.containers.run(IMG, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
except docker.errors.ContainerError as error:
    show("run failing", error.exit_status, error.stderr)
fails("run missing program", lambda: client.containers.run(IMG, ["nosuchprogram"], name=f"{P}-np"))
client.containers.get(f"{P}-np").remove()
fails("missing container", lambda: client.containers.get(f"{P}-nosuch"))
fails("missing image", lambda: client.images.get(f"{P}/nosuch:1"))

# a life
events = []
started = time.time() - 1
stream = client.events(decode=True, filters={"label": f"life={P}", "type": "container"})
reader = threading.Thread(target=lambda: events.extend(stream), daemon=True)
reader.start()
time.sleep(0.3)
container = client.containers.create(
    IMG,
    ["sh", "-c", "trap 'exit 7' TERM; echo begun; echo oops >&2; while :; do sleep 0.1; done"],
    name=f"{P}-life",
    labels={"life": P, "b": ""},
    environment={"A": "1"},
    hostname="box",
    mem_limit="64m",
    cpu_shares=512,
    ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
    mounts=[docker.types.Mount("/data", f"{P}-vol", labels={"x": "y"})],
    tmpfs={"/t": "size=1m"},
    restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
    extra_hosts={"db": "10.9.8.7"},
    healthcheck={"test": ["CMD", "true"], "interval": 300 * 10**6, "retries": 2},
    stop_signal="TERM",
    cap_drop=["NET_RAW"],
    ports={"80/tcp": ("127.0.0.1", None)},
)
show("created", container.status)
container.start()
for _ in range(100):
    container.reload()
    if container.attrs["State"]["Health"]["Status"] == "healthy":
        break
    time.sleep(0.1)
show("started", container.status, container.attrs["State"]["Health"]["Status"])
show("short id", len(container.short_id), len(container.id))
host_config = container.attrs["HostConfig"]
for key in ("Memory", "CpuShares", "Ulimits", "Tmpfs", "RestartPolicy", "ExtraHosts", "CapDrop", "Dns", "Privileged"):
    show(key, plain(host_config[key]))
config = container.attrs["Config"]
for key in ("Cmd", "Hostname", "Labels", "StopSignal", "Healthcheck", "ExposedPorts", "Tty", "AttachStdout"):
    show(key, plain(config[key]))
show("env", sorted(config["Env"]))
for mount in container.attrs["Mounts"]:
    show("mount", {key: str(value).replace(P, "P") for key, value in sorted(mount.items()) if key != "Source"})
port = container.ports["80/tcp"][0]
show("port", port["HostIp"], int(port["HostPort"]) > 0)
show("image", container.image.tags)
show("address", container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].count("."))

result = container.exec_run(["sh", "-c", "echo in $A; pwd; id -u; exit 9"], workdir="/tmp", user="33")
show("exec", result.exit_code, result.output)
result = container.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
show("exec demux", result.exit_code, result.output)
show("exec stream", b"".join(container.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output))
show("exec tty", container.exec_run(["tty"], tty=True).output)
_, socket = container.exec_run(["cat"], stdin=True, socket=True)
raw = getattr(socket, "_sock", socket)
raw.sendall(b"through the socket\n")
import socket as sockets

raw.shutdown(sockets.SHUT_WR)
received = b""
while chunk := raw.recv(4096):
    received += chunk
show("exec socket", received)
fails("exec missing program", lambda: container.exec_run(["nosuchprogram"], user="nosuch"))

show("logs", sorted(container.logs().splitlines()))
show("logs stdout", container.logs(stderr=False))
show("logs timestamps", container.logs(stderr=False, timestamps=True)[:2], container.logs(stderr=False, timestamps=True).split()[-1])
follow = container.logs(stream=True, follow=True, stdout=True, stderr=False)
show("logs followed", next(follow))
show("logs until", container.logs(until=int(started) - 10))

show("put", container.put_archive("/tmp", archive("f", b"carried\n")))
chunks, stat = container.get_archive("/tmp/f")
with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
    show("get", tar.getnames(), tar.extractfile("f").read(), stat["name"], stat["size"], oct(stat["mode"]), stat["linkTarget"])
fails("get missing", lambda: container.get_archive("/nosuch"))
fails("put missing", lambda: container.put_archive("/nosuch", archive("f", b"")))
changes = {change["Path"]: change["Kind"] for change in container.diff()}
show("diff", changes.get("/tmp"), changes.get("/tmp/f"))

stats = container.stats(stream=False)
for key in ("read", "preread", "pids_stats", "cpu_stats", "precpu_stats", "memory_stats", "networks", "blkio_stats", "name", "id"):
    show("stats", key, type(stats.get(key)).__name__)
show("stats cpu", sorted(stats["cpu_stats"]), sorted(stats["cpu_stats"]["cpu_usage"]))
show("stats pre", "system_cpu_usage" in stats["precpu_stats"])
show("stats memory", stats["memory_stats"]["limit"], stats["memory_stats"]["usage"] > 0)
show("stats network", sorted(stats["networks"]["eth0"]))
streamed = container.stats(stream=True, decode=True)
show("stats streamed", next(streamed)["name"].replace(P, "P"), next(streamed)["precpu_stats"]["system_cpu_usage"] > 0)
streamed.close()
top = container.top(ps_args="-o pid,comm")
show("top", top["Titles"], sorted({process[1] for process in top["Processes"]} - {"sleep", "true"}))
container.pause()
container.reload()
show("paused", container.status)
container.unpause()
show("update", container.update(mem_limit="128m", memswap_limit="128m")["Warnings"])
container.rename(f"{P}-renamed")
container.reload()
show("renamed", container.name.replace(P, "P"))
listed = client.containers.list(filters={"label": f"life={P}"})
show("listed", [each.name.replace(P, "P") for each in listed], listed[0].attrs["State"]["Status"])
summary = client.api.containers(filters={"name": f"{P}-renamed"}, size=True)[0]
show("summary", sorted(set(summary) - {"Health", "ImageManifestDescriptor"}), summary["State"], summary["Names"][0].replace(P, "P"), summary["SizeRw"] > 0)
container.stop(timeout=5)
show("wait", container.wait()["StatusCode"])
container.reload()
show("exited", container.status, container.attrs["State"]["ExitCode"], container.attrs["State"]["OOMKilled"])
container.restart()
container.kill(signal="KILL")
show("wait killed", container.wait(condition="not-running")["StatusCode"])
fails("kill stopped", lambda: client.api.kill(container.id))
image = container.commit(repository=f"{P}", tag="made", message="m", author="a", changes=["CMD [\"true\"]"])
show("commit", [tag.replace(P, "P") for tag in image.tags], image.attrs["Comment"], image.attrs["Author"], image.attrs["Config"]["Cmd"])
show("exported", len(b"".join(container.export())) > 1000000)
container.remove(v=True)
fails("removed", container.reload)
time.sleep(0.5)
stream.close()
seen = [event["Action"].split(":")[0] for event in events if not event["Action"].startswith(("exec_", "health_status", "top", "attach"))]
show("events", seen)
show("event", sorted(set(events[0]) - {"from", "id", "status"}), sorted(events[0]["Actor"]), events[0]["scope"])
show("exec events", sorted({event["Action"].split(":")[0] for event in events if event["Action"].startswith("exec_")}))
past = client.events(since=int(started), until=int(time.time()) + 1, decode=True, filters={"label": f"life={P}", "event": ["die"]})
show("past events", [event["Actor"]["Attributes"]["exitCode"] for event in past])

# attaching
interactive = client.containers.create(IMG, ["cat"], stdin_open=True, tty=False, name=f"{P}-cat")
socket = interactive.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
interactive.start()
raw = getattr(socket, "_sock", socket)
raw.sendall(b"to cat\n")
show("attached", raw.recv(8)[:1], raw.recv(100))
socket.close()
interactive.remove(force=True)
show("attach logs", client.containers.run(IMG, ["sh", "-c", "sleep 0.2; echo late"], detach=True, name=f"{P}-late").attach(stream=False, logs=True))
late = client.containers.get(f"{P}-late")
late.wait()
late.remove()
show("removed wait", client.containers.run(IMG, ["sh", "-c", "exit 5"], detach=True, auto_remove=True, name=f"{P}-auto").name.replace(P, "P"))

# images
image = client.images.get(IMG)
show("image attrs", image.attrs["Os"], image.attrs["Architecture"], image.attrs["RootFS"]["Type"], image.tags)
show("tag", image.tag(f"{P}/tagged", "one"))
show("list", len(client.images.list(name=f"{P}/tagged")), [tag.replace(P, "P") for tag in client.images.list(name=f"{P}/tagged")[0].tags if P in tag])
saved = b"".join(client.images.get(f"{P}/tagged:one").save(named=f"{P}/tagged:one"))
client.images.remove(f"{P}/tagged:one")
show("load", [tag.replace(P, "P") for tag in client.images.load(saved)[0].tags if P in tag])
client.images.remove(f"{P}/tagged:one")
show("history", [sorted(layer) for layer in image.history()][0])
fails("remove missing image", lambda: client.images.remove(f"{P}/tagged:one"))
dockerfile = f"FROM {IMG}\nARG V=0\nRUN echo built-$V > /made\nLABEL l=v\nCMD [\"cat\", \"/made\"]\n".encode()
try:
    built, log = client.images.build(fileobj=io.BytesIO(archive("Dockerfile", dockerfile)), custom_context=True, tag=f"{P}:built", buildargs={"V": "7"}, rm=True)
    show("build", built.attrs["Config"]["Labels"], client.containers.run(f"{P}:built", remove=True))
    client.images.remove(f"{P}:built")
except docker.errors.DockerException as error:
    show("build", error)
client.images.remove(f"{P}:made")

# volumes and networks
volume = client.volumes.create(f"{P}-v", labels={"a": "b"})
show("volume", volume.name.replace(P, "P"), volume.attrs["Driver"], volume.attrs["Labels"], volume.attrs["Scope"])
show("volumes", sorted(each.name.replace(P, "P") for each in client.volumes.list(filters={"name": f"{P}-v"})))
volume.remove()
fails("missing volume", lambda: client.volumes.get(f"{P}-v"))
client.volumes.get(f"{P}-vol").remove()
network = client.networks.create(f"{P}-n", driver="bridge", labels={"n": P}, internal=True)
show("network", network.name.replace(P, "P"), network.attrs.get("Internal"), network.attrs.get("Driver"))
joined = client.containers.run(IMG, ["sleep", "100"], detach=True, name=f"{P}-j")
network.connect(joined, aliases=["alias"])
network.reload()
show("connected", [each.name.replace(P, "P") for each in network.containers])
joined.reload()
show("networks", sorted(name.replace(P, "P") for name in joined.attrs["NetworkSettings"]["Networks"]))
network.disconnect(joined)
joined.remove(force=True)
show("network list", [each.name.replace(P, "P") for each in client.networks.list(names=[f"{P}-n"])])
network.remove()
fails("missing network", lambda: client.networks.get(f"{P}-n"))
show("pruned", sorted(client.containers.prune(filters={"label": f"life={P}"})))
show("df", "Containers" in client.df())
