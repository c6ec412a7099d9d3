/**
 * Command lines of the stock docker client whose output and exit code must be the same on every engine. Each is a shell
 * script; `$P` is a prefix of its own for names, `$IMG` the test's base image. What dockerd answers is in expected.json,
 * recorded by record.ts from a running dockerd.
 */
export interface CliCase {
  title: string;
  script: string;
  /** Why the outcome is not compared with an engine older than this, e.g. a text that changed. */
  sinceApi?: string;
}

const c = (title: string, script: string): CliCase => ({ title, script });

export const cliCases: CliCase[] = [
  // run: output, input, exit codes
  c('run echo', 'docker run --rm $IMG echo hi'),
  c('run exit code', 'docker run --rm $IMG sh -c "exit 3"'),
  c('run stderr', 'docker run --rm $IMG sh -c "echo out; echo err >&2"'),
  c('run missing program', 'docker run --rm $IMG nosuchprogram'),
  c('run a directory', 'docker run --rm $IMG /etc'),
  c('run a file without x', 'docker run --rm $IMG /etc/passwd'),
  c('run missing absolute path', 'docker run --rm $IMG /no/such/file'),
  c('run exec format error', 'docker run --rm $IMG sh -c "printf x > /x; chmod 755 /x; exec /x"'),
  c('run killed by signal', 'docker run --rm --name $P $IMG sleep 100 & sleep 1; docker kill $P; wait $!'),
  c(
    'run terminated',
    'docker run --rm --init --name $P $IMG sleep 100 & sleep 1; docker kill -s TERM $P; wait $!',
  ),
  c('run cat half-close', 'echo x | docker run --rm -i $IMG cat'),
  c('run without -i reads nothing', 'echo x | docker run --rm $IMG cat'),
  c('run wc of piped megabyte', 'head -c 1000000 /dev/zero | docker run --rm -i $IMG wc -c'),
  c('run -d prints id', 'docker run -d --name $P $IMG sleep 100; docker rm -f $P'),
  c('run missing image never', 'docker run --rm --pull never $P/nosuch:1 true'),
  c('run bad name', 'docker run --rm --name "a b" $IMG true'),
  c('run name taken', 'docker create --name $P $IMG true; docker run --name $P $IMG true; docker rm $P'),
  c('run unknown flag', 'docker run --nosuchflag $IMG'),
  c('run rm with restart', 'docker run --rm --restart always $IMG true'),
  c('run env', 'docker run --rm -e A=1 -e B $IMG sh -c "echo \\$A-\\$B; env | sort | grep -v HOSTNAME"'),
  c(
    'run env file',
    'printf "X=1\\n#c\\nY=two words\\n" > f; docker run --rm --env-file f $IMG sh -c "echo \\$X \\$Y"',
  ),
  c('run workdir', 'docker run --rm -w /made/here $IMG pwd'),
  c('run user name', 'docker run --rm -u www-data $IMG id'),
  c('run user uid', 'docker run --rm -u 1234 $IMG id'),
  c('run user uid gid', 'docker run --rm -u 33:10 --group-add 5 $IMG id'),
  c('run user daemon groups', 'docker run --rm -u daemon $IMG id'),
  c('run user unknown', 'docker run --rm -u nosuch $IMG id'),
  c('run entrypoint', 'docker run --rm --entrypoint /bin/echo $IMG a b'),
  c('run entrypoint cleared', 'docker run --rm --entrypoint "" $IMG echo cleared'),
  c(
    'run hostname',
    'docker run --rm -h box $IMG sh -c "hostname; cat /etc/hostname; tail -n1 /etc/hosts | cut -f2"',
  ),
  c('run add-host', 'docker run --rm --add-host db:10.9.8.7 $IMG grep db /etc/hosts'),
  c(
    'run dns',
    'docker run --rm --dns 10.9.8.7 --dns-search x.org --dns-opt ndots:3 $IMG cat /etc/resolv.conf',
  ),
  c('run network none', 'docker run --rm --network none $IMG ls /sys/class/net'),
  c('run network bridge', 'docker run --rm $IMG sh -c "ls /sys/class/net; ip route | grep -c default"'),
  c(
    'run network host',
    'docker run --rm --network host $IMG sh -c "[ -e /sys/class/net/eth0 ] && echo host"',
  ),
  c(
    'run network container',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; a=$(docker exec $P ip -o -4 addr show eth0); b=$(docker run --rm --network container:$P $IMG ip -o -4 addr show eth0); [ "$a" = "$b" ] && echo same; docker rm -f $P',
  ),
  c(
    'run memory',
    'docker run --rm -m 64m $IMG sh -c "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"',
  ),
  c('run memory too small', 'docker run --rm -m 1m $IMG true'),
  c('run cpus', 'docker run --rm --cpus 0.5 $IMG sh -c "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us"'),
  c('run cpu shares', 'docker run --rm --cpu-shares 512 $IMG cat /sys/fs/cgroup/cpu/cpu.shares'),
  c('run cpuset', 'docker run --rm --cpuset-cpus 1 $IMG grep Cpus_allowed_list /proc/self/status'),
  c('run pids limit', 'docker run --rm --pids-limit 50 $IMG cat /sys/fs/cgroup/pids/pids.max'),
  c(
    'run oom killed',
    'docker run --name $P -m 16m --memory-swap 16m $IMG sh -c "tail /dev/zero"; docker inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" $P; docker rm $P',
  ),
  c('run ulimit', 'docker run --rm --ulimit nofile=100:200 $IMG sh -c "ulimit -Sn; ulimit -Hn"'),
  c('run sysctl', 'docker run --rm --sysctl net.ipv4.ip_forward=0 $IMG cat /proc/sys/net/ipv4/ip_forward'),
  c(
    'run shm size',
    'docker run --rm --shm-size 32m $IMG sh -c "df -k /dev/shm | tail -n1 | tr -s \\" \\" | cut -d\\" \\" -f2"',
  ),
  c(
    'run tmpfs',
    'docker run --rm --tmpfs /t:size=1m,mode=1770 $IMG sh -c "stat -c %a /t; grep \\" /t \\" /proc/mounts | cut -d\\" \\" -f2,3"',
  ),
  c('run read-only', 'docker run --rm --read-only $IMG touch /x'),
  c(
    'run bind',
    'mkdir m; echo hello > m/f; docker run --rm -v $PWD/m:/m $IMG sh -c "cat /m/f; echo new > /m/g"; cat m/g',
  ),
  c('run bind read-only', 'mkdir m; docker run --rm -v $PWD/m:/m:ro $IMG touch /m/x'),
  c('run mount missing source', 'docker run --rm --mount type=bind,src=/nosuch/$P,dst=/m $IMG true'),
  c('run bad volume spec', 'docker run --rm -v /a:/b:zz $IMG true'),
  c('run relative destination', 'docker run --rm -v /tmp:rel $IMG true'),
  c(
    'run named volume',
    'docker run --rm -v $P:/v $IMG sh -c "echo kept > /v/f"; docker run --rm -v $P:/v $IMG cat /v/f; docker volume rm $P',
  ),
  c('run volume copy-up', 'docker run --rm -v $P:/etc $IMG sh -c "wc -l < /etc/group"; docker volume rm $P'),
  c(
    'run volumes-from',
    'docker create --name $P -v /data $IMG true >/dev/null; docker run --rm --volumes-from $P $IMG sh -c "grep -c \\" /data \\" /proc/mounts"; docker rm -v $P',
  ),
  c('run cap drop', 'docker run --rm --cap-drop ALL $IMG chown 1 /tmp'),
  c('run cap effective set', 'docker run --rm $IMG grep Cap /proc/self/status'),
  c('run cap add', 'docker run --rm --cap-add NET_ADMIN $IMG grep CapEff /proc/self/status'),
  c('run cap unknown', 'docker run --rm --cap-add NOSUCH $IMG true'),
  c('run cap user', 'docker run --rm -u 33 $IMG grep -E "Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status'),
  c(
    'run seccomp mode',
    'docker run --rm $IMG sh -c "grep -E \\"^(Seccomp|NoNewPrivs):\\" /proc/self/status; unshare -U true"',
  ),
  c(
    'run no-new-privileges',
    'docker run --rm --security-opt no-new-privileges $IMG grep NoNewPrivs /proc/self/status',
  ),
  c(
    'run seccomp unconfined',
    'docker run --rm --security-opt seccomp=unconfined $IMG grep Seccomp: /proc/self/status',
  ),
  c('run bad security option', 'docker run --rm --security-opt nosuch=x $IMG true'),
  c(
    'run device',
    'docker run --rm --device /dev/fuse:/dev/myfuse:rw $IMG sh -c "ls -l /dev/myfuse | cut -c1"',
  ),
  c('run devices listed', 'docker run --rm $IMG ls /dev | grep -v ^core$'),
  c(
    'run mounts listed',
    'docker run --rm $IMG sh -c "grep -v -E \\" (/|/etc/.*|/sys/fs/cgroup.*|/proc/.*|/sys/firmware) \\" /proc/mounts | cut -d\\" \\" -f2-4 | sort"',
  ),
  c(
    'run masked paths',
    'docker run --rm $IMG sh -c "cat /proc/timer_list | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -c .; touch /proc/sys/kernel/x"',
  ),
  c('run open descriptors', 'docker run --rm $IMG ls /proc/self/fd'),
  c('run rlimits', 'docker run --rm $IMG sh -c "grep -E \\"Max (stack|core|data)\\" /proc/self/limits"'),
  c('run pid 1', 'docker run --rm $IMG sh -c "echo \\$\\$"'),
  c('run init', 'docker run --rm --init $IMG sh -c "cat /proc/1/cmdline | tr \\"\\\\0\\" \\" \\""'),
  c('run pid host', 'docker run --rm --pid host $IMG sh -c "[ \\$\\$ -gt 20 ] && echo host pids"'),
  c('run uts host', '[ "$(docker run --rm --uts host $IMG hostname)" = "$(hostname)" ] && echo same'),
  c(
    'run ipc container',
    'docker run -d --name $P --ipc shareable $IMG sh -c "echo shared > /dev/shm/f; sleep 100" >/dev/null; sleep 0.3; docker run --rm --ipc container:$P $IMG cat /dev/shm/f; docker rm -f $P',
  ),
  c('run gpus', 'docker run --rm --gpus all $IMG true'),
  c(
    'run stop-signal',
    'docker run -d --name $P --stop-signal USR1 $IMG sh -c "trap \\"echo got; exit 9\\" USR1; while :; do sleep 0.1; done" >/dev/null; sleep 0.3; docker stop $P; docker logs $P; docker wait $P; docker rm $P',
  ),
  c(
    'run label',
    'docker run -d --name $P -l a=b -l c $IMG true >/dev/null; docker inspect -f "{{json .Config.Labels}}" $P; docker wait $P; docker rm $P',
  ),
  c(
    'run cidfile',
    'docker run --cidfile cid --name $P $IMG true; [ "$(cat cid)" = "$(docker inspect -f "{{.Id}}" $P)" ] && echo same; docker rm $P',
  ),
  c('run runtime unknown', 'docker run --rm --runtime nosuch $IMG true'),
  c(
    'run log driver none',
    'docker run --name $P --log-driver none $IMG echo seen; docker logs $P; docker rm $P',
  ),
  c('run log driver unknown', 'docker run --rm --log-driver nosuch $IMG true'),
  c('run tty', 'docker run --rm -t $IMG sh -c "tty; echo a"'),
  c('run interactive tty without terminal', 'echo | docker run --rm -it $IMG true'),
  c('run attach stdout only', 'docker run --rm -a stdout $IMG sh -c "echo out; echo err >&2"'),

  // the lifecycle, one verb after the other
  c(
    'create start wait',
    'docker create --name $P $IMG sh -c "exit 7"; docker start $P; docker wait $P; docker rm $P',
  ),
  c(
    'start attached',
    'docker create --name $P $IMG sh -c "echo hi; exit 4"; docker start -a $P; echo $?; docker rm $P',
  ),
  c('start twice', 'docker run -d --name $P $IMG sleep 100 >/dev/null; docker start $P; docker rm -f $P'),
  c(
    'start again keeps files',
    'docker run --name $P $IMG sh -c "echo x >> /f; cat /f"; docker start -a $P; docker rm $P',
  ),
  c('start missing', 'docker start $P-nosuch'),
  c(
    'start failing program',
    'docker create --name $P $IMG nosuchprogram >/dev/null; docker start $P; docker inspect -f "{{.State.Status}} {{.State.ExitCode}}" $P; docker rm $P',
  ),
  c(
    'stop',
    'docker run -d --name $P $IMG sh -c "trap \\"exit 5\\" TERM; while :; do sleep 0.1; done" >/dev/null; sleep 0.3; docker stop $P; docker inspect -f "{{.State.Status}} {{.State.ExitCode}} {{.State.Running}} {{.State.Pid}}" $P; docker rm $P',
  ),
  c(
    'stop by timeout',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker stop -t 1 $P; docker inspect -f "{{.State.ExitCode}}" $P; docker rm $P',
  ),
  c('stop stopped', 'docker create --name $P $IMG true >/dev/null; docker stop $P; docker rm $P'),
  c('stop missing', 'docker stop $P-nosuch'),
  c(
    'kill',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker kill $P; docker wait $P; docker rm $P',
  ),
  c(
    'kill signal',
    'docker run -d --name $P $IMG sh -c "trap \\"echo hup\\" HUP; while :; do sleep 0.1; done" >/dev/null; sleep 0.3; docker kill -s HUP $P; sleep 0.4; docker logs $P; docker inspect -f "{{.State.Status}}" $P; docker rm -f $P',
  ),
  c(
    'kill not running',
    'docker create --name $P $IMG true >/dev/null; docker kill $P 2>&1 | sed "s/[0-9a-f]\\{64\\}/ID/g"; docker rm $P',
  ),
  c(
    'kill bad signal',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker kill -s NOSUCH $P; docker rm -f $P',
  ),
  c(
    'restart',
    'docker run -d --name $P $IMG sh -c "echo once; sleep 100" >/dev/null; sleep 0.3; docker restart -t 0 $P; sleep 0.5; docker logs $P; docker rm -f $P',
  ),
  c(
    'restart policy on-failure',
    'docker run -d --name $P --restart on-failure:2 $IMG sh -c "echo try; exit 1" >/dev/null; sleep 2; docker inspect -f "{{.RestartCount}} {{.State.Status}}" $P; docker logs $P; docker rm -f $P',
  ),
  c(
    'pause and unpause',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker pause $P; docker inspect -f "{{.State.Status}} {{.State.Paused}} {{.State.Running}}" $P; docker pause $P; docker exec $P true; docker unpause $P; docker unpause $P; docker rm -f $P',
  ),
  c(
    'rename',
    'docker create --name $P $IMG true >/dev/null; docker rename $P $P-b; docker inspect -f "{{.Name}}" $P-b; docker rename $P-b $P-b; docker rename $P-nosuch x; docker rm $P-b',
  ),
  c(
    'rename to a taken name',
    'docker create --name $P-a $IMG true >/dev/null; docker create --name $P-b $IMG true >/dev/null; docker rename $P-a $P-b; docker rm $P-a $P-b',
  ),
  c('rm running', 'docker run -d --name $P $IMG sleep 100 >/dev/null; docker rm $P; docker rm -f $P'),
  c('rm missing', 'docker rm $P-nosuch; docker rm -f $P-nosuch'),
  c(
    'rm by id prefix',
    'id=$(docker create $IMG true); short=$(echo $id | cut -c1-10); [ "$(docker rm $short)" = $short ] && echo removed',
  ),
  c(
    'wait for several',
    'docker run -d --name $P-a $IMG sh -c "exit 1" >/dev/null; docker run -d --name $P-b $IMG sh -c "exit 2" >/dev/null; docker wait $P-a $P-b; docker rm $P-a $P-b',
  ),
  c(
    'update',
    'docker run -d --name $P -m 64m $IMG sleep 100 >/dev/null; docker update -m 128m --memory-swap 128m --cpu-shares 100 --restart on-failure:3 $P; docker inspect -f "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}" $P; docker exec $P cat /sys/fs/cgroup/memory/memory.limit_in_bytes; docker rm -f $P',
  ),
  c(
    'auto remove',
    'docker run -d --rm --name $P $IMG sleep 100 >/dev/null; docker stop -t 0 $P; sleep 0.3; docker inspect $P',
  ),

  // looking
  c(
    'ps table',
    'docker run -d --name $P -l t=$P $IMG sleep 100 >/dev/null; docker ps --filter label=t=$P --format "{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}|{{.Ports}}|{{.Labels}}"; docker rm -f $P',
  ),
  c(
    'ps all and filters',
    'docker create --name $P-c -l t=$P $IMG true >/dev/null; docker run --name $P-e -l t=$P $IMG sh -c "exit 3"; for f in status=created status=exited exited=3 name=$P-c ancestor=$IMG; do echo $f; docker ps -a --filter label=t=$P --filter $f --format "{{.Names}}"; done; docker ps -a --filter label=t=$P -q | wc -l; docker rm $P-c $P-e',
  ),
  c('ps bad filter', 'docker ps --filter nosuch=x; docker ps --filter status=nosuch'),
  c(
    'ps status text',
    'docker run --name $P $IMG sh -c "exit 3"; docker ps -a --filter name=$P --format "{{.Status}}" | sed "s/) .*/) AGO/"; docker rm $P',
  ),
  c(
    'ps before since last',
    'docker create --name $P-1 -l t=$P $IMG true >/dev/null; docker create --name $P-2 -l t=$P $IMG true >/dev/null; docker ps -a --filter since=$P-1 --filter label=t=$P --format "{{.Names}}"; docker ps -a --filter before=$P-2 --filter label=t=$P --format "{{.Names}}"; docker ps -l --format "{{.Names}}"; docker rm $P-1 $P-2',
  ),
  c(
    'inspect members',
    'docker run -d --name $P --network none -v /data -e A=1 -m 64m $IMG sleep 100 >/dev/null; docker inspect -f "{{.Path}} {{json .Args}} {{.State.Status}} {{.RestartCount}} {{.Driver}} {{.Platform}} {{.HostConfig.Memory}} {{.HostConfig.NetworkMode}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{len .Mounts}} {{(index .Mounts 0).Destination}} {{(index .Mounts 0).RW}}" $P; docker rm -fv $P',
  ),
  c('inspect missing', 'docker inspect $P-nosuch'),
  c(
    'inspect host config',
    'docker create --name $P $IMG true >/dev/null; docker inspect -f "{{json .HostConfig.CapAdd}} {{json .HostConfig.Dns}} {{json .HostConfig.Ulimits}} {{.HostConfig.ShmSize}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.IpcMode}} {{json .HostConfig.RestartPolicy}} {{json .HostConfig.PidsLimit}} {{json .HostConfig.Devices}}" $P; docker rm $P',
  ),
  c(
    'inspect config',
    'docker create --name $P -t -i -u 3 -w /w --entrypoint /e $IMG a b >/dev/null; docker inspect -f "{{json .Config}}" $P | sed "s/\\"Hostname\\":\\"[0-9a-f]*\\"/H/"; docker rm $P',
  ),
  c(
    'logs',
    'docker run --name $P $IMG sh -c "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three"; echo; docker logs $P; echo; docker logs --tail 1 $P; echo; docker logs $P 2>/dev/null; docker rm $P',
  ),
  c(
    'logs follow',
    'docker run -d --name $P $IMG sh -c "for i in 1 2 3; do echo \\$i; sleep 0.2; done" >/dev/null; docker logs -f $P; docker rm $P',
  ),
  c(
    'logs timestamps',
    'docker run --name $P $IMG echo x >/dev/null; docker logs -t $P | sed "s/^[0-9]\\{4\\}-[0-9][0-9]-[0-9][0-9]T[0-9:]*\\.[0-9]\\{9\\}Z /TIME /"; docker rm $P',
  ),
  c(
    'logs since until',
    'docker run --name $P $IMG echo x >/dev/null; docker logs --since 1h $P; docker logs --until 1h $P; docker logs --since 2000-01-01 --until 2001-01-01 $P; docker rm $P',
  ),
  c('logs missing', 'docker logs $P-nosuch'),
  c(
    'logs of tty',
    'docker run -t --name $P $IMG echo x >/dev/null; docker logs $P | od -c | head -n1; docker rm $P',
  ),
  c(
    'logs long line',
    'docker run --name $P $IMG sh -c "head -c 100000 /dev/zero | tr \\"\\\\0\\" a" >/dev/null; docker logs $P | wc -c; docker rm $P',
  ),
  c(
    'top',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker top $P -o pid,comm,args | tr -s " " | sed "s/[0-9][0-9]*/N/"; docker top $P | head -n1 | tr -s " "; docker rm -f $P',
  ),
  c(
    'top of stopped',
    'docker create --name $P $IMG true >/dev/null; docker top $P 2>&1 | sed "s/[0-9a-f]\\{64\\}/ID/"; docker rm $P',
  ),
  c(
    'diff',
    'docker run --name $P $IMG sh -c "echo x > /new; rm /etc/group; mkdir /d; touch /d/f; chmod 700 /root"; docker diff $P; docker rm $P',
  ),
  c('port none', 'docker run -d --name $P $IMG sleep 100 >/dev/null; docker port $P; docker rm -f $P'),
  c(
    'stats',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker stats --no-stream --format "{{.Name}} {{.PIDs}}" $P; docker rm -f $P',
  ),
  c(
    'events of a life',
    's=$(date +%s.%N); docker run --rm --name $P $IMG true; sleep 0.3; docker events --since $s --until $(date +%s.%N) --filter container=$P --format "{{.Type}} {{.Action}} {{index .Actor.Attributes \\"exitCode\\"}}"',
  ),
  c(
    'attach to running',
    'docker run -d --name $P $IMG sh -c "sleep 0.8; echo late; exit 6" >/dev/null; docker attach $P; echo $?; docker rm $P',
  ),
  c('attach to stopped', 'docker create --name $P $IMG true >/dev/null; docker attach $P; docker rm $P'),

  // exec
  c(
    'exec',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P echo in; docker exec $P sh -c "exit 9"; echo $?; docker rm -f $P',
  ),
  c(
    'exec options',
    'docker run -d --name $P -e A=1 $IMG sleep 100 >/dev/null; docker exec -e B=2 -w /tmp -u www-data $P sh -c "echo \\$A \\$B; pwd; id -un; echo \\$HOME"; docker rm -f $P',
  ),
  c(
    'exec stdin',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; echo piped | docker exec -i $P cat; docker rm -f $P',
  ),
  c(
    'exec missing program',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P nosuchprogram; echo $?; docker exec $P /etc; echo $?; docker rm -f $P',
  ),
  c(
    'exec not running',
    'docker create --name $P $IMG true >/dev/null; docker exec $P true 2>&1 | sed "s/[0-9a-f]\\{64\\}/ID/"; docker rm $P',
  ),
  c('exec missing container', 'docker exec $P-nosuch true'),
  c(
    'exec detached',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec -d $P sh -c "echo x > /made"; sleep 0.4; docker exec $P cat /made; docker rm -f $P',
  ),
  c('exec tty', 'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec -t $P tty; docker rm -f $P'),
  c(
    'exec privileges',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec -u 33 $P grep -E "Cap(Eff|Prm|Bnd)|Seccomp:" /proc/self/status; docker rm -f $P',
  ),
  c(
    'exec bad user',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec -u nosuch $P true; docker rm -f $P',
  ),

  // isolation, as a process inside sees it
  c(
    'isolation namespaces',
    'for n in mnt net pid ipc uts cgroup user; do inside=$(docker run --rm $IMG readlink /proc/self/ns/$n); [ "$inside" = "$(readlink /proc/self/ns/$n)" ] && echo $n host || echo $n own; done',
  ),
  c(
    'isolation exec joins the namespaces',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P sh -c "for n in mnt net pid ipc uts cgroup user; do [ \\"\\$(readlink /proc/self/ns/\\$n)\\" = \\"\\$(readlink /proc/1/ns/\\$n)\\" ] && echo \\$n; done"; docker rm -f $P',
  ),
  c(
    'isolation mount propagation',
    'docker run --rm -v $PWD:/private $IMG sh -c "cut -d\\" \\" -f5,7- /proc/1/mountinfo | grep -v /sys/fs/cgroup/ | sed \\"s/ - .*//; s/:[0-9]*/:N/g\\" | sort"',
  ),
  c(
    'isolation exec descriptors',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P ls /proc/1/fd /proc/self/fd; docker exec -d $P sh -c "ls /proc/self/fd > /fds"; sleep 0.4; docker exec $P cat /fds; docker rm -f $P',
  ),
  c(
    'isolation environment of pid 1',
    'docker run --rm -h box -e A=1 $IMG sh -c "tr \\"\\\\0\\" \\"\\\\n\\" < /proc/1/environ | sort"',
  ),
  c(
    'isolation environment of exec',
    'docker run -d --name $P -h box -e A=1 $IMG sleep 100 >/dev/null; docker exec -e B=2 $P env | sort; docker exec -t $P env | grep TERM; docker rm -f $P',
  ),
  c('isolation oom score', 'docker run --rm $IMG cat /proc/1/oom_score_adj'),
  c('isolation oom score given', 'docker run --rm --oom-score-adj 300 $IMG cat /proc/1/oom_score_adj'),
  c(
    'isolation exec oom score',
    'docker run -d --name $P --oom-score-adj 300 $IMG sleep 100 >/dev/null; docker exec $P cat /proc/self/oom_score_adj; docker rm -f $P',
  ),
  c('isolation umask', 'docker run --rm $IMG sh -c "umask; grep Umask /proc/1/status"'),
  c(
    'isolation exec umask',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P sh -c "umask"; docker rm -f $P',
  ),
  c('isolation signals', 'docker run --rm $IMG grep -E "Sig(Blk|Ign)|ShdPnd" /proc/self/status'),
  c(
    'isolation exec signals',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P grep -E "Sig(Blk|Ign)" /proc/self/status; docker rm -f $P',
  ),
  c(
    'isolation session and group',
    'docker run --rm $IMG sh -c "cut -d\\" \\" -f1,4-7 /proc/1/stat"; docker run --rm -t $IMG sh -c "cut -d\\" \\" -f1,4-6 /proc/1/stat"',
  ),
  c('isolation keyring', 'docker run --rm $IMG cat /proc/keys'),
  c(
    'isolation cgroup path',
    'docker run --rm $IMG sh -c "grep -E \\":(memory|pids):\\" /proc/self/cgroup | cut -d: -f3 | sed \\"s,^/[^/]*/,/PARENT/,; s/[0-9a-f]\\\\{64\\\\}/ID/\\""',
  ),
  c(
    'isolation cgroup own',
    'docker run --rm --cgroupns private $IMG sh -c "grep -E \\":(memory|pids):\\" /proc/self/cgroup | cut -d: -f3"',
  ),
  c(
    'isolation cgroup read-only',
    'docker run --rm $IMG sh -c "mkdir /sys/fs/cgroup/memory/x 2>&1; grep cgroup /proc/mounts | grep -vc ro,"',
  ),
  c(
    'isolation host processes unseen',
    'docker run --rm $IMG sh -c "echo /proc/[0-9]*"; docker run --rm $IMG sh -c "kill -0 2; ls /proc/1/root/proc/1/cwd/bin/busybox"',
  ),
  c(
    'isolation process limits',
    'docker run --rm $IMG grep -E "Max (msgqueue|locked|nice|realtime pri)" /proc/1/limits',
  ),

  // images
  c(
    'images',
    'docker tag $IMG $P/x:1; docker images --format "{{.Repository}}:{{.Tag}}" $P/x; docker images -q $P/x | wc -l; docker rmi $P/x:1',
  ),
  c('tag bad name', 'docker tag $IMG Bad/Name; docker tag $P/nosuch:1 x:y'),
  c('rmi untag', 'docker tag $IMG $P:a; docker tag $IMG $P:b; docker rmi $P:a $P:b'),
  c('rmi missing', 'docker rmi $P/nosuch:1'),
  c(
    'rmi in use',
    'docker tag $IMG $P:a; docker create --name $P $P:a true >/dev/null; docker rmi $P:a; docker inspect -f "{{.Config.Image}}" $P; docker rm $P',
  ),
  c(
    'import',
    'mkdir t; echo x > t/f; tar -C t -c . | docker import -c "CMD [\\"sh\\"]" -c "ENV A=1" -m msg - $P:imp | cut -c1-7; docker inspect -f "{{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}} {{.Architecture}} {{.Os}} {{len .RootFS.Layers}}" $P:imp; docker rmi $P:imp | sed "s/[0-9a-f]\\{64\\}/ID/"',
  ),
  c(
    'import and run',
    'mkdir -p t/bin; cp /bin/busybox t/bin/sh; tar -C t -c . | docker import - $P:imp >/dev/null; docker run --rm $P:imp sh -c "echo runs"; docker run --rm $P:imp; docker rmi -f $P:imp >/dev/null',
  ),
  c('load not an archive', 'echo nonsense | docker load'),
  c(
    'save and load',
    'docker tag $IMG $P:s; docker save $P:s > s.tar; docker rmi $P:s >/dev/null; docker load < s.tar; docker load -q < s.tar; docker run --rm $P:s echo loaded; docker rmi $P:s',
  ),
  c('history', 'docker history --format "{{.Comment}}|{{.Size}}" $IMG | wc -l'),
  c(
    'inspect image',
    'docker image inspect -f "{{json .Config.Cmd}} {{json .Config.Env}} {{.Os}}/{{.Architecture}} {{.RootFS.Type}}" $IMG',
  ),
  c(
    'commit',
    'docker run --name $P $IMG sh -c "echo x > /made"; docker commit -c "CMD [\\"cat\\",\\"/made\\"]" $P $P:c | cut -c1-7; docker run --rm $P:c; docker rm $P; docker rmi $P:c | sed "s/[0-9a-f]\\{64\\}/ID/"',
  ),

  c(
    'image filters',
    'mk() { mkdir -p t; echo $1 > t/f; tar -C t -c . | docker import -c "LABEL $3" - $2 >/dev/null; }; ' +
      'mk one $P:1 n=1; mk two $P:2 n=2; mk three $P/x:3 m=3; docker tag $P:1 $P:1b; ' +
      'ls() { echo "$*"; docker images --format "{{.Repository}}:{{.Tag}}" -f "$@" | grep $P | sort; }; ' +
      'ls before=$P:2; ls since=$P:1; ls since=$P:1 -f before=$P/x:3; ls label=n=1; ls label=n; ls label=n -f label=n=2; ' +
      'ls label=o; ls dangling=false; ls before=$P:none; ' +
      'for p in $P "$P:1*" "$P:?" "$P/*" "*/x" "$P*" "$P:[12]" "$P:[!2]" "$P:{1,2}" "**" "$P/**" docker.io/library/$P:1 "["; do ls "reference=$p"; done; ' +
      'docker rmi $P:1 $P:1b $P:2 $P/x:3 >/dev/null',
  ),
  c(
    'image events',
    'T=$(date +%s); mkdir t; echo x > t/f; tar -C t -c . | docker import -c "LABEL a=b" - $P:1 >/dev/null; docker tag $P:1 $P:2; ' +
      'docker save -o s.tar $P:2; docker rmi $P:1 $P:2 >/dev/null; docker load -qi s.tar >/dev/null; docker create --name $P $P:2 /f >/dev/null; ' +
      'docker commit $P $P:3 >/dev/null; docker rm $P >/dev/null; docker rmi -f $P:3 $P:2 >/dev/null; ' +
      'docker events --since $T --until $(($(date +%s)+1)) --filter type=image --filter label=a=b --format "{{.Action}} {{json .Actor.Attributes}}"',
  ),
  c(
    'ps of images renamed and removed',
    'docker tag $IMG $P:a; docker create --name $P $P:a true >/dev/null; shown() { docker ps -a --filter name=$P --format "{{.Image}}"; }; ' +
      'shown; docker rmi $P:a; docker rmi -f $P:a >/dev/null; [ "$(shown)" = "$(docker inspect -f "{{.Image}}" $P | cut -c8-19)" ] && echo id; ' +
      'docker inspect -f "{{.Config.Image}}" $P; docker tag $IMG $P:a; shown; docker ps -aq --filter ancestor=$P:a | wc -l; docker rm $P; docker rmi $P:a',
  ),
  c(
    'image of a container removed by force',
    'mkdir t; echo x > t/f; tar -C t -c . | docker import - $P:1 >/dev/null; docker create --name $P $P:1 /f >/dev/null; docker rmi $P:1 2>&1 | sed "s/[0-9a-f]\\{12\\}/ID/g"; ' +
      'docker rmi -f $P:1 | cut -d: -f1; docker ps -as --filter name=$P --format "{{.Size}}"; docker diff $P; docker cp $P:/f - | tar -t; docker rm $P',
  ),

  // volumes and networks
  c(
    'volume life',
    'docker volume create --label a=b $P; docker volume ls -q --filter name=$P; docker volume inspect -f "{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}} {{json .Options}}" $P; docker volume rm $P; docker volume rm $P',
  ),
  c(
    'volume in use',
    'docker create --name $P -v $P-v:/v $IMG true >/dev/null; docker volume rm $P-v 2>&1 | sed "s/[0-9a-f]\\{64\\}/ID/"; docker rm $P; docker volume rm $P-v',
  ),
  c('volume bad name', 'docker volume create "a b"'),
  c('volume inspect missing', 'docker volume inspect $P-nosuch'),
  c(
    'anonymous volume removed with rm -v',
    'docker create --name $P -v /v $IMG true >/dev/null; v=$(docker inspect -f "{{(index .Mounts 0).Name}}" $P); docker volume inspect -f "{{.Driver}}" $v; docker rm -v $P; docker volume inspect $v 2>/dev/null',
  ),
  c(
    'network predefined',
    'docker network ls --format "{{.Name}} {{.Driver}} {{.Scope}}" --filter type=builtin | sort',
  ),
  c('network inspect missing', 'docker network inspect $P-nosuch'),

  // copying
  c(
    'cp in and out',
    'docker create --name $P $IMG true >/dev/null; echo data > f; docker cp f $P:/tmp/g; docker cp $P:/tmp/g - | tar -xO; docker cp $P:/tmp/g h; cat h; docker cp $P:/nosuch h; docker rm $P',
  ),
  c(
    'cp directory',
    'mkdir -p d/e; echo 1 > d/e/f; docker run -d --name $P $IMG sleep 100 >/dev/null; docker cp d $P:/tmp; docker exec $P find /tmp/d; docker cp $P:/etc/passwd . ; wc -l < passwd; docker rm -f $P',
  ),
  c(
    'export',
    'docker create --name $P $IMG true >/dev/null; docker export $P | tar -t | grep -E "^(bin/busybox|etc/passwd)$" | sort; docker rm $P',
  ),

  // engine
  c('version', 'docker version -f "{{.Server.Os}}/{{.Server.Arch}}"'),
  c(
    'info',
    'docker info -f "{{.OSType}} {{.Architecture}} {{.NCPU}} {{.Driver}} {{.LoggingDriver}} {{.CgroupDriver}} {{.CgroupVersion}} {{.MemTotal}}"',
  ),
  c('system df', 'docker system df --format "{{.Type}}"'),
];
