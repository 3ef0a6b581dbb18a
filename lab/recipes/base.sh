# Runs inside a fresh image: turns a distribution's defaults into a node that boots in a moment.
set -eu

# Nothing here serves a node of the lab; each unit would cost boot time on every node.
for unit in \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer logrotate.timer man-db.timer systemd-tmpfiles-clean.timer \
    console-getty.service getty.target getty-static.service getty@tty1.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
    systemd-firstboot.service systemd-hwdb-update.service systemd-journal-flush.service \
    systemd-logind.service systemd-machine-id-commit.service systemd-modules-load.service \
    systemd-networkd.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
    systemd-pstore.service systemd-random-seed.service systemd-repart.service \
    systemd-resolved.service systemd-sysusers.service systemd-timesyncd.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    dev-hugepages.mount dev-mqueue.mount kmod-static-nodes.service remote-fs.target \
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount cryptsetup.target integritysetup.target veritysetup.target; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\nAudit=no\n' \
    > /etc/systemd/journald.conf.d/lab.conf

# A key and an id per node, never per image.
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
mkdir -p /etc/ssh/sshd_config.d
printf 'MaxStartups 100\nUseDNS no\n' > /etc/ssh/sshd_config.d/lab.conf

# A login spends its time here otherwise.
sed -i '/pam_motd\|pam_mail\|pam_systemd/d' /etc/pam.d/sshd /etc/pam.d/common-session
rm -rf /etc/update-motd.d/*

# The server and the firewall are chosen for each node.
for unit in redis-server valkey-server nftables; do
    systemctl disable "$unit.service" 2>/dev/null || true
done
rm -rf /var/log/redis/* /var/log/valkey/* /var/lib/redis/* /var/lib/valkey/*
rm -rf /var/cache/apt/archives/*.deb /var/cache/debconf/*-old
