# Runs inside a layer: ufw, whose default policy is to deny what comes in.
set -eu
ufw allow 22/tcp
ufw allow 6379/tcp
sed -i 's/^ENABLED=no/ENABLED=yes/' /etc/ufw/ufw.conf
systemctl enable ufw.service
