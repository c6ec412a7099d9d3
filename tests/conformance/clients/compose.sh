# docker-compose 1.x: a project's life, as a transcript.
export COMPOSE_PROJECT_NAME="$P" COMPOSE_ANSI=never
compose() { docker-compose -f compose.yml "$@" 2>&1 | sed -e "s/$P/P/g" -e 's/\r//g' -e 's/ *$//' -e 's/127.0.0.1:[0-9]*/ADDRESS/' -e '/^$/d'; }
title() { echo "== $*"; }
title config; compose config --services | sort
title up; compose up -d | grep -v -E '^(Creating|Attaching)' ; sleep 1.5
title ps; compose ps | tail -n +3 | sed -E 's/ {2,}.*(Exit 0|Up).*/ \1/'
title logs; compose logs --no-color job
title again; compose up -d web | sort
title exec; compose exec -T web sh -c 'echo $COLOUR; ls /compose.yml; hostname | wc -c'; compose exec -T web false; 
title run; compose run --rm --no-deps -T web echo one-off | grep -v Creating
title names; docker ps -a --filter label=com.docker.compose.project="$P" --format '{{.Names}}' | sed "s/$P/P/" | sort
title port; compose port web 8080
title top; compose top web | grep -c trap
title scale; compose up -d --scale web=2 --no-recreate web | grep -c -E 'P_web_2 ... .*done'
title stop; compose stop -t 5 | grep -c done
title start; compose start web | grep -c done
title changed; COMPOSE_HTTP_TIMEOUT=60 compose kill | grep -c done
title rm; compose rm -f | grep -c done
title down; compose down -v | sort
