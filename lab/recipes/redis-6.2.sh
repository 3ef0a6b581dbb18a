# Runs inside a layer that holds another build of redis-server: fits Debian's 7.0 file to 6.2.
set -eu
sed -i \
    -e 's/^\(hash\|zset\)-max-listpack-/\1-max-ziplist-/' \
    -e 's/^list-max-listpack-size/list-max-ziplist-size/' \
    -e 's/^\(latency-tracking\|aof-timestamp-enabled\|appenddirname\|enable-\(protected-configs\|debug-command\|module-command\)\|shutdown-\)/# \1/' \
    /etc/redis/redis.conf
