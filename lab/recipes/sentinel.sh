# Runs inside a layer: a Sentinel is configured and started for each node.
set -eu
for unit in redis-sentinel valkey-sentinel; do
    systemctl disable "$unit.service" 2>/dev/null || true
done
rm -rf /var/log/redis/* /var/log/valkey/* /var/lib/redis/* /var/lib/valkey/*
