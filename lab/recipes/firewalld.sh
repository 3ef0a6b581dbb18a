# Runs inside a layer: firewalld with its default zone, which rejects what is not listed.
set -eu
firewall-offline-cmd --add-service=ssh
firewall-offline-cmd --add-port=6379/tcp
systemctl enable firewalld.service
