package world

// Runner is a java, for StubJava, that behaves as the runner of SQL does with "serve", and otherwise as a comment in the script says. Each
// process, and what it starts, writes its number into the file pids beside java's folder; where there is a file broken, none starts.
const Runner = `pids=$(dirname "$0")/../../pids
echo $$ >>"$pids"
[ -e "$(dirname "$0")/../../broken" ] && { echo "no such option" >&2; exit 1; }
while read -r mode a b; do
  script=$(head -c "$a")
  head -c "$b" >/dev/null
  case $mode in
  warm) printf 'ready\t\n';;
  check)
    case $script in *HANG*) sleep 1000;; *DIE*) exit 3;; *SLOW*) : >"$(dirname "$0")/../../planning"; until [ -e "$(dirname "$0")/../../go" ]; do sleep 0.01; done;; *WRONG*) printf 'error\t1\t41\tstatement 1\tColumn not found (planner %s)\n' $$;; esac
    printf 'checked\t1\n';;
  local)
    case $script in
    *FOREVER*) sleep 1000 & echo $! >>"$pids"; echo "p> +I[$$]"; wait;;
    *MANY*) i=0; while [ $i -lt 50 ]; do echo "p> +I[$i]"; i=$((i+1)); done; sleep 1000;;
    *LEAVE*) sleep 1000 >/dev/null 2>&1 & echo $! >>"$pids"; echo "p> +I[$$]";;
    *EXACT*) printf '%s\n' 'p> =["id","a, b"]' 'p> +I["1","x, \"y\"\nz"]' 'p> -D[null,"null"]';;
    *HEAP*) echo 'Terminating due to java.lang.OutOfMemoryError: Java heap space'; exit 3;;
    *FAIL*) echo 'error: statement 2, line 2: Division by zero' >&2; exit 1;;
    *) echo "p> +I[$$]";;
    esac
    case $script in *EXIT*) ;; *) printf '\036ended\n';; esac
    exit 0;;
  esac
done
`
