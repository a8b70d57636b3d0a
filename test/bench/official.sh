#!/usr/bin/env bash
# What the official image does before Flink's own script takes over, in our own words: the steps and the programs are
# the same, the text is not. Switching the user and looking for jemalloc are left out, in its favour.
#   official.sh ROLE [ARGS…]
conf=$FLINK_HOME/conf
role=$1; shift

# key_is KEY VALUE: replace or add one line of flink-conf.yaml (up to 1.18).
key_is() {
  if grep -q "^ *$1 *:" "$conf/flink-conf.yaml"; then
    sed -i "s|^ *$1 *:.*|$1: $2|" "$conf/flink-conf.yaml"
  else
    echo "$1: $2" >>"$conf/flink-conf.yaml"
  fi
}

parse() { bash "$FLINK_HOME/bin/config-parser-utils.sh" "$conf" "$FLINK_HOME/bin" "$FLINK_HOME/lib" "$@"; }

address=${JOB_MANAGER_RPC_ADDRESS:-$(hostname -f)}
if [ -e "$FLINK_HOME/bin/config-parser-utils.sh" ]; then
  settings=(-D "jobmanager.rpc.address=$address" -D blob.server.port=6124 -D query.server.port=6125)
  if [ -n "${TASK_MANAGER_NUMBER_OF_TASK_SLOTS:-}" ]; then
    settings+=(-D "taskmanager.numberOfTaskSlots=$TASK_MANAGER_NUMBER_OF_TASK_SLOTS")
  fi
  parse "${settings[@]}"
  if [ -n "${FLINK_PROPERTIES:-}" ]; then
    settings=()
    while IFS= read -r line; do
      line=$(echo "$line" | tr -d '[:space:]')
      if [ -z "$line" ]; then continue; fi
      value=$(echo "${line#*:}" | envsubst)
      settings+=(-D "${line%%:*}=$value")
    done <<<"$FLINK_PROPERTIES"
    parse "${settings[@]}"
  fi
else
  key_is jobmanager.rpc.address "$address"
  key_is blob.server.port 6124
  key_is query.server.port 6125
  if [ -n "${TASK_MANAGER_NUMBER_OF_TASK_SLOTS:-}" ]; then
    key_is taskmanager.numberOfTaskSlots "$TASK_MANAGER_NUMBER_OF_TASK_SLOTS"
  fi
  if [ -n "${FLINK_PROPERTIES:-}" ]; then echo "$FLINK_PROPERTIES" >>"$conf/flink-conf.yaml"; fi
  envsubst <"$conf/flink-conf.yaml" >"$conf/flink-conf.yaml.new" && mv "$conf/flink-conf.yaml.new" "$conf/flink-conf.yaml"
fi

case $role in
jobmanager | standalone-job | taskmanager) exec "$FLINK_HOME/bin/$role.sh" start-foreground "$@" ;;
*) exec "$role" "$@" ;;
esac
