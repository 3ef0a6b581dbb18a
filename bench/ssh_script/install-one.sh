# Runs on the node, as root; the certificates come on standard input as a tar archive.
set -euo pipefail
tls=/etc/redis/tls conf=/etc/redis/redis.conf rules=/etc/nftables.conf

mkdir -p -m 0755 $tls
tar -x --no-same-owner -C $tls
# /etc/redis is setgid on Debian.
chown -R root:root $tls
chgrp redis $tls/server/server.key
chmod 0755 $tls/server $tls/client
chmod 0644 $tls/*/*.crt
chmod 0640 $tls/server/server.key

if ! grep -q '^tls-port' $conf; then
  cp -p $conf $conf.before-tls
  cat >>$conf <<CONF
tls-cert-file $tls/server/server.crt
tls-key-file $tls/server/server.key
tls-ca-cert-file $tls/server/root.crt
tls-auth-clients optional
tls-port 6380
CONF
fi

if ! grep -q redis-tls $rules; then
  nft insert rule inet filter input tcp dport 6380 accept comment '"redis-tls"'
  cp -p $rules $rules.before-tls
  sed -i '/hook input/a\		tcp dport 6380 accept comment "redis-tls"' $rules
  nft -c -f $rules
fi

[ "$(redis-cli config set tls-cert-file $tls/server/server.crt \
  tls-key-file $tls/server/server.key tls-ca-cert-file $tls/server/root.crt \
  tls-auth-clients optional tls-port 6380)" = OK ]
