# Builds by the stock docker client without BuildKit, and by docker-compose 1, as a transcript.
export DOCKER_BUILDKIT=0 COMPOSE_PROJECT_NAME="$P" COMPOSE_DOCKER_CLI_BUILD=0
stable() { sed -E -e "s/$P/P/g" -e 's/sha256:[0-9a-f]{64}/ID/g' -e 's/[0-9a-f]{12}/ID/g' -e "s#$IMG#IMG#g" -e "s#$WORK#WORK#g"; }
# The deprecation of the classic builder is the client's own.
errors() { grep -v -e '^DEPRECATED' -e '^ *Install the buildx' -e '^ *BuildKit' -e '^ *environment' -e '^ *https' -e '^$' | stable; }
mkdir -p "$WORK/ctx/sub" && cd "$WORK/ctx"
cat > Dockerfile <<END
FROM $IMG AS first
ARG V=1
RUN echo "built \$V" > /v
FROM first AS second
COPY f sub /in/
LABEL of=file
CMD ["cat", "/v", "/in/f"]
END
echo file > f && echo secret > sub/hidden && echo shown > sub/shown && echo '**/hidden' > .dockerignore
docker build -t "$P:a" --build-arg V=7 --label by=client . 2>/dev/null | grep -E '^(Step|Success)' | stable
docker run --rm "$P:a"
docker run --rm "$P:a" ls /in
docker inspect -f '{{json .Config.Labels}} {{json .Config.Cmd}}' "$P:a"
docker build -q -t "$P:a" --build-arg V=7 --label by=client . 2>/dev/null | stable
docker build -q --target first -t "$P:first" . 2>/dev/null | stable
docker run --rm "$P:first" cat /v
tar -c . | docker build -q -t "$P:tar" - 2>/dev/null | stable
printf 'FROM %s\nENV A=b\n' "$IMG" | docker build -q -t "$P:stdin" - 2>/dev/null | stable
printf 'FROM %s\nCOPY f /other\n' "$IMG" > ../other.Dockerfile
docker build -q -f ../other.Dockerfile -t "$P:other" . 2>/dev/null | stable
docker run --rm "$P:other" cat /other
docker build -q --squash . 2>&1 >/dev/null | grep -c squash
for body in 'RUN exit 3' 'COPY none /' 'RUNN x' 'USER nobody\nRUN echo x > /root/x'; do
  printf "FROM $IMG\n$body\n" | docker build --force-rm - > /dev/null 2> "$WORK/errors"
  echo "code $?"
  errors < "$WORK/errors"
done
docker build -f missing . 2>&1 | errors
docker build --memory 64m --shm-size 8m --ulimit nofile=99 --add-host other:192.0.2.1 --no-cache - 2>/dev/null <<END | grep '^=' 
FROM $IMG
RUN echo "=\$(ulimit -n) \$(df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2) \$(grep -c other /etc/hosts)"
END
cat > compose.yml <<END
version: '2.4'
services:
  app:
    image: $P:composed
    build:
      context: .
      target: second
      args: { V: composed }
      labels: { by: compose }
END
docker-compose -f compose.yml build -q 2>/dev/null
docker-compose -f compose.yml run --rm app 2>/dev/null
docker inspect -f '{{json .Config.Labels}}' "$P:composed"
docker-compose -f compose.yml build --no-cache --build-arg V=given 2>/dev/null | grep -c '^Step'
docker-compose -f compose.yml run --rm app cat /v 2>/dev/null
docker-compose -f compose.yml down 2>/dev/null
docker rmi $(docker images -q "$P") -f > /dev/null
docker images -q "$P"
