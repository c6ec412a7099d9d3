import { c, type CliCase } from '../cli-case.ts';

/** What lists, inspect and logs show. */
export const lookingCases: CliCase[] = [
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
    'docker run --name $P $IMG sh -c "echo x > /new; rm /etc/group; mkdir /d; touch /d/f; chmod 700 /root"; docker diff $P | sort; docker rm $P',
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
];
