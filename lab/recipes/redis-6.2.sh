# Runs inside a layer that holds another build of redis-server: fits Debian's 7.0 file to 6.2.
set -eu
config=/etc/redis/redis.conf
sed -i \
    -e 's/^\(hash\|zset\)-max-listpack-/\1-max-ziplist-/' \
    -e 's/^list-max-listpack-size/list-max-ziplist-size/' \
    $config

# The server itself says which directive it does not know; it listens nowhere meanwhile.
unknown_directive() {
    timeout 1 redis-server $config --port 0 --daemonize no --save '' --logfile '' --pidfile '' 2>&1 |
        sed -n "s/^>>> '\([a-z-]*\) .*/\1/p"
}
directive=$(unknown_directive)
while [ -n "$directive" ]; do
    sed -i "s/^$directive /# &/" $config
    directive=$(unknown_directive)
done
# Asked as root, it made its log root's.
rm -rf /var/log/redis/* /var/lib/redis/*

if ! ldd /usr/bin/redis-server | grep -q libsystemd; then
    # It cannot say that it is ready, which Debian's Type=notify would wait for.
    mkdir -p /etc/systemd/system/redis-server.service.d
    printf '[Service]\nType=simple\n' > /etc/systemd/system/redis-server.service.d/type.conf
fi
