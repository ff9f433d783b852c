# What the scripts of faults have: names, and files that are kept and put back. $SAVED is a folder of the fault's own.
REGISTRY=192.168.1.11
MIRROR=http://$REGISTRY:5080
HUB=192.168.1.10
CERTS=/etc/containerd/certs.d/docker.io
DOCKER_CERTS=/etc/docker/certs.d/docker.io
DAEMON=/etc/docker/daemon.json
CONTAINERD=/etc/containerd/config.toml
SITE=/etc/nginx/conf.d/http-registry.conf
SECRETS=/etc/nginx/http-registry
CACHES=/var/cache/nginx/http-registry

# Keep files as they are.
save() {
    mkdir -p $SAVED && cp -a --parents "$@" $SAVED/
}

# After a break: what the kept files have become.
broken() {
    [ ! -d $SAVED ] || (cd $SAVED && find . -type f) | while read -r file; do now "$file" >"$SAVED/$file.broken"; done
}
now() {
    stat -c '%A %U %G' "/$1" 2>/dev/null
    sha256sum "/$1" 2>/dev/null || echo gone
}

# Put each back that nobody has mended since; true where there was one. What a repair has put aside goes in any case.
restore() {
    [ -d $SAVED ] || return 1
    put=1
    for file in $(cd $SAVED && find . -type f ! -name '*.broken'); do
        rm -f "/$file".http-registry-kept*
        now "$file" | cmp -s - "$SAVED/$file.broken" && cp -a "$SAVED/$file" "/$file" && put=0
    done
    rm -r $SAVED
    return $put
}

# Change a JSON file by lines of Python: its content is `it`.
edit() {
    python3 -c "
import json, sys
it = json.load(open(sys.argv[1]))
exec(sys.argv[2])
open(sys.argv[1], 'w').write(json.dumps(it, indent=4) + '\n')" "$@"
}

restart() {
    systemctl reset-failed "$1" 2>/dev/null
    systemctl restart "$1"
}

# On the hub: a registry on a port that does something wrong, with a certificate of that name (foreign_registries.py).
FOREIGN=/root/foreign-registries
misbehave() {
    behave "$1"
    systemd-run -q --collect --unit "foreign-registry-$1" \
        python3 $FOREIGN/bad_registry.py "$1" "$2" ${3:+$FOREIGN/$3.pem} ${4:+$4}
    timeout 10 sh -c "until ss -ltn | grep -q ':$1 '; do sleep 0.05; done"
}

# None there.
behave() {
    systemctl stop "foreign-registry-$1" 2>/dev/null || true
}

# On the hub: one host finds nobody at a port, as if the server had stopped; for others it goes on.
shut() {
    iptables -I INPUT -s "$1" -p tcp --dport "$2" -j REJECT --reject-with tcp-reset
}
reopen() {
    while iptables -D INPUT -s "$1" -p tcp --dport "$2" -j REJECT --reject-with tcp-reset 2>/dev/null; do :; done
}

# The rules of iptables, all tables.
save_rules() {
    iptables-save >$SAVED.rules
}
restore_rules() {
    [ ! -e $SAVED.rules ] || { iptables-restore < $SAVED.rules && rm $SAVED.rules; }
}

# On the registry's host: the file of the cache that has the layer of library/app:1.
cached() {
    url=$MIRROR/v2/library/app
    layer=$(curl -fsS $url/manifests/1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"])')
    curl -fsS -o /dev/null $url/blobs/$layer
    grep -rlaF "$layer bytes=" $CACHES
}
