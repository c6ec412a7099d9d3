# The stock docker client made to speak an old API (DOCKER_API_VERSION), as a transcript.
stable() { sed -E -e "s/$P/P/g" -e 's/[0-9a-f]{64}/ID/g'; }
since=$(date +%s.%N)
docker version --format '{{.Client.APIVersion}} {{.Server.Os}}' | stable
docker run --rm "$IMG" sh -c 'echo out; exit 3'
echo "code $?"
echo piped | docker run --rm -i --name "$P-i" "$IMG" cat
docker run -d --name "$P-d" -e A=1 -v "$P-v:/data" -p 127.0.0.1::80 -m 64m --label l="$P" "$IMG" sleep 100 | stable
docker exec -e B=2 "$P-d" sh -c 'echo $A$B' 2>&1
docker exec "$P-d" sh -c 'exit 6'
echo "code $?"
docker ps --filter label=l="$P" --format '{{.Names}} {{.State}} {{.Image}}' | stable
docker inspect -f '{{.HostConfig.Memory}} {{.State.Status}} {{len .Mounts}}' "$P-d"
echo copied > "$WORK/f" && docker cp -q "$WORK/f" "$P-d:/tmp/f" && docker exec "$P-d" cat /tmp/f
docker stats --no-stream --format '{{.Name}} {{.PIDs}}' "$P-d" | stable
docker top "$P-d" | tail -n 1 | grep -c sleep
docker rename "$P-d" "$P-e"
docker stop -t 0 "$P-e" | stable
docker wait "$P-e"
sleep 0.3
docker events --since "$since" --until "$(date +%s.%N)" --filter container="$P-e" --format '{{.Action}}' | grep -v -E '^(exec|archive|extract|top)' | tr '\n' ' '
echo
docker rm -v "$P-e" | stable
docker volume rm "$P-v" | stable
docker network create "$P-n" | stable
docker network rm "$P-n" | stable
docker inspect "$P-nosuch" 2>&1 | stable
docker images -q "$IMG" | wc -l
