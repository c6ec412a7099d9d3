import { c, type CliCase } from '../cli-case.ts';

/** Images, volumes, networks, copying, and the engine itself. */
export const imageCases: CliCase[] = [
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
  c(
    'save all of a repository',
    'docker tag $IMG $P:1; docker tag $IMG $P:2; docker save $P | tar -xO manifest.json | grep -o "RepoTags[^]]*"; docker rmi $P:1 $P:2',
  ),
  c('import for another system', 'mkdir t; tar -C t -c . | docker import --platform windows - $P:w'),
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
    'commit of nothing',
    'docker create --name $P --entrypoint echo $IMG hi >/dev/null; docker commit -m none $P $P:c >/dev/null; docker inspect -f "{{len .RootFS.Layers}}" $P:c; docker history --format "{{.CreatedBy}}|{{.Comment}}" $P:c; docker rm $P; docker rmi $P:c | cut -d: -f1',
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
