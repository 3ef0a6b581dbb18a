# Runs inside a layer: iptables rules that netfilter-persistent loads at boot.
set -eu
mkdir -p /etc/iptables
rules() {
    printf '*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n'
    printf -- '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n'
    printf -- '-A INPUT -i lo -j ACCEPT\n'
    printf -- '-A INPUT -p %s -j ACCEPT\n' "$1"
    printf -- '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n'
    printf -- '-A INPUT -p tcp -m tcp --dport 6379 -j ACCEPT\nCOMMIT\n'
}
rules icmp > /etc/iptables/rules.v4
rules ipv6-icmp > /etc/iptables/rules.v6
systemctl enable netfilter-persistent.service
