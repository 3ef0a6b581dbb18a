#!/bin/bash
# Encrypts Redis on every node of a list, all at once: what a competent operator writes by hand.
#   install-all.sh WORK_DIRECTORY IDENTITY KNOWN_HOSTS <"NAME ADDRESS" lines
# WORK_DIRECTORY gets the authority (ca.crt, ca.key) and each node's certificates.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
identity=$2 known_hosts=$3
cd "$1"
remote=$(<"$here/install-one.sh")
umask 077

ssh_options=(
  -F none -i "$identity" -o BatchMode=yes -o IdentitiesOnly=yes
  -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$known_hosts" -o ConnectTimeout=10
)
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
printf '[req]\ndistinguished_name = none\n[none]\n' >req.cnf
openssl req -config req.cnf -x509 "${new_key[@]}" -days 3650 -subj '/CN=Redis authority' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
  -keyout ca.key -out ca.crt 2>/dev/null

certificate() { # KEY CERTIFICATE SUBJECT EXTENSION...
  local key=$1 certificate=$2 subject=$3 extensions=()
  shift 3
  for each; do extensions+=(-addext "$each"); done
  openssl req -config req.cnf -x509 -CA ca.crt -CAkey ca.key "${new_key[@]}" -days 365 \
    -subj "/CN=$subject" -addext basicConstraints=critical,CA:FALSE "${extensions[@]}" \
    -keyout "$key" -out "$certificate" 2>/dev/null
}

install_one() { # NAME ADDRESS
  local name=$1 address=$2 said
  mkdir -p "$name/server" "$name/client"
  certificate "$name/server/server.key" "$name/server/server.crt" "$name" \
    "subjectAltName=DNS:$name,IP:$address" extendedKeyUsage=serverAuth,clientAuth
  certificate "$name/client/client.key" "$name/client/client.crt" "$name client" \
    extendedKeyUsage=clientAuth
  cp ca.crt "$name/server/root.crt"
  cp ca.crt "$name/client/root.crt"
  tar -c -C "$name" server client | ssh "${ssh_options[@]}" "root@$address" "$remote"
  said=$(printf 'PING\r\nQUIT\r\n' | timeout 10 openssl s_client -quiet -connect "$address:6380" \
    -CAfile ca.crt -verify_return_error -verify_ip "$address" 2>&1) || :
  [[ $said == *+PONG* ]] || { echo "$name: no PONG over TLS: $said" >&2; return 1; }
}

failed=0 pids=()
while read -r name address; do
  install_one "$name" "$address" </dev/null &
  pids+=("$!")
done
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit "$failed"
