# Read-only: what Redoubt wants to know of a node, in one run. Called by root as
#   bash -c SCRIPT facts [UNIT] [CONFIG] [REMEMBERED]
# REMEMBERED is the identity of a program whose version and TLS support are known already.
# Every answer is a section "==NAME KEYLENGTH LENGTH r\nKEYPAYLOAD\n", or with "- b" for the length
# a file in base64, which ends with its line: no content can be taken for a header. Nothing here may fail as a whole: what cannot be read is
# missing. Forks are dear on small machines, so bash's own means are used where they will do.
exec 2>/dev/null </dev/null
export LC_ALL=C QUOTING_STYLE=literal
[[ :$PATH: == *:/usr/sbin:* ]] || PATH+=:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
cd /
shopt -s nullglob
unit=${1:-} config=${2:-} remembered=${3:-}
[[ -n $unit && $unit != *.service ]] && unit+=.service

section() { printf '==%s %d %d r\n%s%s\n' "$1" ${#2} ${#3} "$2" "$3"; }
slurp() { # NAME PATH [KEY]
  local key=${3-$2}
  [[ -f $2 && -r $2 ]] || return 1
  printf '==%s %d - b\n%s' "$1" ${#key} "$key"
  base64 -w0 <"$2"
  printf '\n'
}
text() { # NAME PATH: a small file, read without a fork
  local content
  [[ -f $2 && -r $2 ]] || return 1
  # Success means that it stopped at a NUL byte, which bash cannot keep.
  if IFS= read -r -d '' content <"$2"; then slurp "$1" "$2" ''; else section "$1" '' "$content"; fi
}
have() { command -v "$1" >/dev/null; }

section clock '' "${EPOCHREALTIME:-$(date +%s.%N)}"
text os /etc/os-release
read -r kernel </proc/sys/kernel/osrelease && section kernel '' "$kernel"
read -r enforcing </sys/fs/selinux/enforce && section selinux '' "$enforcing"
tools=
for tool in openssl nft iptables ip6tables ufw firewall-cmd; do
  have "$tool" && tools+="$tool "
done
section tools '' "$tools"

# --- Servers: processes of this pid namespace, so not those of containers ------------------------
pids=() units=() kinds=() services=()
while IFS= read -r line; do
  exe=${line#* -> } pid=${line#/proc/} pid=${pid%%/*}
  name=${exe% (deleted)} name=${name##*/}
  # Debian's redis-server is a link to redis-check-rdb, and that is what exe says.
  [[ $name =~ ^(redis|valkey)-(server|sentinel|check-.*)$ ]] || continue
  [[ /proc/$pid/ns/pid -ef /proc/self/ns/pid ]] || continue
  read -r comm </proc/$pid/comm || continue
  # A child that saves a snapshot has the same name: its parent is the server.
  stat_line=; read -r stat_line </proc/$pid/stat
  parent=${stat_line##*) ? } parent=${parent%% *}
  service= title=
  while IFS= read -r group; do
    group=${group##*/}
    [[ $group == *.service ]] && service=$group
  done </proc/$pid/cgroup
  IFS= read -r -d '' title </proc/$pid/cmdline || [[ $title ]]
  case "$comm $title" in
    *-check-* | *rdb-bgsave* | *aof-rewrite* | *-rdb-to-slaves* | *-rdb-to-replicas*) continue ;;
  esac
  kind=server
  [[ $comm == *-sentinel || $title == *'[sentinel]'* ]] && kind=sentinel
  pids+=("$pid") units+=("$service") kinds+=("$kind")
  [[ $service ]] && services+=("$service")
  section process "$pid" "$kind"$'\n'"$service"$'\n'"$exe"$'\n'"$title"$'\n'"$parent"
done < <(stat -c %N /proc/[0-9]*/exe)

# --- systemd, in one call --------------------------------------------------------------------------
declare -A exec_start user group workdir loaded active canonical_unit
properties=Id,Names,LoadState,ActiveState,SubState,UnitFileState,Type,ExecStart,User,Group
properties+=,FragmentPath,DropInPaths,UMask,ProtectSystem,ReadWritePaths,WorkingDirectory,MainPID
unit_paths=(/etc/systemd/system /run/systemd/{system,transient,generator,generator.early,generator.late}
  /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system)
there() { # UNIT... -> REPLY: those that have a file; systemd takes a millisecond to find none.
  local name path
  REPLY=
  for name; do
    for path in "${unit_paths[@]}"; do
      [[ -e $path/$name || -L $path/$name ]] && { REPLY+=" $name"; break; }
    done
  done
}
there {firewalld,ufw,nftables,iptables,ip6tables,netfilter-persistent}.service
firewall_units=$REPLY usual_units=
if ! ((${#pids[@]})); then
  there {redis-server,redis,valkey-server,valkey,redis-sentinel,valkey-sentinel}.service
  usual_units=$REPLY
fi
declare -A property
close_block() { # Properties come in systemd's own order: keep them until their block ends.
  local name
  for name in ${property[Names]-}; do
    canonical_unit[$name]=${property[Id]-}
    exec_start[$name]=${property[ExecStart]-}
    user[$name]=${property[User]-} group[$name]=${property[Group]-}
    workdir[$name]=${property[WorkingDirectory]-}
    loaded[$name]=${property[LoadState]-} active[$name]=${property[ActiveState]-}
  done
  property=()
}
if have systemctl; then
  wanted_units=(${unit:+"$unit"} "${services[@]}" $usual_units $firewall_units) shown=
  # Of none it would show itself.
  ((${#wanted_units[@]})) && shown=$(systemctl show --no-pager -p "$properties" "${wanted_units[@]}")
  section units '' "$shown"
  while IFS= read -r line; do
    case $line in
      '') close_block ;;
      ExecStart=*) # Of several commands the first one counts.
        [[ -z ${property[ExecStart]-} && $line =~ 'argv[]='([^;]*)' ;' ]] &&
          property[ExecStart]=${BASH_REMATCH[1]} ;;
      *) property[${line%%=*}]=${line#*=} ;;
    esac
  done <<<"$shown"
  close_block
fi

config_of() { # UNIT -> REPLY
  local words
  read -ra words <<<"${exec_start[$1]-}"
  REPLY=${words[1]-}
  [[ $REPLY == -* ]] && REPLY=
  [[ -n $REPLY && $REPLY != /* ]] && REPLY=${workdir[$1]:-}/$REPLY
}

# --- Which of them -------------------------------------------------------------------------------
chosen= chosen_unit= several=
pick() { # INDEX...
  if (($# == 1)); then chosen=${pids[$1]} chosen_unit=${units[$1]}; elif (($# > 1)); then several=1; fi
}
all=("${!pids[@]}") plain=() matching=() unitless=() data=()
for i in "${all[@]}"; do
  [[ ${kinds[i]} == server ]] && data+=("$i")
  [[ -z ${units[i]} ]] && unitless+=("$i")
  if [[ $config ]]; then
    config_of "${units[i]:-none}"
    [[ $REPLY == "$config" || (-n $REPLY && $REPLY -ef $config) ]] && matching+=("$i")
  fi
  [[ $unit && ${units[i]} == "${canonical_unit[$unit]:-$unit}" ]] && plain+=("$i")
done
if [[ $unit ]]; then
  chosen_unit=${canonical_unit[$unit]:-$unit}
  pick "${plain[@]}"
elif [[ $config ]] && ((${#matching[@]})); then pick "${matching[@]}"
elif [[ $config ]] && ((${#unitless[@]} == 1)); then pick "${unitless[@]}"
elif ((${#data[@]})); then pick "${data[@]}"
elif ((${#all[@]})); then pick "${all[@]}"
else
  for name in $usual_units; do
    [[ ${loaded[$name]-} == loaded ]] && { chosen_unit=${canonical_unit[$name]}; break; }
  done
fi
section chosen '' "$chosen"$'\n'"$chosen_unit"$'\n'"$several"

# --- The server itself -----------------------------------------------------------------------------
if [[ -z $several && -n $chosen$chosen_unit ]]; then
  exe= owner=
  read -ra words <<<"${exec_start[${chosen_unit:-none}]-}"
  exe=${words[0]-}
  if [[ $exe != /* || ! -x $exe ]]; then
    exe=
    if [[ $chosen ]]; then
      IFS= read -r -d '' title </proc/$chosen/cmdline || :
      exe=${title%% *}
      [[ $exe == /* && -x $exe ]] || exe=$(readlink /proc/$chosen/exe) exe=${exe% (deleted)}
    fi
  fi
  program=$exe
  case ${exe##*/} in
    redis-sentinel | redis-check-*) program=${exe%/*}/redis-server ;;
    valkey-sentinel | valkey-check-*) program=${exe%/*}/valkey-server ;;
  esac
  if [[ -z $config ]]; then
    config_of "${chosen_unit:-none}"
    config=$REPLY
    if [[ -z $config ]]; then
      for config in /etc/redis/redis.conf /etc/redis.conf /etc/valkey/valkey.conf /etc/valkey.conf ''; do
        [[ -f $config ]] && break
      done
    fi
  fi
  identity= ownership= changed=
  while IFS= read -r line; do
    name=${line#* * * } owners=${line%" $name"}
    case $name in
      "/proc/$chosen:"*) owner=${owners% *} ;;
      "$program:"*) identity=$name ;;
    esac
    [[ -n $config && $name == "$config:"* ]] && ownership=$owners changed=${name##*:}
  done < <(stat -L -c '%U %G %a %n:%d:%i:%s:%Y' \
    ${chosen:+"/proc/$chosen"} ${program:+"$program"} ${config:+"$config"})
  [[ $chosen ]] && cd -P "/proc/$chosen/cwd" && cwd=$PWD && cd /
  run_user=${user[${chosen_unit:-none}]:-${owner%% *}}
  section program '' "$program"$'\n'"${owner:-}"$'\n'"${cwd:-}"
  section identity '' "$identity"
  if [[ $program && -x $program && ( -z $identity || $identity != "$remembered" ) ]]; then
    # REDIS_FACTS 6: this always exits before it listens, and touches no running server.
    as=() run_group=${group[${chosen_unit:-none}]:-${owner##* }}
    if [[ $run_user && $run_user != root ]]; then
      as=(runuser -u "$run_user" --)
      [[ $run_group ]] && have setpriv &&
        as=(setpriv "--reuid=$run_user" "--regid=$run_group" --init-groups)
    fi
    said=$(timeout 5 "${as[@]}" "$program" --port 0 --bind 127.0.0.1 --tls-port 65000 2>&1)
    section tlsprobe '' "$said"
    # It names its version as it starts, and starting it again would cost as much.
    if [[ $program == */redis-server && $said =~ 'Redis version='([0-9][^ ,]*), ]]; then
      section version '' "Redis server v=${BASH_REMATCH[1]}"
    else
      section version '' "$("$program" --version)"
    fi
  fi
  declare -A seen
  includes() { # PATH DEPTH
    local line pattern path
    (($2 < 8)) || return
    while read -r line; do
      pattern=${line#*[[:space:]]}
      pattern=${pattern#"${pattern%%[![:space:]]*}"} pattern=${pattern%"${pattern##*[![:space:]]}"}
      pattern=${pattern#[\"\']} pattern=${pattern%[\"\']}
      local bases=('')
      [[ $pattern == /* ]] || bases=("${workdir[${chosen_unit:-none}]:-}/" "${cwd:+$cwd/}")
      for base in "${bases[@]}"; do
        local IFS=
        for path in $base$pattern; do
          [[ -f $path && -z ${seen[$path]-} ]] && ((${#seen[@]} < 200)) || continue
          seen[$path]=1
          slurp include "$path" && includes "$path" $(($2 + 1))
        done
        unset IFS
      done
    done < <(grep -aiE '^[[:space:]]*["'\'']?include["'\'']?[[:space:]]' "$1")
  }
  if [[ $config ]]; then
    target=$config
    cd -P "${config%/*}/" && target=${PWD%/}/${config##*/} && cd /
    [[ -L $config ]] && target=$(readlink -f "$config")
    [[ -w ${target%/*}/ ]] && writable=yes || writable=no
    section configfile '' "$config"$'\n'"$target"$'\n'"$ownership"$'\n'"$writable"$'\n'"$changed"
    slurp config "$config" '' && includes "$config" 0
  fi
fi

# --- Network, disk, firewall -----------------------------------------------------------------------
have ss && section listening '' "$(ss -ltnpH)"
have ip && section addresses '' "$(ip -o addr)"
section disk '' "$(stat -f -c '%n %a %S %d' /etc /var/lib)"
ruleset=
if have nft; then
  ruleset=$(nft -a -j list ruleset)
  section nftjson '' "$ruleset"
  # The text serves to show rules of ours, and to know tables that iptables-nft made.
  [[ -n $ruleset && $ruleset != *'"ip"'* && $ruleset != *'"ip6"'* && $ruleset != *redoubt* ]] ||
    section nft '' "$(nft -a list ruleset)"
fi
# Where nft shows other tables and none of theirs, and the kernel has no legacy ones, they say nothing.
legacy= legacy6=
read -r legacy </proc/net/ip_tables_names
read -r legacy6 </proc/net/ip6_tables_names
for save in iptables ip6tables; do
  have $save-save || continue
  if [[ -z $ruleset || $ruleset == *'"ip"'* || $ruleset == *'"ip6"'* || $legacy$legacy6 ]]; then
    section $save '' "$($save-save)"
  else
    section $save '' ''
  fi
done
text nftconf /etc/nftables.conf
slurp rulesv4 /etc/iptables/rules.v4 ''
slurp rulesv6 /etc/iptables/rules.v6 ''
# Their own programs are Python and slow: what they say is read when a plan needs it.
[[ -r /etc/ufw/ufw.conf ]] && grep -qi '^ENABLED=yes' /etc/ufw/ufw.conf &&
  section ufwenabled '' yes
section end '' ''
