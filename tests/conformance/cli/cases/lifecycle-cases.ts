import { c, type CliCase } from '../cli-case.ts';

/** The lifecycle, one verb after the other. */
export const lifecycleCases: CliCase[] = [
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
];
