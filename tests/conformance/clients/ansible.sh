# Ansible's playbook, as a transcript of what its modules answered.
docker tag "$IMG" "$P/loaded:1" && docker save "$P/loaded:1" > "$WORK/image.tar" && docker rmi "$P/loaded:1" > "$WORK/out"
export ARCHIVE="$WORK/image.tar" ANSIBLE_NOCOLOR=1 ANSIBLE_DEPRECATION_WARNINGS=0 ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3
export PYTHONPATH="$CLIENT_ANSIBLE" ANSIBLE_COLLECTIONS_PATHS="$CLIENT_ANSIBLE"
ansible-playbook playbook.yml > "$WORK/out" 2>&1
grep -E '"msg"|fatal|Traceback' "$WORK/out" | sed -e "s/$P/P/g" -e 's/^ *"msg": //'
