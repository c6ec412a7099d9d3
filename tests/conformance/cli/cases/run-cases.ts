import { c, type CliCase } from '../cli-case.ts';

/** Running containers: output, input, exit codes; exec. */
export const runCases: CliCase[] = [
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
];
